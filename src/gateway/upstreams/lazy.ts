/**
 * Makes upstreams wait until they are asked for.
 *
 * @module
 */
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
  const { kind, identity, share, cache, forwards, usersBy, signIn } = upstream;
  return {
    kind,
    identity,
    lists: "lazy",
    ...cache !== undefined && { cache },
    ...forwards !== undefined && { forwards },
    ...usersBy !== undefined && { usersBy },
    ...signIn !== undefined && { signIn },
    ...share !== undefined && {
      share,
      get programs() {
        return upstream.programs ?? 0;
      },
      endUnused: (mayEnd) => upstream.endUnused?.(mayEnd),
    },
    open: (init) => upstream.open(init),
    toolScopes: (tool) => upstream.toolScopes?.(tool),
    longCalls: (tool) => upstream.longCalls?.(tool),
    refuseLongCalls: () => upstream.refuseLongCalls?.() ?? (() => {}),
    answerOnce: (tool) => upstream.answerOnce?.(tool),
  };
}
