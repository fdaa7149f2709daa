/**
 * Counts slots in use, in total and for each owner.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "./types.ts";

/** The number of slots of each owner on all nodes of a cluster. */
export interface SharedSlots {
  /** Takes a slot of those that this node has for the owner. */
  take(owner: string): boolean;
  /**
   * Takes a slot, and asks the other nodes for one first if this node has none.
   *
   * @throws {Error} If the store fails
   */
  admit(owner: string): MaybePromise<boolean>;
  /** Gives a slot back. */
  give(owner: string): void;
  /**
   * Has a slot ready for the owner, if there is one, until {@linkcode SharedSlots.unexpect}. Never throws.
   */
  expect(owner: string): MaybePromise<void>;
  /** Ends one {@linkcode SharedSlots.expect}. */
  unexpect(owner: string): void;
}

/** A limited number of slots. */
export class Slots {
  /** The number of slots that one owner may have. */
  readonly mostEach: number;
  #shared: SharedSlots | undefined;
  readonly #most: number;
  readonly #counted: boolean;
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
    this.mostEach = mostEach;
    // Owners that may have every slot need not be counted.
    this.#counted = mostEach < most;
  }

  /** The slots of each owner on all nodes; `undefined` if only this node's are counted. */
  get shared(): SharedSlots | undefined {
    return this.#shared;
  }

  /** Counts the slots of each owner on all nodes from now on. */
  shareWith(shared: SharedSlots): void {
    this.#shared = shared;
  }

  /** Whether all slots are in use. */
  get full(): boolean {
    return this.#taken >= this.#most;
  }

  /** The number of slots in use. */
  get taken(): number {
    return this.#taken;
  }

  /**
   * Takes a slot. Returns `false` when none is free, or the owner has as many as it may, or this node
   * would have to ask the others.
   */
  take(owner?: string): boolean {
    if (owner === undefined || this.#shared === undefined) return this.takeHere(owner);
    if (this.full || !this.#shared.take(owner)) return false;
    this.#taken++;
    return true;
  }

  /**
   * Takes a slot, and asks the other nodes if that is needed. Returns `false` when none is free, or the
   * owner has as many as it may.
   *
   * @throws {Error} If the store fails
   */
  admit(owner: string): MaybePromise<boolean> {
    const { shared } = this;
    if (shared === undefined) return this.takeHere(owner);
    if (this.full) return false;
    const admitted = shared.admit(owner);
    if (isPromise(admitted)) return admitted.then((admitted) => this.#add(shared, owner, admitted));
    return this.#add(shared, owner, admitted);
  }

  /** Takes a slot for what another node counts for the owner: the owner's slots here alone are limited. */
  takeHere(owner?: string): boolean {
    if (this.full) return false;
    if (owner !== undefined && this.#counted) {
      const count = this.#each.get(owner) ?? 0;
      if (count >= this.mostEach) return false;
      this.#each.set(owner, count + 1);
    }
    this.#taken++;
    return true;
  }

  /** Gives a slot back. */
  give(owner?: string): void {
    if (owner === undefined || this.#shared === undefined) return this.giveHere(owner);
    this.#shared.give(owner);
    this.#subtract();
  }

  /** Gives a slot back that {@linkcode takeHere} took. */
  giveHere(owner?: string): void {
    this.#subtract();
    if (owner === undefined || !this.#counted) return;
    const count = (this.#each.get(owner) ?? 0) - 1;
    if (count > 0) this.#each.set(owner, count);
    else this.#each.delete(owner);
  }

  /**
   * Runs work that may {@linkcode take} a slot of the owner before its result is there: has one ready, if
   * that takes asking the other nodes.
   */
  expecting<T>(owner: string, work: () => MaybePromise<T>): MaybePromise<T> {
    const { shared } = this;
    if (shared === undefined) return work();
    const ready = shared.expect(owner);
    const done = () => shared.unexpect(owner);
    if (isPromise(ready)) return ready.then(work).finally(done);
    let result: MaybePromise<T> | undefined;
    try {
      result = work();
    } finally {
      if (!isPromise(result)) done();
    }
    return isPromise(result) ? result.finally(done) : result;
  }

  /** Calls a listener once when no slot is in use, which may be at once. Replaces an earlier listener. */
  whenFree(listener: () => void): void {
    this.#free = listener;
    if (this.#taken === 0) this.#notifyFree();
  }

  #add(shared: SharedSlots, owner: string, admitted: boolean): boolean {
    if (!admitted) return false;
    if (this.full) {
      shared.give(owner);
      return false;
    }
    this.#taken++;
    return true;
  }

  #subtract(): void {
    this.#taken--;
    if (this.#taken === 0 && this.#free !== undefined) this.#notifyFree();
  }

  #notifyFree(): void {
    const listener = this.#free;
    this.#free = undefined;
    listener?.();
  }
}
