/**
 * Counts what happens in a span of time, for each key.
 *
 * @module
 */
import type { Clock } from "../../../mod.ts";
import { BoundedMap } from "../../kit.ts";

interface Count {
  readonly since: number;
  count: number;
}

/** Keys that are counted at a time; one that is pushed out begins anew. */
const MOST_KEYS = 10_000;

/** A limit of what happens in a span of time, for each key. */
export class Rate {
  readonly #most: number;
  readonly #spanMs: number;
  readonly #clock: Clock;
  readonly #counts = new BoundedMap<string, Count>(MOST_KEYS);

  /**
   * Makes a limit.
   *
   * @param most How often it may happen in the span
   * @param spanMs The span, in milliseconds
   * @param clock The source of time
   */
  constructor(most: number, spanMs: number, clock: Clock) {
    this.#most = most;
    this.#spanMs = spanMs;
    this.#clock = clock;
  }

  /**
   * Counts one more.
   *
   * @returns `undefined` if it may happen, or the time until it may, in whole seconds
   */
  take(key: string): number | undefined {
    const now = this.#clock.now();
    let count = this.#counts.get(key);
    // A clock that was set back begins the span anew, too.
    if (count === undefined || Math.abs(now - count.since) >= this.#spanMs) {
      count = { since: now, count: 0 };
      this.#counts.set(key, count);
    }
    if (count.count >= this.#most) {
      return Math.max(1, Math.ceil((count.since + this.#spanMs - now) / 1000));
    }
    count.count++;
    return undefined;
  }
}
