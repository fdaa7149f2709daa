/**
 * One process's part of a session: what runs here, what is asked here, which connections are here.
 *
 * @module
 */
import { randomText } from "../internal/random.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { ExchangeSession, SessionState } from "../protocol/exchange.ts";
import type { LogLevel } from "../protocol/shapes.ts";
import { InFlight } from "../calls/inflight.ts";
import { Questions } from "../calls/questions.ts";
import { StopError } from "../calls/stop.ts";
import type { SessionRecord, SessionStore } from "../sessions/types.ts";
import type { Connection } from "../streams/connection.ts";
import type { Endpoint } from "./endpoint.ts";

/** How many streams are remembered that clients came back to although they were over. */
const MOST_OVER = 256;

/** One process's part of a session, and what a dispatcher sees of it. */
export class LiveSession implements ExchangeSession {
  readonly id: string;
  /** What was last read of the session's record. */
  record: SessionRecord | undefined;
  /** Whether the session has ended: nothing may begin in it any more. */
  ended = false;
  /** Whether its live state is in this process, and nowhere else. */
  claimed = false;
  /** When the claim to it was renewed last, in milliseconds since the epoch. */
  renewedAt = 0;
  /** Whether it was used since somebody last looked whether it is. */
  used = true;
  readonly #endpoint: Endpoint;
  #inflight: InFlight | undefined;
  #questions: Questions | undefined;
  #connections: Map<string, Connection> | undefined;
  #over: Set<string> | undefined;
  /** What the names of the streams that begin here have in common, and no others have. */
  #streamPrefix: string | undefined;
  #streams = 0;

  constructor(endpoint: Endpoint, id: string) {
    this.#endpoint = endpoint;
    this.id = id;
  }

  /** The requests that run in the session. */
  get inflight(): InFlight {
    return this.#inflight ??= new InFlight();
  }

  /** The questions that are open in the session. */
  get questions(): Questions {
    return this.#questions ??= new Questions(
      this.#endpoint.lines.ask,
      this.#endpoint.settings.ownStore ? undefined : this.#endpoint.node,
    );
  }

  /** How many questions are open in the session. */
  get openQuestions(): number {
    return this.#questions?.size ?? 0;
  }

  /** The open connections, by the stream that each reads. */
  get connections(): Map<string, Connection> {
    return this.#connections ??= new Map();
  }

  /** A name for a stream that no other stream of the session has, on whatever node it begins. */
  nameStream(): string {
    this.#streamPrefix ??= randomText(8);
    return `${this.#streamPrefix}${++this.#streams}`;
  }

  /** Whether nothing of it is here that another process couldn't have as well. */
  get idle(): boolean {
    return !this.claimed && (this.#inflight?.size ?? 0) === 0 && this.openQuestions === 0 &&
      (this.#connections?.size ?? 0) === 0;
  }

  get logLevel(): LogLevel | undefined {
    return this.record?.logLevel;
  }

  get state(): SessionState {
    const { id } = this;
    const store = this.#store;
    return {
      get: async (key) => await store.getState(id, key),
      set: async (key, value) => await store.setState(id, key, value),
      delete: async (key) => await store.deleteState(id, key),
    };
  }

  async setLogLevel(level: LogLevel): Promise<void> {
    if (this.record !== undefined) this.record = { ...this.record, logLevel: level };
    await this.#store.update(this.id, { logLevel: level });
  }

  subscribe(uri: string): MaybePromise<"subscribed" | "full" | "gone"> {
    return this.#store.subscribe(this.id, uri, this.#endpoint.settings.limits.subscriptions);
  }

  unsubscribe(uri: string): MaybePromise<void> {
    return this.#store.unsubscribe(this.id, uri);
  }

  /**
   * Notes that a client has come back to a stream that is over.
   *
   * @returns Whether it is the first time
   */
  noteOver(stream: string): boolean {
    const over = this.#over ??= new Set();
    if (over.has(stream)) return false;
    if (over.size >= MOST_OVER) over.clear();
    over.add(stream);
    return true;
  }

  /** Ends everything of the session in this process, in the order that lets each part still end well. */
  end(kind: "session-ended" | "shutdown"): void {
    this.ended = true;
    this.#inflight?.stopAll(kind);
    this.#questions?.abortAll(new StopError(kind));
    for (const connection of [...(this.#connections?.values() ?? [])]) connection.close(kind);
  }

  get #store(): SessionStore {
    return this.#endpoint.backplane.sessions;
  }
}
