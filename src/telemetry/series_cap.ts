/**
 * Bounds the series of a metric: each takes memory here, in Prometheus and in every query.
 *
 * @module
 */

/** The series of one metric, up to a limit. */
export class SeriesCap {
  readonly #keys = new Set<string>();
  readonly #most: number;
  readonly #folded: () => void;

  /** @param folded Called for each value that is counted in the series for all others */
  constructor(most: number, folded: () => void) {
    this.#most = most;
    this.#folded = folded;
  }

  /** Tells whether a series may exist: it does, or there is room for it. */
  admits(key: string): boolean {
    if (this.#keys.has(key)) return true;
    if (this.#keys.size >= this.#most) {
      this.#folded();
      return false;
    }
    this.#keys.add(key);
    return true;
  }

  /** Makes room for another one. */
  delete(key: string): void {
    this.#keys.delete(key);
  }

  /** Forgets all. */
  clear(): void {
    this.#keys.clear();
  }
}
