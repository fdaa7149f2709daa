/**
 * Remembers which tools and prompts upstreams have: a name that only a client has sent must not become the
 * value of an attribute, or clients could make any number of series.
 *
 * @module
 */
import { BoundedSet } from "../internal/bounded_map.ts";
import type { UpstreamRequest } from "../protocol/upstream.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";

/** The requests whose `name` is remembered, and the lists that have it. */
const LISTS: Readonly<Record<string, { readonly key: string; readonly of: string }>> = {
  "tools/list": { key: "tools", of: "tools/call" },
  "prompts/list": { key: "prompts", of: "prompts/get" },
};

/** The names that upstreams have listed, or called without an error. */
export class KnownNames {
  readonly #most: number;
  readonly #names: BoundedSet<string>;

  /** @param most Limits the names; the oldest are forgotten */
  constructor(most = 10_000) {
    this.#most = most;
    this.#names = new BoundedSet(most);
  }

  /** Returns the name that a request is about, if its upstream has it. */
  nameOf({ upstream, method, params: { name } }: UpstreamRequest): string | undefined {
    if (typeof name !== "string") return undefined;
    return this.#names.has(keyOf(upstream, method, name)) ? name : undefined;
  }

  /** Remembers the names that a result shows. */
  learn({ upstream, method, params: { name } }: UpstreamRequest, result: JsonObject): void {
    const list = Object.hasOwn(LISTS, method) ? LISTS[method] : undefined;
    if (list !== undefined) {
      const entries = result[list.key];
      if (!Array.isArray(entries)) return;
      // More than that many would only push each other out
      for (const entry of entries.slice(0, this.#most)) {
        if (!isObject(entry) || typeof entry.name !== "string") continue;
        this.#add(keyOf(upstream, list.of, entry.name));
      }
    } else if (typeof name === "string" && result.isError !== true) {
      this.#add(keyOf(upstream, method, name));
    }
  }

  #add(key: string): void {
    if (!this.#names.has(key)) this.#names.add(key);
  }
}

/** Neither the name of an upstream nor a method has a space. */
function keyOf(upstream: string, method: string, name: string): string {
  return `${upstream} ${method} ${name}`;
}
