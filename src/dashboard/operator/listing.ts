/**
 * Lists what a store holds, for as long as somebody watches: neither all of it, nor at each look.
 *
 * @module
 */
import type { Clock } from "../../../mod.ts";

/** The maximum number of things that are listed. */
const MOST = 1_000;
/** The time for which they are not listed again, in milliseconds. */
const KEPT_MS = 5_000;

/** A page of what is listed. */
export interface ListingPage<T> {
  readonly items: readonly T[];
  readonly cursor?: string | undefined;
}

/** Things as they were listed last. */
export class Listing<T> {
  readonly #page: (cursor: string | undefined) => Promise<ListingPage<T>>;
  readonly #clock: Clock;
  #listed: readonly T[] = [];
  #hasMore = false;
  #listedAt = -Infinity;
  #listing: Promise<void> | undefined;

  /** Creates a listing; nothing is read yet. */
  constructor(page: (cursor: string | undefined) => Promise<ListingPage<T>>, clock: Clock) {
    this.#page = page;
    this.#clock = clock;
  }

  /** Returns at most 1,000 things, not older than five seconds, and whether there are more. */
  async latest(): Promise<{ readonly items: readonly T[]; readonly hasMore: boolean }> {
    if (Math.abs(this.#clock.now() - this.#listedAt) >= KEPT_MS) await this.#list();
    return { items: this.#listed, hasMore: this.#hasMore };
  }

  /** Finds a thing; lists anew if it isn't known. */
  async find(isIt: (item: T) => boolean): Promise<T | undefined> {
    if (!this.#listed.some(isIt)) await this.#list();
    return this.#listed.find(isIt);
  }

  /** Makes the next look list anew: something has changed. */
  expire(): void {
    this.#listedAt = -Infinity;
  }

  /** Lists anew; calls meanwhile wait for the same list. */
  #list(): Promise<void> {
    return this.#listing ??= this.#read().finally(() => this.#listing = undefined);
  }

  async #read(): Promise<void> {
    const listed: T[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.#page(cursor);
      listed.push(...page.items);
      cursor = page.cursor;
    } while (cursor !== undefined && listed.length < MOST);
    this.#listed = listed.slice(0, MOST);
    this.#hasMore = cursor !== undefined || listed.length > MOST;
    this.#listedAt = this.#clock.now();
  }
}
