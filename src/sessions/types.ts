/**
 * Defines sessions as they are stored, and the contract of the session store.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { ClientFacts } from "../protocol/exchange.ts";
import type { SessionEndReason } from "../protocol/events.ts";
import type { LogLevel } from "../protocol/shapes.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";

/** The stored data of a session. Callers never change a record; they call {@linkcode SessionStore.update}. */
export interface SessionRecord {
  /** The session's id. */
  readonly id: string;
  /** The owner key of its principal; `undefined` until its first use if no principal began it. */
  readonly owner: string | undefined;
  /** When the session began, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** The negotiated version; `undefined` for a session without a handshake. */
  readonly protocolVersion: ProtocolVersion | undefined;
  /** The client program. */
  readonly client: ClientFacts;
  /**
   * Whether the client has sent `notifications/initialized`; `"sending"` while the messages that were queued
   * until then are being sent.
   */
  readonly initialized: boolean | "sending";
  /** The least severe log level that the client wants; `undefined` until it has set one. */
  readonly logLevel: LogLevel | undefined;
}

/** Changes of a record. */
export type SessionPatch = Partial<Pick<SessionRecord, "initialized" | "logLevel">>;

/** The maximum numbers of sessions. */
export interface SessionCaps {
  /** Sessions in total. */
  readonly sessions: number;
  /** Sessions of each share, which is one user with all its clients: see `shareKey`. */
  readonly sessionsPerPrincipal: number;
}

/** The lifetimes of sessions, in milliseconds. */
export interface SessionLifetimes {
  /** Milliseconds since the last use after which a session expires. */
  readonly idleMs: number;
  /** Milliseconds since its beginning after which a session expires. */
  readonly absoluteMs: number;
}

/** A session that the store has ended because it expired or was evicted. */
export interface EndedSession {
  /** The session's id. */
  readonly id: string;
  /** The reason. */
  readonly reason: Extract<SessionEndReason, "idle" | "expired" | "evicted">;
}

/** The result of a reservation. */
export interface Reservation {
  /** Whether a place was reserved. */
  readonly admitted: boolean;
  /** The sessions that were ended for it. The caller cleans up what is left of them elsewhere. */
  readonly ended: readonly EndedSession[];
}

/** The result of looking a session up. Read it synchronously: the next call may change it. */
export type Found =
  | { readonly record: SessionRecord; readonly refusal?: undefined }
  | { readonly record?: undefined; readonly refusal: "unknown" | "foreign" }
  | { readonly record?: undefined; readonly refusal: "expired"; readonly ended: EndedSession };

/**
 * Stores sessions with their owner, state and subscriptions.
 *
 * A hold prevents a session from expiring by idleness and from being evicted, while a request runs or a
 * stream is open: {@linkcode SessionStore.hold} adds one, {@linkcode SessionStore.free} removes one.
 *
 * An implementation MUST
 * - count sessions by the `shareKey` of their owner, never by the owner: all clients of a user share;
 * - count a reservation like a session, atomically with the check of both caps, so that concurrent
 *   reservations never exceed a cap;
 * - make room, if a cap is reached, by ending the least recently used session without holds: of the
 *   same share first (only of the same share if its own cap is reached), else of any share; and refuse
 *   the reservation if all have holds;
 * - check expiry on every use: a session expires without holds when unused for `idleMs` or more, and
 *   always at the age of `absoluteMs` or more, which is the reason if both apply;
 * - change nothing, neither last use nor order, if the session belongs to another owner;
 * - assign a session without an owner to the first owner that uses it, atomically, even above the
 *   cap of the owner's share;
 * - accept every string as an id (`__proto__`, `constructor`, the empty string);
 * - never use or create a session again under an id that has ended, while a client may remember it;
 * - ignore a call about an unknown session: neither throw nor create anything.
 */
export interface SessionStore {
  /** The number of sessions, without reservations. */
  readonly size: number;
  /**
   * Returns the id of a session that is about to begin, for a store that finds a session's place by its id;
   * `undefined` for a random one. It MUST have the syntax of a session id, and be as hard to guess.
   */
  mintId?(): string | undefined;
  /**
   * Reserves a place for a session that is about to begin, under its id. Refuses an id that is in use.
   */
  reserve(id: string, owner: string | undefined): MaybePromise<Reservation>;
  /** Releases a reservation. */
  release(id: string): MaybePromise<void>;
  /** Turns a reservation into a session, used now. Returns `false` if there is no reservation. */
  create(record: SessionRecord): MaybePromise<boolean>;
  /**
   * Looks a session up for an owner, checks it, and marks it as used now.
   *
   * @param begins Whether a request begins that holds the session: a store that writes holds later than they
   * begin must protect it until then
   */
  use(id: string, owner: string, begins?: boolean): MaybePromise<Found>;
  /** Looks a session up for any owner, without using it. Returns `undefined` for an expired one. */
  peek(id: string): MaybePromise<SessionRecord | undefined>;
  /** Changes a record. */
  update(id: string, patch: SessionPatch): MaybePromise<void>;
  /** Adds a hold: the session neither expires by idleness nor is evicted until all holds are freed. */
  hold(id: string): void;
  /** Removes one hold, and marks the session as used now. */
  free(id: string): void;
  /** Ends a session and deletes everything kept with it. Returns `false` if it was unknown. */
  end(id: string): MaybePromise<boolean>;
  /**
   * Ends expired sessions, at most `limit` of them.
   *
   * @returns The ended ones; fewer than `limit` if no more have expired
   */
  sweep(limit: number): MaybePromise<readonly EndedSession[]>;
  /** Lists the ids of all sessions. */
  ids(): MaybePromise<Iterable<string>>;
  /**
   * Lists the ids of all sessions with the time of their last use, in milliseconds since the epoch;
   * `undefined` while a session has holds. It may lag by seconds behind other processes. Optional: the dashboard shows no idle times without it.
   */
  uses?(): MaybePromise<Iterable<readonly [id: string, usedAt: number | undefined]>>;
  /** Returns a value of the session's state, or `undefined`. */
  getState(id: string, key: string): MaybePromise<unknown>;
  /**
   * Stores a copy of a JSON value in the session's state; `undefined` deletes the key.
   *
   * @param most The maximum number of bytes of all keys and values of the session, as JSON in UTF-8; any
   * number when left out. MUST be checked atomically; a value that is not larger than the one before it
   * MUST be stored all the same
   * @throws {TypeError} If the value can't be written as JSON
   * @throws {RangeError} If there would be more bytes
   */
  setState(id: string, key: string, value: unknown, most?: number): MaybePromise<void>;
  /** Deletes a key of the session's state. */
  deleteState(id: string, key: string): MaybePromise<void>;
  /** Subscribes a session to a resource, up to `cap` resources. Subscribing again changes nothing. */
  subscribe(id: string, uri: string, cap: number): MaybePromise<"subscribed" | "full" | "gone">;
  /** Ends a subscription, if there is one. */
  unsubscribe(id: string, uri: string): MaybePromise<void>;
  /** Lists the ids of the sessions subscribed to a resource. */
  subscribers(uri: string): MaybePromise<Iterable<string>>;
}
