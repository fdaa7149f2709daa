/**
 * Defines the components of an endpoint that the 2026 era uses.
 *
 * @module
 */
import type { Calls } from "../calls/calls.ts";
import type { Streams } from "../streams/streams.ts";
import type { ListenSubscriptions } from "./subscriptions.ts";

/** The components that the era uses. */
export interface Era2026Components {
  readonly calls: Calls;
  readonly streams: Streams;
  readonly subscriptions: ListenSubscriptions;
}
