/**
 * What the nodes of a cluster share to be one endpoint: messages, live nodes, claims to pinned
 * sessions, and documents.
 *
 * A node is one handler. Its id is 16 characters out of `A-Z a-z 0-9 - _`, new for each handler.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { Leases } from "../streams/leases.ts";
import type { EventLog, EventLogLimits } from "../streams/types.ts";
import type { SessionCaps, SessionLifetimes, SessionStore } from "../sessions/types.ts";

/**
 * Carries texts between nodes. It neither reads nor trusts them: where processes share a store, their
 * handlers sign what they send.
 *
 * An implementation MUST
 * - deliver a text to a listener at most once, and never to its sender;
 * - deliver the texts of one sender in the order of its `publish` and `send` calls, both together, also
 *   while earlier calls are pending;
 * - deliver nothing before `join` has returned, nor during a call of `publish` or `send`;
 * - continue when a listener throws;
 * - fail (reject or throw) rather than wait for ever when it doesn't know, and recover by itself:
 *   texts published meanwhile may be lost, never delivered later.
 */
export interface Bus {
  /**
   * Joins the bus.
   *
   * @param node The node's id; no two present nodes have the same
   * @param listener Takes what other nodes publish, and what they send to this node
   */
  join(node: string, listener: (text: string) => void): BusMember;
}

/** One node's place on a {@linkcode Bus}. */
export interface BusMember {
  /** Sends a text to all other nodes. */
  publish(text: string): MaybePromise<void>;
  /**
   * Sends a text to one other node.
   *
   * @returns `false` only when it is certain that the node doesn't get the text, now or later, so that
   * it may be sent again; `true` when the node may have got it
   * @throws When nothing is known
   */
  send(node: string, text: string): MaybePromise<boolean>;
  /** Leaves the bus: nothing is received or sent any more. Safe to call twice. */
  leave(): void;
}

/** What a node tells about itself. */
export interface NodeFacts {
  /** Its id. */
  readonly id: string;
}

/** How long a node counts as alive after its last beat, in milliseconds. */
export const NODE_TTL_MS = 30_000;
/** How often a node beats, in milliseconds. */
export const NODE_BEAT_MS = 10_000;

/**
 * The nodes that are alive.
 *
 * An implementation MUST forget a node `ttlMs` after its last `beat`, by the store's own clock, and
 * treat every text as an id that may be unknown.
 */
export interface Nodes {
  /** Notes that a node is alive for `ttlMs` milliseconds from now. */
  beat(node: NodeFacts, ttlMs: number): MaybePromise<void>;
  /** Finds what a node told last, or `undefined` when it isn't alive. */
  find(id: string): MaybePromise<NodeFacts | undefined>;
  /** Forgets a node. */
  leave(id: string): MaybePromise<void>;
}

/** How long a claim lasts that is not renewed, in milliseconds. */
export const CLAIM_TTL_MS = 300_000;

/**
 * The node that holds the live state of each pinned session. Unlike a lease, a claim is never taken
 * over.
 *
 * An implementation MUST decide and write in one step in `claim` and `release`, forget a claim `ttlMs`
 * after it was made or last renewed, by the store's own clock, and treat every text as a session that
 * may be unknown.
 */
export interface Claims {
  /**
   * Claims a session for a node: a free one is taken, the node's own is renewed for `ttlMs`
   * milliseconds from now, another node's is left as it is.
   *
   * @returns The node that holds it now
   */
  claim(session: string, node: string, ttlMs: number): MaybePromise<string>;
  /** The node that holds a session, or `undefined` when none does. */
  holder(session: string): MaybePromise<string | undefined>;
  /** Gives up a node's claim; another node's is left as it is. */
  release(session: string, node: string): MaybePromise<void>;
}

/** A document that all nodes apply. */
export interface SharedDocument {
  /** 1 for the first document of its name, and one more for each after it. */
  readonly version: number;
  /** Its JSON text. */
  readonly text: string;
}

/** The most bytes of a {@linkcode SharedDocument}'s text, as UTF-8. */
export const MOST_DOCUMENT_BYTES = 1024 * 1024;

/**
 * Documents that all nodes apply, also nodes that join later: few, small and seldom changed. They last
 * until they are replaced.
 *
 * An implementation MUST compare and write in one step in `put`. It need not notify other nodes: the
 * handler that puts a document does.
 */
export interface Documents {
  /** Gets the present document of a name, or `undefined`. */
  get(name: string): MaybePromise<SharedDocument | undefined>;
  /**
   * Replaces the document of a name.
   *
   * @param expected The version that must be present; 0 means none. Any when left out
   * @returns The new version, or `undefined` when another version than the expected one is present
   */
  put(name: string, text: string, expected?: number): MaybePromise<number | undefined>;
}

/** Everything that the handlers of one endpoint share. */
export interface Backplane {
  /** The sessions and everything kept with them. */
  readonly sessions: SessionStore;
  /** The sessions' streams. */
  readonly log: EventLog;
  /** How handlers send each other messages. */
  readonly bus: Bus;
  /** Keys that one handler at a time holds. */
  readonly leases: Leases;
  /** The handlers that are alive. */
  readonly nodes: Nodes;
  /** The handler that holds each pinned session. */
  readonly claims: Claims;
  /** Documents that all handlers apply. */
  readonly documents: Documents;
  /**
   * 32 random bytes, the same for every handler of the store. A store that other processes can use
   * MUST NOT have any: its handlers are given keys as options.
   */
  readonly secret?: Uint8Array;
}

/** The part of a handler's options that its {@linkcode Store} needs. */
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

/** Keeps what handlers share. Handlers with the same store are one endpoint. */
export interface Store {
  /**
   * Whether other processes can use the same store. Handlers then sign what they send each other, and
   * refuse to start without `requests.stateKeys`.
   *
   * @default {false}
   */
  readonly shared?: boolean;
  /** Opens the store for one handler. Every call of one store MUST lead to the same kept state. */
  open(settings: StoreSettings): Backplane;
}
