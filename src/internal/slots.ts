/**
 * Counts slots in use, in total and for each owner.
 *
 * @module
 */

/** A limited number of slots. */
export class Slots {
  readonly #most: number;
  readonly #mostEach: number;
  readonly #each = new Map<string, number>();
  #taken = 0;
  #free: (() => void) | undefined;

  /**
   * Creates slots, none in use.
   *
   * @param most The number of slots
   * @param mostEach The number of slots that one owner may have
   */
  constructor(most: number, mostEach: number = Infinity) {
    this.#most = most;
    // Owners that may have every slot need not be counted.
    this.#mostEach = mostEach >= most ? Infinity : mostEach;
  }

  /** Whether all slots are in use. */
  get full(): boolean {
    return this.#taken >= this.#most;
  }

  /** The number of slots in use. */
  get taken(): number {
    return this.#taken;
  }

  /** Takes a slot. Returns `false` when none is free, or the owner has as many as it may. */
  take(owner?: string): boolean {
    if (this.full) return false;
    if (owner !== undefined && this.#mostEach !== Infinity) {
      const count = this.#each.get(owner) ?? 0;
      if (count >= this.#mostEach) return false;
      this.#each.set(owner, count + 1);
    }
    this.#taken++;
    return true;
  }

  /** Gives a slot back. */
  give(owner?: string): void {
    this.#taken--;
    if (this.#taken === 0 && this.#free !== undefined) this.#notifyFree();
    if (owner === undefined || this.#mostEach === Infinity) return;
    const count = (this.#each.get(owner) ?? 0) - 1;
    if (count > 0) this.#each.set(owner, count);
    else this.#each.delete(owner);
  }

  /** Calls a listener once when no slot is in use, which may be at once. Replaces an earlier listener. */
  whenFree(listener: () => void): void {
    this.#free = listener;
    if (this.#taken === 0) this.#notifyFree();
  }

  #notifyFree(): void {
    const listener = this.#free;
    this.#free = undefined;
    listener?.();
  }
}
