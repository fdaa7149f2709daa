/**
 * Remembers the names of what upstreams list, for events: a name that only a client has sent is never
 * shown.
 *
 * @module
 */
import type { JsonObject, RequestTarget } from "../../../mod.ts";
import { BoundedSet } from "../../kit.ts";
import { type ListKind, LISTS } from "./list_kinds.ts";

type ListedNames = ReadonlyMap<ListKind, Set<string>>;

/** The names of what the upstreams of a view have listed, to any client. */
export class KnownItems {
  readonly #most: number;
  readonly #upstreams = new Map<string, ListedNames>();
  /** The lists that were read, by upstream. */
  readonly #listed = new Map<string, Set<ListKind>>();

  /** @param most Limits the names of one list of one upstream; the oldest are forgotten */
  constructor(most: number) {
    this.#most = most;
  }

  /** Remembers the entries of a list, with the names that they have behind the gateway. */
  addAll(upstream: string, kind: ListKind, entries: readonly JsonObject[]): void {
    const known = this.#namesOf(upstream, kind);
    const listed = this.#listed.get(upstream) ?? new Set();
    this.#listed.set(upstream, listed.add(kind));
    const { id } = LISTS[kind];
    for (const { [id]: name } of entries) {
      if (typeof name !== "string") continue;
      // The names of the latest list are the newest.
      known.add(name);
    }
  }

  /**
   * Remembers a tool or prompt that an upstream has run before anybody listed it. An upstream that runs
   * everything can't fill more than the names of its list.
   */
  add(upstream: string, kind: "tools" | "prompts", name: string): void {
    const known = this.#namesOf(upstream, kind);
    if (known.size < this.#most && LISTS[kind].valid(name)) known.add(name);
  }

  /** Tells whether a list of an upstream was read, by any client. */
  isListed(upstream: string, kind: ListKind): boolean {
    return this.#listed.get(upstream)?.has(kind) === true;
  }

  /** Forgets what an upstream has listed. */
  remove(upstream: string): void {
    this.#upstreams.delete(upstream);
    this.#listed.delete(upstream);
  }

  /** Returns a tool or prompt with its upstream; without its name if it isn't listed. */
  named(upstream: string, kind: "tools" | "prompts", name: string): RequestTarget {
    if (this.#upstreams.get(upstream)?.get(kind)?.has(name) !== true) return { upstream };
    return kind === "tools" ? { tool: name, upstream } : { prompt: name, upstream };
  }

  /** Returns the resource that has a URI or the template that matches it, if one is listed. */
  resource(uri: string, only?: string): RequestTarget | undefined {
    let best: RequestTarget | undefined;
    let longest = -1;
    for (const [upstream, names] of this.#upstreams) {
      if (only !== undefined && only !== upstream) continue;
      if (names.get("resources")?.has(uri) === true) return { resource: uri, upstream };
      for (const template of names.get("templates") ?? []) {
        const length = matchedStart(template, uri);
        if (length > longest) [best, longest] = [{ resource: template, upstream }, length];
      }
    }
    return best;
  }

  /** Returns what an upstream has listed. */
  names(upstream: string, kind: ListKind): Iterable<string> {
    return this.#upstreams.get(upstream)?.get(kind) ?? [];
  }

  /** Tells whether an upstream other than the given one lists a URI, or matches it at least as closely. */
  isElsewhere(upstream: string, uri: string): boolean {
    const own = this.#closeness(upstream, uri);
    for (const other of this.#upstreams.keys()) {
      if (other === upstream) continue;
      const closeness = this.#closeness(other, uri);
      if (closeness >= 0 && closeness >= own) return true;
    }
    return false;
  }

  #closeness(upstream: string, uri: string): number {
    const names = this.#upstreams.get(upstream);
    if (names?.get("resources")?.has(uri) === true) return Infinity;
    let longest = -1;
    for (const template of names?.get("templates") ?? []) {
      longest = Math.max(longest, matchedStart(template, uri));
    }
    return longest;
  }

  #namesOf(upstream: string, kind: ListKind): Set<string> {
    let names = this.#upstreams.get(upstream);
    if (names === undefined) {
      names = new Map<ListKind, Set<string>>([
        ["tools", new BoundedSet(this.#most)],
        ["prompts", new BoundedSet(this.#most)],
        ["resources", new BoundedSet(this.#most)],
        ["templates", new BoundedSet(this.#most)],
      ]);
      this.#upstreams.set(upstream, names);
    }
    return names.get(kind) ?? new Set();
  }
}

/** Returns the length of a template's literal start if the URI matches the template, otherwise -1. */
export function matchedStart(template: unknown, uri: string): number {
  if (typeof template !== "string") return -1;
  if (template === uri) return Infinity;
  const open = template.indexOf("{");
  const close = template.lastIndexOf("}");
  if (open < 0 || close < open) return -1;
  const tail = template.slice(close + 1);
  const matches = uri.startsWith(template.slice(0, open)) && uri.endsWith(tail) &&
    uri.length >= open + tail.length;
  return matches ? open : -1;
}
