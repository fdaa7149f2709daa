/**
 * One process's part of a session: its calls, questions and connections that are in this process.
 *
 * @module
 */
import { InFlight } from "../calls/inflight.ts";
import { Questions } from "../calls/questions.ts";
import type { CallSession } from "../calls/session.ts";
import { StopError } from "../calls/stop.ts";
import type { DelayLine } from "../internal/delay_line.ts";
import { randomText } from "../internal/random.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { SessionState } from "../protocol/exchange.ts";
import type { Reporter } from "../protocol/reporter.ts";
import type { LogLevel } from "../protocol/shapes.ts";
import type { LoggedConnection } from "../streams/logged_connection.ts";
import type { StreamSession } from "../streams/streams.ts";
import type { ServerStreams } from "./server_streams.ts";
import type { SessionRecord, SessionStore } from "./types.ts";

/** What all live sessions of an endpoint share. */
export interface LiveSessionInit {
  readonly store: SessionStore;
  readonly serverStreams: ServerStreams;
  readonly reporter: Reporter;
  /** Waits after which a question to the client is given up. */
  readonly askDelay: DelayLine;
  /** The node's id, where there are others. */
  readonly node: string | undefined;
  /** Resources that one session may be subscribed to. */
  readonly mostSubscriptions: number;
}

/** Ended streams that a client resumed, as many as are remembered. */
const MOST_FINISHED = 256;

/** One process's part of a session. Also what a dispatcher sees of the session. */
export class LiveSession implements CallSession, StreamSession {
  readonly id: string;
  /** What was last read of the session's record. */
  record: SessionRecord | undefined;
  /** Whether the session has ended: nothing may begin in it any more. */
  ended = false;
  /** Whether its live state is in this process, and nowhere else. */
  claimed = false;
  /** When the claim to it was renewed last, in milliseconds since the epoch. */
  renewedAt = 0;
  /** Whether it was used since the last sweep. */
  used = true;
  readonly #init: LiveSessionInit;
  #inflight: InFlight | undefined;
  #questions: Questions | undefined;
  #connections: Map<string, LoggedConnection> | undefined;
  #finished: Set<string> | undefined;
  /** The common prefix of stream names that begin here; no other process has it. */
  #streamPrefix: string | undefined;
  #streams = 0;

  /** Makes this process's part of a session that isn't in use yet. */
  constructor(init: LiveSessionInit, id: string) {
    this.#init = init;
    this.id = id;
  }

  /** Tells a session from a refusal. */
  get kind(): "session" {
    return "session";
  }

  get inflight(): InFlight {
    return this.#inflight ??= new InFlight();
  }

  get questions(): Questions {
    return this.#questions ??= new Questions(this.#init.askDelay, this.#init.node);
  }

  /** How many questions wait for a reply. */
  get openQuestions(): number {
    return this.#questions?.size ?? 0;
  }

  get connections(): Map<string, LoggedConnection> {
    return this.#connections ??= new Map();
  }

  nameStream(): string {
    this.#streamPrefix ??= randomText(8);
    return `${this.#streamPrefix}${++this.#streams}`;
  }

  /** Whether this process holds nothing that another process couldn't read from the store. */
  get idle(): boolean {
    return !this.claimed && (this.#inflight?.size ?? 0) === 0 && this.openQuestions === 0 &&
      (this.#connections?.size ?? 0) === 0;
  }

  get logLevel(): LogLevel | undefined {
    return this.record?.logLevel;
  }

  get state(): SessionState {
    const { id } = this;
    const { store } = this.#init;
    return {
      get: async (key) => await store.getState(id, key),
      set: async (key, value) => await store.setState(id, key, value),
      delete: async (key) => await store.deleteState(id, key),
    };
  }

  async setLogLevel(level: LogLevel): Promise<void> {
    if (this.record !== undefined) this.record = { ...this.record, logLevel: level };
    await this.#init.store.update(this.id, { logLevel: level });
  }

  subscribe(uri: string): MaybePromise<"subscribed" | "full" | "gone"> {
    return this.#init.store.subscribe(this.id, uri, this.#init.mostSubscriptions);
  }

  unsubscribe(uri: string): MaybePromise<void> {
    return this.#init.store.unsubscribe(this.id, uri);
  }

  hold(): void {
    try {
      this.#init.store.hold(this.id);
    } catch (error) {
      // A store that fails must not keep a slot taken.
      this.#init.reporter.failed("holding a session", error);
    }
  }

  release(): void {
    try {
      this.#init.store.free(this.id);
    } catch (error) {
      this.#init.reporter.failed("releasing a session", error);
    }
  }

  sendQuestion(text: string): MaybePromise<boolean> {
    return this.#init.serverStreams.sendQuestion(this, text);
  }

  /**
   * Notes that a client resumed a stream of which it has everything.
   *
   * @returns Whether it did so for the first time
   */
  noteFinished(stream: string): boolean {
    const finished = this.#finished ??= new Set();
    if (finished.has(stream)) return false;
    if (finished.size >= MOST_FINISHED) finished.clear();
    finished.add(stream);
    return true;
  }

  /** Ends everything of the session in this process: its calls, then its questions, then its streams. */
  end(kind: "session-ended" | "shutdown"): void {
    this.ended = true;
    this.#inflight?.stopAll(kind);
    this.#questions?.abortAll(new StopError(kind));
    for (const connection of [...(this.#connections?.values() ?? [])]) connection.close(kind);
  }
}
