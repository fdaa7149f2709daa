/**
 * The contract of an era: how the requests of one way of speaking MCP are answered.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { Notification } from "../protocol/exchange.ts";
import type { Inbound } from "./inbound.ts";
import type { Reply } from "./reply.ts";

/** Answers the requests of one era. Their principal is known and authorized. */
export interface EraEndpoint {
  /** Answers a POST. */
  post(inbound: Inbound): MaybePromise<Reply>;
  /** Answers a GET. An era without one has no such requests. */
  get?(inbound: Inbound): MaybePromise<Reply>;
  /** Answers a DELETE. An era without one has no such requests. */
  delete?(inbound: Inbound): MaybePromise<Reply>;
  /** Sends a notification to the clients of this era that subscribed to it at this node. */
  broadcast?(notification: Notification): void;
  /** How many subscription requests are open. */
  readonly listens?: number;
  /** Ends subscriptions, because the endpoint closes. */
  endListens?(): void;
}
