/**
 * What nodes share to be one endpoint: how they tell each other, how one of them holds something
 * alone, which of them live, and what all of them go by.
 *
 * A node is one handler. Its id is a text of 16 characters out of `A-Z a-z 0-9 - _`, new each time.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { EventLog, EventLogLimits } from "../streams/types.ts";
import type { SessionCaps, SessionLifetimes, SessionStore } from "../sessions/types.ts";

/**
 * Carries texts between nodes. What they say, and whether it may be believed, is not its business:
 * where a store is shared between processes its handlers sign what they send.
 *
 * An implementation MUST
 * - hand a text to a listener at most once, and never to its sender;
 * - hand the texts of one sender over in the order in which `publish` and `send` were called, both
 *   together, also while earlier calls are pending;
 * - hand nothing over before `join` has returned, nor in the middle of a call of `publish` or `send`;
 * - go on when a listener throws;
 * - fail (reject or throw) rather than wait for ever when it can't tell, and come back by itself:
 *   texts published meanwhile may be lost, never kept for later.
 */
export interface Bus {
  /**
   * Joins the bus.
   *
   * @param node The node's id; no two that are there at a time have the same
   * @param listener Hears what others publish, and what they send to this node
   */
  join(node: string, listener: (text: string) => void): BusMember;
}

/** One node's place on a {@linkcode Bus}. */
export interface BusMember {
  /** Tells all others. */
  publish(text: string): MaybePromise<void>;
  /**
   * Tells one other node.
   *
   * @returns `false` only when it is sure that the node doesn't get the text, now or later, so that
   * it may be sent again; `true` when it may have got it
   * @throws When nothing is known
   */
  send(node: string, text: string): MaybePromise<boolean>;
  /** Hears nothing more and can tell nothing more. Safe to call twice. */
  leave(): void;
}

/** Something that one holder at a time holds. */
export interface Lease {
  /** Rises with every change of holder, so that an old holder can be told from the new one. */
  readonly token: number;
  /** Lets go, if it is still held under this token. Safe to call twice. */
  release(): void;
}

/** For how long a lease that is not renewed is held, in milliseconds. */
export const LEASE_TTL_MS = 30_000;
/** How often a lease is renewed while it is held, in milliseconds. */
export const LEASE_RENEW_MS = 10_000;

/**
 * Things that one holder in the whole cluster holds at a time.
 *
 * An implementation MUST
 * - give every lease of a key a higher token than any before it;
 * - call `lost` of the old holder once when somebody takes over, on whatever node it is, never after
 *   its release;
 * - let a release under an old token change nothing;
 * - where a holder may die without letting go: hold a lease for {@linkcode LEASE_TTL_MS}, renew it by
 *   itself every {@linkcode LEASE_RENEW_MS}, and call `lost` once when two renewals in a row fail or
 *   one finds that somebody else holds the key.
 */
export interface Leases {
  /** Takes a key over from whoever holds it. */
  take(key: string, lost: () => void): MaybePromise<Lease>;
  /** Takes a key only when nobody holds it. */
  tryTake(key: string, lost: () => void): MaybePromise<Lease | undefined>;
  /** Whether anybody holds a key. */
  held(key: string): MaybePromise<boolean>;
}

/** What a node says of itself. */
export interface NodeFacts {
  /** Its id. */
  readonly id: string;
  /** The URL under which other nodes reach it over HTTP, if they do. */
  readonly url?: string;
}

/** For how long a node lives that says nothing more, in milliseconds. */
export const NODE_TTL_MS = 30_000;
/** How often a node says that it lives, in milliseconds. */
export const NODE_BEAT_MS = 10_000;

/**
 * Which nodes live.
 *
 * An implementation MUST forget a node `ttlMs` after its last `beat`, by the store's own clock, and
 * treat every text as an id that may be unknown.
 */
