/**
 * Implements the 2026 era: stateless requests, each of which describes its client.
 *
 * @module
 */
import type { Calls } from "../calls/calls.ts";
import type { EraEndpoint } from "../http/era.ts";
import type { Slots } from "../internal/slots.ts";
import type { Reporter } from "../protocol/reporter.ts";
import type { Streams } from "../streams/streams.ts";
import { post } from "./post.ts";
import { type ListenSettings, ListenSubscriptions } from "./subscriptions.ts";

/** Creates the endpoint of the era. */
export function era2026(
  calls: Calls,
  streams: Streams,
  slots: Slots,
  listen: ListenSettings,
  reporter: Reporter,
): EraEndpoint {
  const subscriptions = new ListenSubscriptions(calls, listen, streams, slots, reporter);
  const components = { calls, streams, subscriptions };
  return {
    post: (inbound) => post(components, inbound),
    broadcast: (notification, mayKnow) => subscriptions.broadcast(notification, mayKnow),
    get listens() {
      return subscriptions.size;
    },
    get listenFacts() {
      return subscriptions.facts;
    },
    endListens: () => subscriptions.end(calls.serverMeta),
  };
}
