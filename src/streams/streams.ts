/**
 * Owns the connections of streams: counts them, and holds what they share.
 *
 * @module
 */
import { callAt } from "../internal/call_at.ts";
import type { Clock } from "../internal/clock.ts";
import { DelayLine } from "../internal/delay_line.ts";
import { shortHash } from "../internal/random.ts";
import { Slots } from "../internal/slots.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { Reply } from "../http/reply.ts";
import type { Reporter } from "../protocol/reporter.ts";
import { type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import type { LateAnswers } from "./late_answers.ts";
import { LoggedConnection } from "./logged_connection.ts";
import { sseReply } from "./sse.ts";
import type { EventLog, StreamRun } from "./types.ts";

/** The checked options of streams. */
export interface StreamSettings {
  /** The maximum number of open connections. */
  readonly most: number;
  /** The maximum number of open connections of one principal. */
  readonly mostPerPrincipal: number;
  /** The time between keep-alive comments on an idle stream, in milliseconds. */
  readonly keepAliveMs: number;
  /** The `retry` time for clients, in milliseconds. */
  readonly retryMs: number;
  /** Bytes of the buffer of a stream without a log. */
  readonly bufferBytes: number;
}

/** The part of a session that its streams need. */
export interface StreamSession {
  /** The session's id. */
  readonly id: string;
  /** The open connections of the session in this process, by the name of their stream. */
  readonly connections: Map<string, LoggedConnection>;
  /** Returns a name that no other stream of the session has, on any node. */
  nameStream(): string;
  /** Prevents the session from expiring by idleness and from being evicted, until `release()`. */
  hold(): void;
  /** Ends one hold. */
  release(): void;
}

/** The client of a connection. */
export interface Reader {
  /** The session. */
  readonly session: StreamSession;
  /** The share key of the owner, for counting connections. */
  readonly share: string;
  /** When the owner's credentials expire, in milliseconds since the epoch. */
  readonly expiresAt: number | undefined;
  /** The protocol version of the client. */
  readonly version: ProtocolVersion;
  /** The requests that a new stream responds to. */
  readonly run?: StreamRun;
}

/** Options for {@linkcode Streams.connect}. */
export interface StreamConnectionInit extends Reader {
  /** The stream's name in its session. */
  readonly stream: string;
  /** The number of the last event that the client has received. */
  readonly after: number;
  /** Whether the stream responds to a request, or is the session's server-to-client stream. */
  readonly kind: "request" | "server";
  /** Whether the client resumes a stream. */
  readonly resumed?: boolean;
  /** Called once when the connection has closed. */
  readonly onClose?: () => void;
}

/** An open connection. */
export interface Connected {
  /** The reply with the stream as its body. */
  readonly reply: Reply;
  /** Closes the connection, not the stream. */
  readonly close: LoggedConnection["close"];
  /** Sends a message of another stream on it. */
  readonly sendOther: LoggedConnection["sendOther"];
}

/** The connections of streams of one endpoint. */
export class Streams {
  /** The event log. */
  readonly log: EventLog;
  readonly settings: StreamSettings;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** The slots for open connections. */
  readonly slots: Slots;
  /** The delay line of keep-alive comments. */
  readonly keepAlive: DelayLine;
  #lateAnswers: LateAnswers | undefined;
  #closing = false;

  /** Creates the owner; no timer runs until a stream is open. */
  constructor(log: EventLog, settings: StreamSettings, clock: Clock, reporter: Reporter) {
    this.log = log;
    this.settings = settings;
    this.clock = clock;
    this.reporter = reporter;
    this.slots = new Slots(settings.most, settings.mostPerPrincipal);
    this.keepAlive = new DelayLine(clock, settings.keepAliveMs);
  }

  /**
   * Takes a slot for a connection to a stream, and closes the connection that read the stream before.
   *
   * @returns `false` if too many connections are open
   * @throws {Error} If the store fails
   */
  admit({ session, share }: Reader, stream: string): MaybePromise<boolean> {
    session.connections.get(stream)?.close("replaced");
    return this.slots.admit(share);
  }

  /** Makes a stream known to the log. */
  openLog({ id }: StreamSession, stream: string, run?: StreamRun): void {
    this.reporter.background("opening a stream", () => this.log.open(id, stream, run));
  }

  /**
   * Opens a connection to a stream, in a slot that has already been taken, and closes one that has read
   * the stream meanwhile. A stream with a run is known to the log already.
   */
  connectInSlot(init: StreamConnectionInit): Connected {
    const { session, share, stream, version } = init;
    session.connections.get(stream)?.close("replaced");
    const { log, reporter } = this;
    const { retryMs } = this.settings;
    session.hold();
    if (init.run === undefined) this.openLog(session, stream);
    let stopExpiry: (() => void) | undefined = undefined;
    const connection = new LoggedConnection({
      log,
      session: session.id,
      stream,
      after: init.after,
      priming: VERSIONS[version].priming,
      run: init.run,
      retryMs,
      keepAlive: this.keepAlive,
      report: reporter.report,
      onClose: (reason) => {
        stopExpiry?.();
        if (session.connections.get(stream)?.open === false) session.connections.delete(stream);
        this.slots.give(share);
        session.release();
        init.onClose?.();
        if (!reporter.enabled) return;
        const { kind } = init;
        const name = shortHash(session.id);
        reporter.report({ type: "stream-closed", session: name, stream: kind, reason });
      },
    });
    // A stream that has ended may be sent completely at once.
    if (connection.open) {
      session.connections.set(stream, connection);
      stopExpiry = callAt(this.clock, init.expiresAt, () => connection.close("unauthorized"));
    }
    if (reporter.enabled) {
      const type = init.resumed ? "stream-resumed" : "stream-opened";
      reporter.report({ type, session: shortHash(session.id), stream: init.kind });
    }
    return {
      reply: sseReply(connection.body),
      close: (reason, options) => connection.close(reason, options),
      sendOther: (data) => connection.sendOther(data),
    };
  }

  /**
   * The responses and ends that the log could not take at first; `undefined` if no other process reads it.
   */
  get lateAnswers(): LateAnswers | undefined {
    return this.#lateAnswers;
  }

  /** Keeps answers that the log could not take, until it can. */
  keepLateAnswers(answers: LateAnswers): void {
    this.#lateAnswers = answers;
  }

  /** Whether new streams are refused because the endpoint closes. */
  get closing(): boolean {
    return this.#closing;
  }

  /** Refuses new streams from now on. */
  beginClosing(): void {
    this.#closing = true;
  }

  /** Cancels the keep-alive waits. */
  dispose(): void {
    this.keepAlive.clear();
    this.#lateAnswers?.clear();
  }
}
