/**
 * Defines what the nodes of a cluster share: messages, the registry of nodes, claims to pinned sessions,
 * and documents.
 *
 * A node is one handler. Its id is 16 characters out of `A-Z a-z 0-9 - _`, new for each handler.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { QuotaStore } from "../internal/quota_store.ts";
import type { RecordStore } from "../internal/record_store.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { TaskStore } from "../protocol/task_store.ts";
import type { Leases } from "../streams/leases.ts";
import type { EventBudgetLimits } from "../streams/event_budget.ts";
import type { EventLog, EventLogLimits } from "../streams/types.ts";
import type { SessionCaps, SessionLifetimes, SessionStore } from "../sessions/types.ts";

/**
 * Delivers messages, which are strings, between nodes. It need not protect them: handlers of different
 * processes encrypt their messages.
 *
 * An implementation MUST
 * - deliver a message to a listener at most once, and never to its sender;
 * - deliver the messages of one sender in the order of its `publish` and `send` calls, both together, also
 *   while earlier calls are pending;
 * - deliver nothing before `join` has returned, nor during a call of `publish` or `send`;
 * - continue if a listener throws;
 * - throw or reject within a limited time if it fails, and recover automatically: messages published
 *   meanwhile may be lost, but never delivered later.
 */
export interface Bus {
  /**
   * Joins the bus.
   *
   * @param node The node's id, unique among the present nodes
   * @param listener Called with each message that other nodes publish, or send to this node
   * @param onMissed Called when messages arrive again after a time in which some may have been missed
   */
  join(node: string, listener: (text: string) => void, onMissed?: () => void): BusMember;
}

/** A node's membership of a {@linkcode Bus}. */
export interface BusMember {
  /** Sends a message to all other nodes. */
  publish(text: string): MaybePromise<void>;
  /**
   * Sends a message to one other node.
   *
   * @returns `false` if the node has certainly not received the message and never will, so that it may be
   * sent again; `true` if the node may have received it
   * @throws {Error} If neither is known
   */
  send(node: string, text: string): MaybePromise<boolean>;
  /** Leaves the bus: nothing more is received or sent. Safe to call twice. */
  leave(): void;
}

/** A node's description of itself. */
export interface NodeFacts {
  /** The node's id. */
  readonly id: string;
  /** The node's proof that it has written this itself. Handlers make and check it; stores keep it. */
  readonly proof?: string;
}

/** The time for which a node is alive after its last heartbeat, in milliseconds. */
export const NODE_TTL_MS = 30_000;
/** The time between two heartbeats of a node, in milliseconds. */
export const NODE_BEAT_MS = 10_000;

/** The time for which the calls of a node count as running after its last sign of life, in milliseconds. */
export const SILENT_MS = 6_000;
/** The time between two signs of life of a node, in milliseconds. */
export const PRESENT_MS = 2_000;

/**
 * A registry of the nodes that are alive.
 *
 * An implementation MUST forget a node `ttlMs` milliseconds after its last `beat`, by the store's own
 * clock, keep the `proof` of a description, and accept every string as an id.
 */
export interface Nodes {
  /** Records a heartbeat: the node is alive for `ttlMs` milliseconds from now. */
  beat(node: NodeFacts, ttlMs: number): MaybePromise<void>;
  /** Returns the description of a node, or `undefined` if it isn't alive. */
  find(id: string): MaybePromise<NodeFacts | undefined>;
  /** Forgets a node. */
  leave(id: string): MaybePromise<void>;
}

/** The time after which a claim expires unless renewed, in milliseconds. */
export const CLAIM_TTL_MS = 300_000;

/**
 * A registry of what only one may have: of pinned sessions, by the node that holds the live state of
 * each; and of the states of 2026 requests that may be used once, by the use. Unlike a lease, a claim is
 * never taken over.
 *
 * An implementation MUST make `claim` and `release` atomic, forget a claim `ttlMs` milliseconds after it
 * was made or last renewed, by the store's own clock, and accept every string as a session id and as a
 * node.
 */
export interface Claims {
  /**
   * Claims a session for a node, or renews the node's claim, for `ttlMs` milliseconds from now. Changes
   * nothing if another node has claimed it.
   *
   * @returns The node that has claimed it now
   */
  claim(session: string, node: string, ttlMs: number): MaybePromise<string>;
  /** Returns the node that has claimed a session, or `undefined`. */
  holder(session: string): MaybePromise<string | undefined>;
  /** Releases a node's claim. Changes nothing if another node has claimed the session. */
  release(session: string, node: string): MaybePromise<void>;
}

/** A document that all nodes apply. */
export interface SharedDocument {
  /** The version: 1 for the first document of its name, increased by 1 with each replacement. */
  readonly version: number;
  /** The document as JSON text, encrypted if processes share the store. */
  readonly text: string;
}

/**
 * The maximum number of bytes of a {@linkcode SharedDocument}'s text, as UTF-8: a document of 1 MiB fits when
 * it is encrypted and written as base64.
 */
