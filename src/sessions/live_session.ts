/**
 * Represents a session in this process: its calls, questions and connections here.
 *
 * @module
 */
import { InFlight } from "../calls/lifetime/inflight.ts";
import { OpenQuestions } from "../calls/questions/questions.ts";
import type { CallSession } from "../calls/session.ts";
import { StopError } from "../calls/lifetime/stop.ts";
import type { DelayLine } from "../internal/delay_line.ts";
import { randomText, shortHash } from "../internal/random.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { SessionState } from "../protocol/exchange.ts";
import type { Reporter } from "../protocol/reporter.ts";
import type { LogLevel } from "../protocol/shapes.ts";
import type { LoggedConnection } from "../streams/logged_connection.ts";
import type { StreamSession } from "../streams/streams.ts";
import type { ServerStreams } from "./server_streams.ts";
import type { SessionRecord, SessionStore } from "./types.ts";

/** The values that all live sessions of an endpoint share. */
export interface LiveSessionInit {
  readonly store: SessionStore;
  readonly serverStreams: ServerStreams;
  readonly reporter: Reporter;
  /** The time limit of questions to the client. */
  readonly askDelay: DelayLine;
  /** The node's id; `undefined` if there are no other nodes. */
  readonly node: string | undefined;
  /** The maximum number of resources that one session may be subscribed to. */
  readonly mostSubscriptions: number;
  /** The maximum number of bytes of the state of one session. */
  readonly stateBytes: number;
  /** Whether a session's live state can be made anew in a later process. */
  readonly restorable: boolean;
}

/** The maximum number of remembered streams that a client resumed after their end. */
const MOST_FINISHED = 256;
/** The maximum number of remembered streams that a client was too slow to resume. */
const MOST_LAGGING = 256;

const NO_STREAMS: ReadonlySet<string> = new Set();

/** A session in this process; also the dispatcher's view of it. */
export class LiveSession implements CallSession, StreamSession {
  readonly id: string;
  /** The session's record, as last read from the store. */
  record: SessionRecord | undefined;
  /** Whether the session has ended: nothing may begin in it. */
  ended = false;
  /** Whether this node has claimed the session: its live state is in this process only. */
  claimed = false;
  /** Whether the session began in an earlier process, whose live state is gone. */
  restored = false;
  /** When the claim was last renewed, in milliseconds since the epoch. */
  renewedAt = 0;
  /** Whether the session was used since the last sweep. */
  used = true;
  readonly #init: LiveSessionInit;
  #name: string | undefined;
  #inflight: InFlight | undefined;
  #questions: OpenQuestions | undefined;
  #connections: Map<string, LoggedConnection> | undefined;
  /** Called when the client opens its server-to-client stream here. */
  #listeners: Set<() => void> | undefined;
  #finished: Set<string> | undefined;
  #lagging: Set<string> | undefined;
  /** The prefix of the names of streams that begin in this process; no other process has the same. */
  #streamPrefix: string | undefined;
  #streams = 0;

  /** Creates a live session with nothing in it. */
  constructor(init: LiveSessionInit, id: string) {
    this.#init = init;
    this.id = id;
  }

  /** Distinguishes a session from a refusal. */
  get kind(): "session" {
    return "session";
  }

  get name(): string {
    return this.#name ??= shortHash(this.id);
  }

  get inflight(): InFlight {
    return this.#inflight ??= new InFlight();
  }

  get questions(): OpenQuestions {
    return this.#questions ??= new OpenQuestions(this.#init.askDelay, this.#init.node);
  }

  /** The number of questions that wait for a response. */
  get openQuestions(): number {
    return this.#questions?.size ?? 0;
  }

  get connections(): Map<string, LoggedConnection> {
    return this.#connections ??= new Map();
  }

  /**
   * Calls a function when the client opens its server-to-client stream here.
   *
   * @returns A function that takes it back
   */
  onListening(listener: () => void): () => void {
    const listeners = this.#listeners ??= new Set();
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** Notes that the client has opened its server-to-client stream here. */
  noteListening(): void {
    for (const listener of [...this.#listeners ?? []]) listener();
  }

  nameStream(): string {
    this.#streamPrefix ??= randomText(8);
    return `${this.#streamPrefix}${++this.#streams}`;
  }

  /** The number of calls that run in it here. */
  get runningCalls(): number {
    return this.#inflight?.size ?? 0;
  }

  /** The number of its open connections here. */
  get openStreams(): number {
    return this.#connections?.size ?? 0;
  }

  /** Whether this process has nothing of the session that is not in the store. */
  get idle(): boolean {
    return !this.claimed && (this.#inflight?.size ?? 0) === 0 && this.openQuestions === 0 &&
      (this.#connections?.size ?? 0) === 0;
  }

  get restorable(): boolean {
    return this.#init.restorable;
  }

  get logLevel(): LogLevel | undefined {
    return this.record?.logLevel;
  }

  get state(): SessionState {
    const { id } = this;
    const { store, stateBytes } = this.#init;
    return {
      get: async (key) => await store.getState(id, key),
      set: async (key, value) => await store.setState(id, key, value, stateBytes),
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
      // An error of the store must not keep the caller from releasing its slot.
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
   * Notes that a client resumed a stream of which it has received everything.
   *
   * @returns Whether it is the first time
   */
  noteFinished(stream: string): boolean {
    const finished = this.#finished ??= new Set();
    if (finished.has(stream)) return false;
    if (finished.size >= MOST_FINISHED) finished.clear();
    finished.add(stream);
    return true;
  }

  /** The streams of running requests that the client was too slow to resume: it still needs the response. */
  get lagging(): ReadonlySet<string> {
    return this.#lagging ?? NO_STREAMS;
  }

  /** Notes that the client was too slow to resume the stream of a running request. */
  noteLagging(stream: string): void {
    const lagging = this.#lagging ??= new Set();
    if (lagging.size >= MOST_LAGGING) lagging.clear();
    lagging.add(stream);
  }

  /** Forgets that the client was too slow to resume a stream. */
  forgetLagging(stream: string): void {
    this.#lagging?.delete(stream);
  }

  /** Ends everything of the session in this process: calls, then questions, then connections. */
  end(kind: "session-ended" | "shutdown"): void {
    this.ended = true;
    this.#inflight?.stopAll(kind);
    this.#questions?.abortAll(new StopError(kind));
    for (const connection of [...(this.#connections?.values() ?? [])]) connection.close(kind);
  }
}
