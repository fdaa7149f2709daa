/**
 * What a server has to offer to be measured: the same tools as all others, behind one function.
 *
 * @module
 */
import type { Store } from "../../src/cluster/types.ts";
import type { Clock } from "../../src/internal/clock.ts";
import type { MaybePromise } from "../../src/internal/types.ts";
import type { KindName } from "../kinds.ts";

/** What a server is made for. */
export interface StackInit {
  readonly kind: KindName;
  /** How many tools it lists. The ones that are called come first. */
  readonly tools: number;
  /** How many sessions, and streams, there must be room for. */
  readonly room: number;
  /** Where the time comes from, for servers that let themselves be told. */
  readonly clock?: Clock;
  /** What it shares with others, for servers that can. */
  readonly store?: Store;
}

/** A server. */
export interface Stack {
  /** Answers a request. */
  answer(request: Request): MaybePromise<Response>;
  /** Sends one notification on a session's GET stream. */
  notify?(session: string): unknown;
  /** Sends one notification on the GET streams of all sessions. Where there is this, it is measured. */
  broadcast?(): void;
}

/** A server that listens. */
export interface Listening {
  /** Where it listens on loopback. */
  readonly port: number;
}

/** A kind of server: one file in this folder. */
export interface StackModule {
  /** What heads its column. */
  readonly title: string;
  /** What it can do. */
  readonly kinds: readonly KindName[];
  /** What a client says that it accepts when it wants JSON. Both forms when left out. */
  readonly acceptJson?: string;
  /** What a client says that it accepts when it wants a stream. Streams alone when left out. */
  readonly acceptSse?: string;
  /** Makes one. */
  make(init: StackInit): MaybePromise<Stack>;
  /** Listens, where it has a server of its own; else it is put behind the runtime's. */
  listen?(init: StackInit): Promise<Listening>;
}
