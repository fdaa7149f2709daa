/**
 * Dispatchers that answer all requests with one function.
 *
 * @module
 */
import { ANONYMOUS, type Dispatcher, type Exchange } from "../../src/protocol/exchange.ts";
import type { Hidden } from "../../src/protocol/items.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import type { Route } from "../../src/protocol/route.ts";

/** Creates a dispatcher's `route` that leads to the same function for every request. */
export function routing(run: Route["run"], more: Partial<Route> = {}): Dispatcher["route"] {
  return (message) => ({ ...message, run, ...more });
}

/** Returns what a request is about. */
export function targetOf(dispatcher: Dispatcher, method: string, params: JsonObject) {
  return dispatcher.route({ method, params }, ANONYMOUS).target;
}

/** Fails a request as if what it is about were unknown. */
export function hide(dispatcher: Dispatcher, exchange: Exchange, hidden: Hidden) {
  const { method, params, principal } = exchange;
  return dispatcher.route({ method, params }, principal).hide?.(exchange, hidden);
}
