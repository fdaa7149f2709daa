/**
 * What sends the requests to upstreams where the application doesn't say: the global `fetch`, or on
 * Node what costs less.
 *
 * @module
 */
import { makeNodeFetch } from "./node_fetch.ts";

/** Node's own `fetch`; `undefined` on other runtimes, and where it was replaced before. */
const NODES_FETCH = /^Node\.js\//.test(globalThis.navigator?.userAgent ?? "") &&
    String(globalThis.fetch).includes("internal/deps/undici")
  ? globalThis.fetch
  : undefined;

const nodeFetch = makeNodeFetch();

/** Sends requests by what costs least, unless the application has said how `fetch` is to send them. */
export function defaultFetch(to: string, init: RequestInit): Promise<Response> {
  // Looked up at each call, so that a `fetch` that is replaced later is used.
  const own = globalThis.fetch === NODES_FETCH && !hasOwnDispatcher();
  return own ? nodeFetch(to, init) : globalThis.fetch(to, init);
}

/** Where the versions of Node keep what their `fetch` sends by. */
const DISPATCHERS = [1, 2].map((version) => Symbol.for(`undici.globalDispatcher.${version}`));

/** The dispatcher that was found to be none of the application's own. */
let plainDispatcher: unknown;

/** Whether Node's `fetch` was given a dispatcher, such as one for a proxy. */
function hasOwnDispatcher(): boolean {
  for (const key of DISPATCHERS) {
    const dispatcher: unknown = Reflect.get(globalThis, key);
    if (dispatcher === undefined || dispatcher === plainDispatcher) continue;
    if (!isPlainAgent(dispatcher)) return true;
    plainDispatcher = dispatcher;
  }
  return false;
}

/** Whether a dispatcher is an `Agent` as Node makes it: without options, and nothing put before it. */
function isPlainAgent(dispatcher: unknown): boolean {
  if (typeof dispatcher !== "object" || dispatcher === null) return false;
  const agent: { constructor?: { name?: string }; dispatch?: unknown } = dispatcher;
  const kind: { dispatch?: unknown } = Object.getPrototypeOf(dispatcher);
  if (agent.constructor?.name !== "Agent" || agent.dispatch !== kind.dispatch) return false;
  const symbol = Object.getOwnPropertySymbols(dispatcher)
    .find(({ description }) => description === "options");
  const options: unknown = symbol === undefined ? undefined : Reflect.get(dispatcher, symbol);
  return typeof options === "object" && options !== null &&
    Object.values(options).every((value) => value === undefined || value === Infinity);
}
