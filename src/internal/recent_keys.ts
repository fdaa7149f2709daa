/**
 * Texts that were noted not long ago.
 *
 * @module
 */
import type { Clock } from "./clock.ts";

/** Remembers texts for a while, and only so many. */
export class RecentKeys {
  readonly #clock: Clock;
  readonly #keepMs: number;
  readonly #most: number;
  #young = new Set<string>();
  #old = new Set<string>();
  #since = 0;

  /**
   * @param clock Where the time comes from
   * @param keepMs For how long at least a text is remembered, in milliseconds
   * @param most How many more texts make it forgotten sooner
   */
  constructor(clock: Clock, keepMs: number, most: number) {
    this.#clock = clock;
    this.#keepMs = keepMs;
    this.#most = most;
  }

  /** Notes a text. */
  add(text: string): void {
    const now = this.#clock.now();
    if (now - this.#since >= this.#keepMs || this.#young.size >= this.#most) {
      this.#old = this.#young;
      this.#young = new Set();
      this.#since = now;
    }
    this.#young.add(text);
  }

  /** Whether a text is remembered. */
  has(text: string): boolean {
    return this.#young.has(text) || this.#old.has(text);
  }

  /** How many texts are remembered. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }
}