export const MOST_DOCUMENT_BYTES = 1024 * 1024 * 3 / 2;

/**
 * Stores documents that all nodes apply, also nodes that join later: few, small and seldom changed. They
 * never expire.
 *
 * An implementation MUST make `put` atomic. It need not notify other nodes: the handler does.
 */
export interface Documents {
  /** Returns the current document of a name, or `undefined`. */
  get(name: string): MaybePromise<SharedDocument | undefined>;
  /**
   * Replaces the document of a name.
   *
   * @param expected The version to replace, 0 if there must be none yet; any when left out
   * @returns The new version, or `undefined` if the current version is not the expected one
   */
  put(name: string, text: string, expected?: number): MaybePromise<number | undefined>;
}

/**
 * Connects the handlers of a store with each other. Its parameter and its result are internal: use
 * `connectNodes`.
 */
export type ConnectNodes = (handler: never) => object;

/** The storage that the handlers of one endpoint share. */
export interface Backplane {
  /** The sessions. */
  readonly sessions: SessionStore;
  /** The event logs of the sessions' streams. */
  readonly log: EventLog;
  /** The bus for messages between handlers. */
  readonly bus: Bus;
  /** The leases. */
  readonly leases: Leases;
  /** The registry of handlers that are alive. */
  readonly nodes: Nodes;
  /** The claims to pinned sessions. */
  readonly claims: Claims;
  /** Documents that all handlers apply. */
  readonly documents: Documents;
  /**
   * The tasks of the tasks extension. Without it, each process has its own: a task is unknown to the
   * other handlers, and ends with its process.
   */
  readonly tasks?: TaskStore;
  /** Connects the handlers over `bus` and `nodes`. MUST be `connectNodes` of `@mooring/mcp/store`. */
  readonly connect: ConnectNodes;
  /**
   * Whether sessions outlive the process, and only one process uses the store at a time: what an earlier one
   * has claimed nobody has any more.
   *
   * @default {false}
   */
  readonly durable?: boolean;
  /**
   * A random secret of 32 bytes, the same for every handler of the store. A store that other processes can
   * use MUST NOT have one: its handlers are given keys as options.
   */
  readonly secret?: Uint8Array;
}

/** The settings that a handler passes to its {@linkcode Store}. */
export interface StoreSettings {
  /** The source of time. */
  readonly clock: Clock;
  /** The maximum numbers of sessions. */
  readonly caps: SessionCaps;
  /** The lifetimes of sessions. */
  readonly lifetimes: SessionLifetimes;
  /** The limits of the event log. */
  readonly log: Required<EventLogLimits>;
  /**
   * The memory of this process for the event logs of all sessions; not limited when left out. A store that
   * keeps events elsewhere has no use for it.
   */
  readonly eventBudget?: EventBudgetLimits;
  /**
   * Secrets of 32 bytes or more, the same for all handlers of a store that other processes can use:
   * `cluster.keys`, or `requests.stateKeys` without them. Such a store seals with keys that it derives from
   * the first, opens with all, and MUST refuse to open without. `undefined` for a store of one process.
   */
  readonly keys?: readonly (string | Uint8Array)[] | undefined;
}

/** A store for what handlers share. Handlers with the same store are one endpoint. */
export interface Store {
  /**
   * Whether other processes can use the same store. Handlers then encrypt what they send each other, and
   * refuse to start without `requests.stateKeys`.
   *
   * @default {false}
   */
  readonly shared?: boolean;
  /**
   * Whether what it has is there again after a restart of the process.
   *
   * @default {false}
   */
  readonly durable?: boolean;
  /** Opens the store for one handler. All calls on one store MUST return the same storage. */
  open(settings: StoreSettings): Backplane;
  /**
   * Returns what counts for all nodes together: limits for each principal, and the tokens of rate limits.
   * All calls on one store MUST return the same counts. When left out, they count for each node alone.
   *
   * @param clock The source of time
   */
  quotas?(clock: Clock): QuotaStore;
  /**
   * Returns the records that expire: codes, grants and registered clients of sign-in. All calls on one store
   * MUST return the same records.
   *
   * @param clock The source of time
   */
  records?(clock: Clock): RecordStore;
  /**
   * Returns the records of users' state, apart from those of {@linkcode Store.records}. All calls on one
   * store MUST return the same records. Without it, the handlers keep no state of users. What other processes
   * can read is sealed by the handlers.
   *
   * @param clock The source of time
   * @param most The maximum number of records
   */
  userStates?(clock: Clock, most: number): RecordStore;
  /**
   * Returns the records of kept answers, apart from all others: one for each owner, and one for each call
   * that runs. All calls on one store MUST return the same records. Without it, no tool may have `answerOnce`.
   * What other processes can read is sealed by the handlers.
   *
   * @param clock The source of time
   * @param most The maximum number of records
   */
  answers?(clock: Clock, most: number): RecordStore;
}
