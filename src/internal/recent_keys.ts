/**
 * Remembers recently added keys.
 *
 * @module
 */
import type { Clock } from "./clock.ts";

/** A set that remembers each key for a limited time, with a limited size. */
export class RecentKeys {
  readonly #clock: Clock;
  readonly #keepMs: number;
  readonly #most: number;
  #young = new Set<string>();
  #old = new Set<string>();
  #since = 0;

  /**
   * Creates an empty set.
   *
   * @param clock The source of time
   * @param keepMs The time for which a key is remembered at least, in milliseconds
   * @param most The number of later keys after which a key may be forgotten before that time
   */
  constructor(clock: Clock, keepMs: number, most: number) {
    this.#clock = clock;
    this.#keepMs = keepMs;
    this.#most = most;
  }

  /** Adds a key. */
  add(text: string): void {
    if (this.full) this.#turn();
    this.#young.add(text);
  }

  /** Whether another key would make one be forgotten before its time. */
  get full(): boolean {
    if (this.#clock.now() - this.#since >= this.#keepMs) this.#turn();
    return this.#young.size >= this.#most;
  }

  /** Tells whether a key is remembered. */
  has(text: string): boolean {
    return this.#young.has(text) || this.#old.has(text);
  }

  #turn(): void {
    this.#old = this.#young;
    this.#young = new Set();
    this.#since = this.#clock.now();
  }

  /** The number of remembered keys. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }
}
