/**
 * Caches the lists of upstreams: until they change, or for a time.
 *
 * @module
 */
import type { Clock, JsonObject } from "../../../mod.ts";
import { BoundedMap } from "../../kit.ts";
import { LIST_KINDS, type ListKind } from "../shared/list_kinds.ts";
import type { PendingAnswer } from "./in_time.ts";

/** A list of one upstream. */
export type UpstreamList = readonly JsonObject[];

/** A cached list, and when it expires. */
interface CacheEntry {
  readonly list: UpstreamList;
  readonly expiresAt: number;
}

/** How long a list is kept that came too late for its request, in milliseconds. */
export const LATE_LIST_MS = 60_000;

/** The most rights of one client that lists are cached for at a time. */
const MAX_RIGHTS = 4;
/** The most rights of one client for which the same list is late: no running request limits those. */
const MAX_LATE = 100;

/**
 * Caches the lists of several upstreams for one client, and those that are on their way: for each rights
 * that its requests have had.
 */
export class ListCache {
  readonly #clock: Clock;
  /** The cached lists by rights, those used least recently first. */
  readonly #byRights = new BoundedMap<string, Map<string, CacheEntry>>(MAX_RIGHTS);
  /** The lists on their way by list, then by rights. */
  readonly #pending = new Map<string, Map<string, PendingAnswer<UpstreamList>>>();
  readonly #generations = new Map<string, number>();
  /** The templates that the policy withheld from a list of templates. */
  readonly withheldTemplates: WeakMap<UpstreamList, readonly string[]> = new WeakMap();

  /** Creates an empty cache. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Returns a list if it is cached for the rights of a request. */
  get(rights: string, upstream: string, kind: ListKind): UpstreamList | undefined {
    const entries = this.#byRights.get(rights);
    if (entries === undefined) return undefined;
    // Those used last go to the end.
    this.#byRights.set(rights, entries);
    const entry = entries.get(keyOf(upstream, kind));
    return entry === undefined || entry.expiresAt <= this.#clock.now() ? undefined : entry.list;
  }

  /** Returns a list that is on its way for the rights of a request. */
  getPending(
    rights: string,
    upstream: string,
    kind: ListKind,
  ): PendingAnswer<UpstreamList> | undefined {
    const pending = this.#pending.get(keyOf(upstream, kind))?.get(rights);
    return pending?.isAbandoned === true ? undefined : pending;
  }

  /** Tells whether a list may be fetched for more rights. */
  hasRoom(upstream: string, kind: ListKind): boolean {
    const byRights = this.#pending.get(keyOf(upstream, kind));
    if (byRights === undefined || byRights.size < MAX_LATE) return true;
    return [...byRights.values()].filter(({ isLate }) => isLate).length < MAX_LATE;
  }

  /** Keeps a list that is on its way, until it arrives or fails. */
  setPending(
    rights: string,
    upstream: string,
    kind: ListKind,
    pending: PendingAnswer<UpstreamList>,
  ): void {
    const key = keyOf(upstream, kind);
    const byRights = this.#pending.get(key) ?? new Map<string, PendingAnswer<UpstreamList>>();
    this.#pending.set(key, byRights.set(rights, pending));
    const settle = () => {
      if (byRights.get(rights) === pending) byRights.delete(rights);
      if (byRights.size === 0 && this.#pending.get(key) === byRights) this.#pending.delete(key);
    };
    pending.answer.then(settle, settle);
  }

  /** Returns a number that changes each time the list is invalidated. */
  generation(upstream: string, kind: ListKind): number {
    return this.#generations.get(keyOf(upstream, kind)) ?? 0;
  }

  /**
   * Caches a list, unless it was invalidated since its generation.
   *
   * @param rights The rights with which it was fetched
   * @param ms How long, in milliseconds; until it is invalidated if that is `Infinity`
   */
  set(
    rights: string,
    upstream: string,
    kind: ListKind,
    generation: number,
    list: UpstreamList,
    ms: number,
  ): void {
    if (generation !== this.generation(upstream, kind)) return;
    const entries = this.#byRights.get(rights) ?? new Map<string, CacheEntry>();
    entries.set(keyOf(upstream, kind), { list, expiresAt: this.#clock.now() + ms });
    this.#byRights.set(rights, entries);
  }

  /** Invalidates lists of an upstream. Those on their way are only for who waits for them already. */
  invalidate(upstream: string, kinds: readonly ListKind[]): void {
    for (const kind of kinds) {
      const key = keyOf(upstream, kind);
      this.#delete(key);
      this.#pending.delete(key);
      this.#generations.set(key, (this.#generations.get(key) ?? 0) + 1);
    }
  }

  /** Removes everything about an upstream that was removed. */
  remove(upstream: string): void {
    for (const kind of LIST_KINDS) {
      this.#delete(keyOf(upstream, kind));
      this.#pending.delete(keyOf(upstream, kind));
      this.#generations.delete(keyOf(upstream, kind));
    }
  }

  #delete(key: string): void {
    for (const entries of this.#byRights.values()) entries.delete(key);
  }
}

function keyOf(upstream: string, kind: ListKind): string {
  return `${kind} ${upstream}`;
}
