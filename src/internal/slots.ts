/**
 * Places that are taken and given back, counted in all and for each owner.
 *
 * @module
 */

/** A bounded number of places. */
export class Slots {
  readonly #most: number;
  readonly #mostEach: number;
  readonly #each = new Map<string, number>();
  #taken = 0;
  #free: (() => void) | undefined;

  /**
   * @param most How many places there are
   * @param mostEach How many of them one owner may have
   */
  constructor(most: number, mostEach: number = Infinity) {
    this.#most = most;
    this.#mostEach = mostEach;
  }

  /** How many places are taken. */
  get taken(): number {
    return this.#taken;
  }

  /** Takes a place, if there is one. */
  take(owner?: string): boolean {
    if (this.#taken >= this.#most) return false;
    if (owner !== undefined) {
      const count = this.#each.get(owner) ?? 0;
      if (count >= this.#mostEach) return false;
      this.#each.set(owner, count + 1);
    }
    this.#taken++;
    return true;
  }

  /** Gives a place back. */
  give(owner?: string): void {
    this.#taken--;
    if (this.#taken === 0 && this.#free !== undefined) this.#tellFree();
    if (owner === undefined) return;
    const count = (this.#each.get(owner) ?? 0) - 1;
    if (count > 0) this.#each.set(owner, count);
    else this.#each.delete(owner);
  }

  /** Calls a listener once, when no place is taken: at once, if that is so now. One at a time. */
  whenFree(listener: () => void): void {
    this.#free = listener;
    if (this.#taken === 0) this.#tellFree();
  }

  #tellFree(): void {
    const listener = this.#free;
    this.#free = undefined;
    listener?.();
  }
}
