/**
 * Limits what runs at a time, in total and for each owner; the next in line waits for a short time.
 *
 * @module
 */
import type { Clock, MaybePromise } from "../../../mod.ts";
import { Slots } from "../../kit.ts";
import { abortable, deadline } from "./deadline.ts";

/** Gives a slot back. Safe to call twice. */
export type ReleaseSlot = () => void;

/** Reports that no slot became free in time. */
export class NoSlotError extends Error {
  /** Whether the owner has its whole share; otherwise all slots are in use. */
  readonly isShare: boolean;

  /** Creates the error. */
  constructor(isShare: boolean) {
    super(`Try again later: ${isShare ? "the owner's share is" : "all slots are"} in use`);
    this.name = "NoSlotError";
    this.isShare = isShare;
  }
}

/** Options for {@linkcode SlotQueue}. */
export interface SlotQueueOptions {
  readonly clock: Clock;
  /** The most slots in use. */
  readonly most: number;
  /** The most slots in use by one owner. */
  readonly mostEach: number;
  /** The longest wait for a slot, in milliseconds. */
  readonly waitMs: number;
}

/** One wait for a slot. */
interface SlotWaiter {
  readonly owner: string | undefined;
  readonly admit: () => void;
  isAdmitted: boolean;
}

/** The most waits at a time. */
const MAX_WAITING = 1000;

/**
 * Hands out a limited number of slots. At most as many may wait for a slot as may have one: in total,
 * and for each owner.
 */
export class SlotQueue {
  readonly #options: SlotQueueOptions;
  readonly #slots: Slots;
  readonly #places: Slots;
  /** The waits, the longest first. */
  readonly #waiting = new Set<SlotWaiter>();

  /** Creates a queue whose slots are all free. */
  constructor(options: SlotQueueOptions) {
    const { most, mostEach } = options;
    this.#options = options;
    this.#slots = new Slots(most, mostEach);
    this.#places = new Slots(Math.min(most, MAX_WAITING), mostEach);
  }

  /** The number of slots in use. */
  get taken(): number {
    return this.#slots.taken;
  }

  /** Whether all slots are in use. */
  get isFull(): boolean {
    return this.#slots.full;
  }

  /** Counts those who wait for a slot. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Takes a slot: at once if one is free, otherwise as soon as one becomes free.
   *
   * @param owner Whose share it counts for; all slots are one share when left out
   * @throws {NoSlotError} If too many wait already, or no slot becomes free in time
   * @throws {AbortSignal["reason"]} If the signal aborts
   */
  take(owner: string | undefined, signal: AbortSignal): MaybePromise<ReleaseSlot> {
    // Who waits is admitted with every slot that comes back, so a free slot is nobody else's.
    return this.#slots.take(owner) ? this.#releaseOnce(owner) : this.#wait(owner, signal);
  }

  async #wait(owner: string | undefined, signal: AbortSignal): Promise<ReleaseSlot> {
    signal.throwIfAborted();
    if (!this.#places.take(owner)) throw this.#refusal();
    const { promise, resolve: admit } = Promise.withResolvers<void>();
    const waiter: SlotWaiter = { owner, admit, isAdmitted: false };
    this.#waiting.add(waiter);
    const limit = deadline(this.#options.clock, this.#options.waitMs, signal);
    try {
      await abortable(promise, limit.signal);
    } catch {
      // The slot may have come in the same turn.
      if (waiter.isAdmitted) this.#give(owner);
      signal.throwIfAborted();
      throw this.#refusal();
    } finally {
      limit.clear();
      this.#waiting.delete(waiter);
      this.#places.give(owner);
    }
    return this.#releaseOnce(owner);
  }

  #releaseOnce(owner: string | undefined): ReleaseSlot {
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      this.#give(owner);
    };
  }

  #give(owner: string | undefined): void {
    this.#slots.give(owner);
    for (const waiter of [...this.#waiting]) {
      if (this.#slots.full) return;
      if (waiter.isAdmitted || !this.#slots.take(waiter.owner)) continue;
      waiter.isAdmitted = true;
      waiter.admit();
    }
  }

  #refusal(): NoSlotError {
    return new NoSlotError(!this.#slots.full);
  }
}
