/**
 * What nodes tell each other, and how one of them holds something alone.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { JsonObject, JsonRpcResponse, RequestId } from "../protocol/jsonrpc.ts";
import type { Notification } from "../protocol/exchange.ts";
import type { SessionEndReason } from "../protocol/events.ts";
import type { EventLog, EventLogLimits } from "../streams/types.ts";
import type { SessionCaps, SessionLifetimes, SessionStore } from "../sessions/types.ts";

/** What a node tells all others. */
export type BusMessage =
  /** A client cancelled a request of its session. */
  | {
    readonly kind: "cancel";
    readonly session: string;
    readonly request: RequestId;
    readonly reason?: string;
  }
  /** A client answered a question that was asked in its session. */
  | { readonly kind: "reply"; readonly session: string; readonly response: JsonRpcResponse }
  /** A session ended. */
  | { readonly kind: "ended"; readonly session: string; readonly reason: SessionEndReason }
  /** Something for every session. */
  | { readonly kind: "broadcast"; readonly notification: Notification }
  /** Something for the application's own use. */
  | { readonly kind: "application"; readonly data: JsonObject };

/**
 * Carries messages between nodes.
 *
 * An implementation MUST hand a message to every other node's listener at most once, in the order
 * in which its sender published it, and never to the sender itself.
 */
export interface Bus {
  /** Joins the bus under a name. The listener hears what others publish. */
  join(listener: (message: BusMessage) => void): BusMember;
}

/** One node's place on a {@linkcode Bus}. */
export interface BusMember {
  /** Tells all others. */
  publish(message: BusMessage): MaybePromise<void>;
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

/**
 * Things that one holder in the whole cluster holds at a time.
 *
 * An implementation MUST give every lease of a key a higher token than any before it, call `lost` of
 * the old holder once when somebody takes over, never after its release, and let a release under an
 * old token change nothing.
 */
export interface Leases {
  /** Takes a key over from whoever holds it. */
  take(key: string, lost: () => void): MaybePromise<Lease>;
  /** Takes a key only when nobody holds it. */
  tryTake(key: string, lost: () => void): MaybePromise<Lease | undefined>;
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
  /** Called once by each handler. Every call of one store MUST lead to the same things kept. */
  open(settings: StoreSettings): Backplane;
}
