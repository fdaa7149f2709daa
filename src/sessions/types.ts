/**
 * What a session is, and what a store of sessions must do.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { ClientFacts } from "../protocol/exchange.ts";
import type { SessionEndReason } from "../protocol/events.ts";
import type { LogLevel } from "../protocol/shapes.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";

/** What is kept of a session. Callers never change a record; they call {@linkcode SessionStore.update}. */
export interface SessionRecord {
  /** Its id. */
  readonly id: string;
  /** The owner's key, or `undefined` while nobody has claimed the session. */
  readonly owner: string | undefined;
  /** When it began, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** The version that was agreed on; `undefined` for a session without a handshake. */
  readonly protocolVersion: ProtocolVersion | undefined;
  /** The client program. */
  readonly client: ClientFacts;
  /** Whether the client has said that it is ready. */
  readonly initialized: boolean;
  /** The least severe level of log message that the client wants. */
  readonly logLevel: LogLevel | undefined;
}

/** What may change in a record. */
export type SessionPatch = Partial<Pick<SessionRecord, "initialized" | "logLevel">>;

/** How many sessions there may be. */
export interface SessionCaps {
  /** In all. */
  readonly sessions: number;
  /** For each owner. */
  readonly sessionsPerPrincipal: number;
}

/** How long sessions last, in milliseconds. */
export interface SessionLifetimes {
  /** Since the last use. */
  readonly idleMs: number;
  /** Since the beginning. */
  readonly absoluteMs: number;
}

/** A session that the store ended by itself. */
export interface EndedSession {
  /** Its id. */
  readonly id: string;
  /** Why. */
  readonly reason: Extract<SessionEndReason, "idle" | "expired" | "evicted">;
}

/** What came of a reservation. */
export interface Reservation {
  /** Whether there is a place. */
  readonly admitted: boolean;
  /** The sessions that had to go for it. The caller ends what is left of them elsewhere. */
  readonly ended: readonly EndedSession[];
}

/** What came of looking a session up, to be read at once: the next call may change it. */
export type Found =
  | { readonly record: SessionRecord; readonly refusal?: undefined }
  | { readonly record?: undefined; readonly refusal: "unknown" | "foreign" }
  | { readonly record?: undefined; readonly refusal: "expired"; readonly ended: EndedSession };

/**
 * Sessions and everything kept with them: owner, state, subscriptions.
 *
 * An implementation MUST
 * - count a reservation like a session, atomically with the check of both caps, so that no burst
 *   passes a cap;
 * - make room, when a cap is reached, by ending the least recently used session that is not held: the
 *   owner's own first (always, where the owner's cap is the one reached), else anybody's; and admit
 *   nobody when all are held;
 * - check expiry on every use: idle for `idleMs` or more unless held, or as old as `absoluteMs` or more,
 *   the latter named when both are true;
 * - change nothing at all, neither last use nor order, when the session is another owner's;
 * - give an unclaimed session to the first owner that uses it, atomically, even when that is more than
 *   the owner's cap;
 * - treat every text as an id that may be unknown (`__proto__`, `constructor`, the empty text);
 * - never let an id that has ended be used, claimed or created again while anybody could remember it;
 * - ignore a call about an unknown session: neither throw nor create anything.
 */
export interface SessionStore {
  /** How many sessions there are, without reservations. */
  readonly size: number;
  /**
   * Takes a place for a session that is about to begin, under the id that it will have. Nobody is
   * admitted under an id that is taken.
   */
  reserve(id: string, owner: string | undefined): MaybePromise<Reservation>;
  /** Gives a reserved place back. */
  release(id: string): MaybePromise<void>;
  /** Turns a reservation into a session, used now. `false` when the reservation is gone. */
  create(record: SessionRecord): MaybePromise<boolean>;
  /** Looks a session up for an owner, checks it, and marks it as used now. */
  use(id: string, owner: string): MaybePromise<Found>;
  /** Looks a session up without using it and whoever owns it. An expired one is as good as unknown. */
  peek(id: string): MaybePromise<SessionRecord | undefined>;
  /** Changes a record. */
  update(id: string, patch: SessionPatch): MaybePromise<void>;
  /** While held, a session is neither idle nor in the way. Holds add up. */
  hold(id: string): void;
  /** Ends one hold; the session counts as used now. */
  free(id: string): void;
  /** Ends a session and forgets everything kept with it. `false` when it was unknown. */
  end(id: string): MaybePromise<boolean>;
  /**
   * Ends the sessions that have expired, at most `limit` of them.
   *
   * @returns The ended ones; fewer than `limit` when no more have expired
   */
  sweep(limit: number): MaybePromise<readonly EndedSession[]>;
  /** The ids of all sessions. */
  ids(): MaybePromise<Iterable<string>>;
  /** A value of the session's state, or `undefined`. */
  getState(id: string, key: string): MaybePromise<unknown>;
  /**
   * Keeps a copy of a JSON value in the session's state; `undefined` forgets the key.
   *
   * @throws {TypeError} If the value can't be written as JSON
   */
  setState(id: string, key: string, value: unknown): MaybePromise<void>;
  /** Forgets a key of the session's state. */
  deleteState(id: string, key: string): MaybePromise<void>;
  /** Subscribes a session to a resource, up to `cap` of them. Doing it again changes nothing. */
  subscribe(id: string, uri: string, cap: number): MaybePromise<"subscribed" | "full" | "gone">;
  /** Ends a subscription, if there is one. */
  unsubscribe(id: string, uri: string): MaybePromise<void>;
  /** The ids of the sessions subscribed to a resource. */
  subscribers(uri: string): MaybePromise<Iterable<string>>;
}
