/**
 * Caches the lists of upstreams: until they change, or for a time.
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import type { JsonObject } from "../../protocol/jsonrpc.ts";
import { LIST_KINDS, type ListKind } from "../shared/list_kinds.ts";

/** Represents a cached list, and when it expires. */
interface CacheEntry {
  readonly list: CachedList;
  readonly expiresAt: number;
}

/** Holds the entries of a list, or the error with which fetching it failed. */
export type CachedList = { readonly entries: readonly JsonObject[] } | { readonly error: unknown };

/** Caches the lists of several upstreams for one client. */
export class ListCache {
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #entries = new Map<string, CacheEntry>();
  readonly #generations = new Map<string, number>();

  /**
   * Creates an empty cache.
   *
   * @param ttlMs How long lists are cached for which no `list_changed` will come, in milliseconds
   */
  constructor(clock: Clock, ttlMs: number) {
    this.#clock = clock;
    this.#ttlMs = ttlMs;
  }

  /** Returns a list if it is cached. */
  get(upstream: string, kind: ListKind): CachedList | undefined {
    const entry = this.#entries.get(keyOf(upstream, kind));
    return entry === undefined || entry.expiresAt <= this.#clock.now() ? undefined : entry.list;
  }

  /** Returns a number that changes each time the list is invalidated. */
  generation(upstream: string, kind: ListKind): number {
    return this.#generations.get(keyOf(upstream, kind)) ?? 0;
  }

  /**
   * Caches a list, unless it was invalidated since its generation.
   *
   * @param lasting Caches it until it is invalidated, and not just for a time
   */
  set(
    upstream: string,
    kind: ListKind,
    generation: number,
    list: CachedList,
    lasting = false,
  ): void {
    if (generation !== this.generation(upstream, kind)) return;
    const expiresAt = lasting ? Infinity : this.#clock.now() + this.#ttlMs;
    this.#entries.set(keyOf(upstream, kind), { list, expiresAt });
  }

  /** Invalidates lists of an upstream. */
  invalidate(upstream: string, kinds: readonly ListKind[]): void {
    for (const kind of kinds) {
      const key = keyOf(upstream, kind);
      this.#entries.delete(key);
      this.#generations.set(key, (this.#generations.get(key) ?? 0) + 1);
    }
  }

  /** Removes everything about an upstream that was removed. */
  remove(upstream: string): void {
    for (const kind of LIST_KINDS) {
      this.#entries.delete(keyOf(upstream, kind));
      this.#generations.delete(keyOf(upstream, kind));
    }
  }
}

function keyOf(upstream: string, kind: ListKind): string {
  return `${kind} ${upstream}`;
}
