/**
 * Defines the contract of an era: it answers the requests of its protocol versions.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { Notification, Principal } from "../protocol/exchange.ts";
import type { Inbound } from "./inbound.ts";
import type { Reply } from "./reply.ts";

/** What is known about an open `subscriptions/listen` request. */
export interface ListenFacts {
  /** The owner key of the principal. */
  readonly owner: string;
  /** The number of messages sent. */
  readonly sent: number;
  /** The bytes that the client has not read yet. */
  readonly buffered: number;
  /** Whether its buffer is half full. */
  readonly full: boolean;
  /** Ends it: its principal may no longer listen. */
  close(): void;
}

/** Answers the requests of one era. Their principal has been authenticated and authorized. */
export interface EraEndpoint {
  /** Answers a POST. */
  post(inbound: Inbound): MaybePromise<Reply>;
  /** Answers a GET; absent if the era has none. */
  get?(inbound: Inbound): MaybePromise<Reply>;
  /** Answers a DELETE; absent if the era has none. */
  delete?(inbound: Inbound): MaybePromise<Reply>;
  /** Sends a notification to this node's clients of the era that subscribed to it. */
  broadcast?(notification: Notification, mayKnow?: (principal: Principal) => boolean): void;
  /** The number of open `subscriptions/listen` requests. */
  readonly listens?: number;
  /** What is known about each of them. */
  readonly listenFacts?: readonly ListenFacts[];
  /** Ends all subscriptions when the endpoint closes. */
  endListens?(): void;
}