export interface Nodes {
  /** Says that a node lives for `ttlMs` milliseconds from now. */
  beat(node: NodeFacts, ttlMs: number): MaybePromise<void>;
  /** What a node said last, or `undefined` when it doesn't live. */
  find(id: string): MaybePromise<NodeFacts | undefined>;
  /** Says that a node lives no more. */
  leave(id: string): MaybePromise<void>;
}

/** For how long a claim lasts that is not renewed, in milliseconds. */
export const CLAIM_TTL_MS = 300_000;

/**
 * Which node holds the live state of which pinned session. Unlike a lease, a claim is never taken
 * over.
 *
 * An implementation MUST decide and write in one step in `claim` and `release`, forget a claim `ttlMs`
 * after it was made or renewed last, by the store's own clock, and treat every text as a session that
 * may be unknown.
 */
export interface Claims {
  /**
   * Claims a session for a node: nobody's is taken, the node's own is renewed for `ttlMs`
   * milliseconds from now, another's is left as it is.
   *
   * @returns The node that holds it now
   */
  claim(session: string, node: string, ttlMs: number): MaybePromise<string>;
  /** The node that holds a session, or `undefined` when none does. */
  holder(session: string): MaybePromise<string | undefined>;
  /** Gives a node's claim up. Another's is left as it is. */
  release(session: string, node: string): MaybePromise<void>;
}

/** A text that all nodes go by. */
export interface SharedDocument {
  /** 1 for the first that was put under the name, and one more for each after it. */
  readonly version: number;
  /** What was put: JSON. */
  readonly text: string;
}

/** The most bytes of a {@linkcode SharedDocument}'s text, as UTF-8. */
export const MOST_DOCUMENT_BYTES = 1024 * 1024;

/**
 * Texts that all nodes go by, also those that join later. Few, small and seldom changed. They last
 * until they are put again.
 *
 * An implementation MUST compare and write in one step in `put`. It need not tell anybody: whoever
 * puts one does.
 */
export interface Documents {
  /** What was put under a name last, or `undefined`. */
  get(name: string): MaybePromise<SharedDocument | undefined>;
  /**
   * Puts a text under a name, in the place of what is there.
   *
   * @param expected Does so only when the version that is there is this one; 0 means none
   * @returns The new version, or `undefined` when another than the expected one is there
   */
  put(name: string, text: string, expected?: number): MaybePromise<number | undefined>;
}

/** Everything that handlers share to be one endpoint. */
export interface Backplane {
  /** The sessions and everything kept with them. */
  readonly sessions: SessionStore;
  /** The sessions' streams. */
  readonly log: EventLog;
  /** How handlers tell each other. */
  readonly bus: Bus;
  /** What one handler at a time holds. */
  readonly leases: Leases;
  /** Which handlers live. */
  readonly nodes: Nodes;
  /** Which handler holds which pinned session. */
  readonly claims: Claims;
  /** What all handlers go by. */
  readonly documents: Documents;
  /**
   * 32 random bytes, the same for every handler of the store. A store that other processes can have
   * MUST NOT give any: its handlers are given keys as options.
   */
  readonly secret?: Uint8Array;
}

/** What a handler's options say about the things that a {@linkcode Store} keeps. */
export interface StoreSettings {
  /** Where the time comes from. */
  readonly clock: Clock;
  /** How many sessions there may be. */
  readonly caps: SessionCaps;
  /** How long sessions last. */
  readonly lifetimes: SessionLifetimes;
  /** How much of streams is kept. */
  readonly log: Required<EventLogLimits>;
}

/** Where handlers keep what they share. Handlers with the same store are one endpoint. */
export interface Store {
  /**
   * Whether other processes can have the same store. Handlers then sign what they tell each other,
   * and refuse to start without `requests.stateKeys`.
   *
   * @default {false}
   */
  readonly shared?: boolean;
  /** Called once by each handler. Every call of one store MUST lead to the same things kept. */
  open(settings: StoreSettings): Backplane;
}
