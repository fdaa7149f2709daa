/**
 * Owns the connections of streams: how many are open, and what all of them share.
 *
 * @module
 */
import { callAt } from "../internal/call_at.ts";
import type { Clock } from "../internal/clock.ts";
import { DelayLine } from "../internal/delay_line.ts";
import { shortHash } from "../internal/random.ts";
import { Slots } from "../internal/slots.ts";
import type { Reply } from "../http/reply.ts";
import type { Reporter } from "../protocol/reporter.ts";
import { type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import { LoggedConnection } from "./logged_connection.ts";
import { sseReply } from "./sse.ts";
import type { EventLog } from "./types.ts";

/** The checked options of streams. */
export interface StreamSettings {
  /** Connections of streams that may be open. */
  readonly most: number;
  /** Connections of streams that one principal may have open. */
  readonly mostPerPrincipal: number;
  /** How often a quiet stream gets a comment, in milliseconds. */
  readonly keepAliveMs: number;
  /** How long clients are told to wait before they reconnect, in milliseconds. */
  readonly retryMs: number;
  /** Bytes that wait for the slow reader of a stream without a log. */
  readonly bufferBytes: number;
}

/** The part of a session that its streams need. */
export interface StreamSession {
  /** The session's id. */
  readonly id: string;
  /** The open connections of the session in this process, by the stream that each reads. */
  readonly connections: Map<string, LoggedConnection>;
  /** Makes a name that no other stream of the session has, on any node. */
  nameStream(): string;
  /** Keeps the session from expiring and from being evicted. */
  hold(): void;
  /** Ends one hold. */
  release(): void;
}

/** Whom a connection serves, and how it is spoken. */
export interface Reader {
  /** The session whose stream is read. */
  readonly session: StreamSession;
  /** The owner's key, for counting connections. */
  readonly owner: string;
  /** When the owner's credentials expire, in milliseconds since the epoch. */
  readonly expiresAt: number | undefined;
  /** The version that the client speaks. */
  readonly version: ProtocolVersion;
}

/** What a connection reads. */
export interface ConnectInit extends Reader {
  /** The stream's name in its session. */
  readonly stream: string;
  /** The number of the last event that the client has. */
  readonly after: number;
  /** Whether the stream answers a request, or is the session's server-to-client stream. */
  readonly kind: "request" | "server";
  /** Whether the client resumes a stream. */
  readonly resumed?: boolean;
  /** Called once when the connection has closed. */
  readonly onClose?: () => void;
}

/** An open connection, as the reply that carries it. */
export interface Connected {
  /** The reply. */
  readonly reply: Reply;
  /** Ends the connection, not the stream. */
  readonly close: LoggedConnection["close"];
}

/** The connections of streams of one endpoint. */
export class Streams {
  /** The streams of sessions. */
  readonly log: EventLog;
  readonly settings: StreamSettings;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** Open connections. */
  readonly slots: Slots;
  /** Waits after which a quiet connection gets a comment. */
  readonly keepAlive: DelayLine;
  /** Whether no stream may be opened any more. */
  closing = false;

  /** Makes the owner; no timer runs until a stream is open. */
  constructor(log: EventLog, settings: StreamSettings, clock: Clock, reporter: Reporter) {
    this.log = log;
    this.settings = settings;
    this.clock = clock;
    this.reporter = reporter;
    this.slots = new Slots(settings.most, settings.mostPerPrincipal);
    this.keepAlive = new DelayLine(clock, settings.keepAliveMs);
  }

  /**
   * Opens a connection to a stream. It replaces the connection that read the stream before.
   *
   * @returns `undefined` when too many connections are open
   */
  connect(init: ConnectInit): Connected | undefined {
    init.session.connections.get(init.stream)?.close("replaced");
    return this.slots.take(init.owner) ? this.connectInSlot(init) : undefined;
  }

  /** Opens the first connection to a stream, in a slot that has been taken already. */
  connectInSlot(init: ConnectInit): Connected {
    const { session, owner, stream, version } = init;
    const { log, reporter } = this;
    const { retryMs } = this.settings;
    session.hold();
    reporter.background("opening a stream", () => log.open(session.id, stream));
    let stopExpiry: (() => void) | undefined = undefined;
    const connection = new LoggedConnection({
      log,
      session: session.id,
      stream,
      after: init.after,
      priming: VERSIONS[version].priming,
      retryMs,
      keepAlive: this.keepAlive,
      report: reporter.report,
      onClose: (reason) => {
        stopExpiry?.();
        if (session.connections.get(stream)?.open === false) session.connections.delete(stream);
        this.slots.give(owner);
        session.release();
        init.onClose?.();
        if (!reporter.enabled) return;
        const { kind } = init;
        const name = shortHash(session.id);
        reporter.report({ type: "stream-closed", session: name, stream: kind, reason });
      },
    });
    // A stream that has ended is sent whole at once.
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
    };
  }

  /** Ends the keep-alive waits. */
  dispose(): void {
    this.keepAlive.clear();
  }
}
