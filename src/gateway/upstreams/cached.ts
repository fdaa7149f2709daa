/**
 * Makes a gateway keep results of an upstream.
 *
 * @module
 */
import { booleanOption, checkNames, delayOption, integerOption, quote } from "../../kit.ts";
import { wrapped } from "../shared/wrapped.ts";
import type { CacheSettings, Upstream } from "../types.ts";

/** Options for {@linkcode cached}. */
export interface CacheOptions {
  /**
   * Names the tools whose results are kept, as the upstream calls them, where it lists them with
   * `readOnlyHint`. Needs {@linkcode CacheOptions.ttlMs}: results of tools don't say how long they hold.
   */
  readonly tools?: readonly string[];
  /**
   * Says whether results of `resources/read` are kept.
   *
   * @default {false}
   */
  readonly resources?: boolean;
  /**
   * Sets how long a result is kept, in milliseconds. One with a `ttlMs` of its own (2026-07-28, Caching) is
   * kept no longer than that says. When left out, results are kept for their own time, up to an hour, and
   * those without one not at all.
   */
  readonly ttlMs?: number;
  /**
   * Says for whom: each user has results of their own, or all have the same (`"all"`), but for those whose
   * `cacheScope` is not `"public"`. A resource of 2026-07-28 has to say `"public"`.
   *
   * @default {"user"}
   */
  readonly scope?: "user" | "all";
  /**
   * Limits the results; those used least recently are removed.
   *
   * @default {1000}
   */
  readonly maxEntries?: number;
  /**
   * Limits the bytes of all results and their keys, as JSON; those used least recently are removed.
   *
   * @default {16777216}
   */
  readonly maxBytes?: number;
  /**
   * Limits the bytes of one result and its key, as JSON; a larger one isn't kept.
   *
   * @default {1048576}
   */
  readonly maxResultBytes?: number;
}

/**
 * Returns an upstream of which the gateway keeps results: of the read-only tools that are named, and of
 * `resources/read`. The same request of the same user is answered with them for a time, without asking the
 * upstream. Everything that decides about a call still does.
 *
 * @throws {TypeError} If the value isn't an upstream, an option has the wrong type, or results that may be
 * one user's would be kept for all
 * @throws {RangeError} If a number is out of range
 * @example
 * ```ts
 * import { cached, gateway, http } from "@mooring/mcp/gateway";
 *
 * const docs = http({ url: "https://docs.example/mcp" });
 * await using gw = gateway({
 *   upstreams: { docs: cached(docs, { tools: ["search"], ttlMs: 60_000 }) },
 * });
 * ```
 */
export function cached(upstream: Upstream, options: CacheOptions): Upstream {
  if (typeof upstream?.open !== "function") {
    throw new TypeError(`Give an upstream to cached(), such as http(…): ${typeof upstream}`);
  }
  const cache = checkCache(options, upstream);
  const identity = JSON.stringify([upstream.identity, { ...cache, tools: [...cache.tools] }]);
  return wrapped(upstream, { identity, cache });
}

function checkCache(options: CacheOptions, { forwards = [], usersBy, cache }: Upstream) {
  if (cache !== undefined) throw new TypeError("Call cached() once for an upstream");
  if (typeof options !== "object" || options === null) {
    throw new TypeError('Give options to cached(), such as { tools: ["search"], ttlMs: 60_000 }');
  }
  checkNames("cached()", options, {
    tools: true,
    resources: true,
    ttlMs: true,
    scope: true,
    maxEntries: true,
    maxBytes: true,
    maxResultBytes: true,
  });
  const { tools = [], scope = "user" } = options;
  if (!Array.isArray(tools) || !tools.every((name) => typeof name === "string" && name !== "")) {
    throw new TypeError('Give a list of names of tools as "tools"');
  }
  const resources = booleanOption("resources", options.resources, false);
  if (tools.length === 0 && !resources) {
    throw new TypeError('Give "tools" or "resources": true to say what is kept');
  }
  if (tools.length > 0 && options.ttlMs === undefined) {
    throw new TypeError(
      'Give "ttlMs" with "tools": results of tools don\'t say how long they hold',
    );
  }
  if (scope !== "user" && scope !== "all") {
    throw new TypeError(`Give "user" or "all" as "scope": ${quote(scope)}`);
  }
  const by = forwards.length > 0 ? '"forwardHeaders"' : usersBy;
  if (scope === "all" && by !== undefined) {
    throw new TypeError(`Give "user" as "scope": the upstream knows its users by ${by}`);
  }
  return {
    tools: new Set(tools),
    resources,
    ttlMs: options.ttlMs === undefined ? undefined : delayOption("ttlMs", options.ttlMs, 0),
    scope,
    forwards,
    maxEntries: integerOption("maxEntries", options.maxEntries, 1000),
    maxBytes: integerOption("maxBytes", options.maxBytes, 16_777_216),
    maxResultBytes: integerOption("maxResultBytes", options.maxResultBytes, 1_048_576),
  } satisfies CacheSettings;
}
