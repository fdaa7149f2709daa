/**
 * Makes upstreams wait until they are asked for.
 *
 * @module
 */
import { wrapped } from "../shared/wrapped.ts";
import type { Upstream } from "../types.ts";

/**
 * Returns an upstream that is used when it is asked for: no program or session of it is started for
 * lists, and its tools aren't listed with those of others, but found with the tool `search_tools`, and
 * called with `call_tool`. Alone, as {@linkcode Gateway.only} serves it, it is like any other.
 *
 * @throws {TypeError} If the value isn't an upstream
 * @example
 * ```ts
 * import { gateway, lazy, stdio } from "@mooring/mcp/gateway";
 *
 * await using gw = gateway({
 *   upstreams: { billing: lazy(stdio({ command: "billing-mcp" })) },
 * });
 * ```
 */
export function lazy(upstream: Upstream): Upstream {
  if (typeof upstream?.open !== "function") {
    throw new TypeError(`Give an upstream to lazy(), such as stdio(…): ${typeof upstream}`);
  }
  return wrapped(upstream, { lists: "lazy" });
}
