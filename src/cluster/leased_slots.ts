/**
 * Counts the slots of each owner on all nodes: each node leases units of the owner's quota from the store,
 * uses them without asking, and returns what it doesn't use.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import {
  allowanceOf,
  QUOTA_RENEW_MS,
  QUOTA_TTL_MS,
  type QuotaStore,
  spareOf,
} from "../internal/quota_store.ts";
import type { SharedSlots } from "../internal/slots.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";

/** The time between two returns of unused units, in milliseconds. */
const RETURN_MS = 1_000;
/**
 * The time for which a request waits for a unit that another node may be about to return, in milliseconds.
 */
const WAIT_MS = 200;
/** The time between two attempts during it, in milliseconds. */
const RETRY_MS = 50;

/** Options for {@linkcode LeasedSlots}. */
export interface LeasedSlotsInit {
  readonly store: QuotaStore;
  /** This node's id. */
  readonly node: string;
  /** What is counted, for the names of the quotas. */
  readonly kind: string;
  /** The units that one owner may have on all nodes. */
  readonly limit: number;
  readonly clock: Clock;
}

/** A request that waits for a unit. */
interface LeaseWaiter {
  /** When it is refused if there is still none, in milliseconds since the epoch. */
  readonly until: number;
  resolve(admitted: boolean): void;
  reject(error: unknown): void;
}

/** What this node has of one owner's quota. */
class LeasedShare {
  readonly quota: string;
  /** The units in use. */
  used = 0;
  /** The most units in use since the last return. */
  peak = 0;
  /** The units that work may take before its result is there. */
  expected = 0;
  /** The units that the store counts for this node; 0 if it counts none. */
  leased = 0;
  /** When the lease expires, and when it was last renewed, in milliseconds since the epoch. */
  until = 0;
  renewedAt = 0;
  /** Whether the store is being asked. */
  asking = false;
  /** Whether something has changed since. */
  changed = false;
  /** Whether the store had less than this node asked for, since the last return. */
  scarce = false;
  waiters: LeaseWaiter[] = [];
  /** Called with the store's next answer, also if it fails. */
  answered: (() => void)[] = [];
  stopRetry: (() => void) | undefined;

  constructor(quota: string) {
    this.quota = quota;
  }

  /** The units in use and those that somebody waits for. */
  get wanted(): number {
    return this.used + this.waiters.length + this.expected;
  }
}

/**
 * The slots of one kind. An owner has a small allowance at every node, which the store doesn't count while
 * the node leases nothing for the owner: with N nodes an owner can have N - 1 allowances more than the
 * limit at most. Limits below 20 have no allowance, and are exact.
 *
 * When the store fails, a node uses what it has leased until that expires, and then the allowance.
 */
export class LeasedSlots implements SharedSlots {
  readonly #init: LeasedSlotsInit;
  readonly #allowance: number;
  readonly #spare: number;
  readonly #shares = new Map<string, LeasedShare>();
  /** The shares with a lease. */
  readonly #leasing = new Set<string>();
  #stopTimer: (() => void) | undefined;
  #disposed = false;

  /** Creates slots, none in use; no timer runs until some are leased. */
  constructor(init: LeasedSlotsInit) {
    this.#init = init;
    this.#allowance = allowanceOf(init.limit);
    this.#spare = spareOf(init.limit);
  }

  take(owner: string): boolean {
    const share = this.#shareOf(owner);
    if (share.used >= this.#capacity(share)) {
      this.#forget(owner, share);
      return false;
    }
    this.#use(share);
    // Leases more in the background before it runs out.
    const low = share.used >= this.#allowance &&
      this.#capacity(share) - share.used < this.#spare / 2;
    if (low && !share.scarce && !share.asking) this.#ask(owner, share);
    return true;
  }

  admit(owner: string): MaybePromise<boolean> {
    const share = this.#shareOf(owner);
    if (share.waiters.length === 0 && this.take(owner)) return true;
    // What this node uses is all that the owner may have, or will be.
    if (this.#disposed || share.used + share.waiters.length >= this.#init.limit) return false;
    let admitted: boolean | undefined;
    let failure: { readonly error: unknown } | undefined;
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    this.#shares.set(owner, share);
    share.waiters.push({
      until: this.#init.clock.now() + WAIT_MS,
      resolve: (yes) => resolve(admitted = yes),
      reject: (error) => {
        failure = { error };
        reject(error);
      },
    });
    this.#ask(owner, share);
    return failure === undefined ? admitted ?? promise : promise;
  }

  give(owner: string): void {
    const share = this.#shareOf(owner);
    share.used--;
    this.#serve(share);
    this.#return(owner, share);
  }

  expect(owner: string): MaybePromise<void> {
    const share = this.#shareOf(owner);
    share.expected++;
    const ready = this.#capacity(share) >= share.wanted;
    if (ready || this.#disposed || share.wanted > this.#init.limit) return;
    let answered = false;
    const { promise, resolve } = Promise.withResolvers<void>();
    share.answered.push(() => {
      answered = true;
      resolve();
    });
    this.#ask(owner, share);
    return answered ? undefined : promise;
  }

  unexpect(owner: string): void {
    const share = this.#shareOf(owner);
    share.expected--;
    this.#return(owner, share);
  }

  /** Returns all units, and refuses what waits. */
  dispose(): void {
    this.#disposed = true;
    this.#stopTimer?.();
    for (const [owner, share] of this.#shares) {
      share.stopRetry?.();
      for (const { resolve } of share.waiters.splice(0)) resolve(false);
      if (share.asking) share.changed = true;
      else if (share.leased > 0) this.#hold(owner, share, 0, 0, 0);
    }
  }

  #shareOf(owner: string): LeasedShare {
    let share = this.#shares.get(owner);
    if (share === undefined) {
      share = new LeasedShare(`${this.#init.kind} ${owner}`);
      this.#shares.set(owner, share);
    }
    return share;
  }

  /** Forgets a share that nothing is known about. */
  #forget(owner: string, share: LeasedShare): void {
    if (share.wanted > 0 || share.leased > 0 || share.asking) return;
    share.stopRetry?.();
    this.#shares.delete(owner);
  }

  /** The units that may be in use without asking. */
  #capacity({ leased, until }: LeasedShare): number {
    return leased > 0 && until > this.#init.clock.now() ? leased : this.#allowance;
  }

  #use(share: LeasedShare): void {
    share.used++;
    share.peak = Math.max(share.peak, share.used);
  }

  /** Gives free units to those that wait, first come first served. */
  #serve(share: LeasedShare): void {
    while (share.waiters.length > 0 && share.used < this.#capacity(share)) {
      this.#use(share);
      share.waiters.shift()?.resolve(true);
    }
  }

  /** Asks for the units that are wanted, and some more. */
  #ask(owner: string, share: LeasedShare): void {
    if (share.asking) {
      share.changed = true;
      return;
    }
    share.stopRetry?.();
    share.stopRetry = undefined;
    const valid = share.until > this.#init.clock.now();
    // Units that another node may have leased since ours expired are not kept unless they are in use.
    const keep = Math.max(this.#allowance, share.used, valid ? share.leased : 0);
    const need = Math.max(0, Math.min(share.wanted, this.#init.limit) - keep);
    this.#hold(owner, share, keep, need, this.#spare);
  }

  /** Returns units that are not in use at once where none are leased ahead; otherwise later. */
  #return(owner: string, share: LeasedShare): void {
    const unused = share.leased - share.wanted;
    if (this.#spare === 0 && share.leased > 0 && unused > 0) {
      if (share.asking) share.changed = true;
      else this.#reduce(owner, share, share.wanted);
    }
    this.#forget(owner, share);
  }

  /** Reduces a lease to a number of units, or ends it if the allowance is more than that. */
  #reduce(owner: string, share: LeasedShare, units: number): void {
    const keep = units === 0 || units < this.#allowance || this.#disposed ? 0 : units;
    this.#hold(owner, share, keep, 0, 0);
  }

  /** Tells the store what this node keeps and wants. */
  #hold(owner: string, share: LeasedShare, keep: number, need: number, spare: number): void {
    const { store, node, limit, clock } = this.#init;
    const now = clock.now();
    const answered = share.answered.splice(0);
    share.asking = true;
    share.changed = false;
    // Until the answer is there, no more may be in use than the store certainly counts.
    if (share.leased > 0) share.leased = keep;
    const done = (units: number, waits: boolean) => {
      share.asking = false;
      share.leased = units;
      share.until = now + QUOTA_TTL_MS;
      share.renewedAt = now;
      share.scarce = units < keep + need + spare;
      this.#serve(share);
      for (const resolve of answered) resolve();
      this.#answered(owner, share, { waits, asksAgain: units >= keep + need });
    };
    const failed = (error: unknown) => {
      share.asking = false;
      share.scarce = true;
      for (const { reject } of share.waiters.splice(0)) reject(error);
      for (const resolve of answered) resolve();
      this.#answered(owner, share, { waits: false, asksAgain: false });
    };
    let units: MaybePromise<number>;
    try {
      units = store.hold(share.quota, node, { limit, keep, need, spare, ttlMs: QUOTA_TTL_MS });
    } catch (error) {
      return failed(error);
    }
    if (isPromise(units)) units.then((units) => done(units, true), failed);
    // All nodes are in this process: what they returned is there already.
    else done(units, false);
  }

  /**
   * Continues after an answer of the store.
   *
   * @param waits Whether another node may be about to return units
   * @param asksAgain Whether the store may have more for those that came while it was asked
   */
  #answered(
    owner: string,
    share: LeasedShare,
    { waits, asksAgain }: { readonly waits: boolean; readonly asksAgain: boolean },
  ): void {
    const { clock, limit } = this.#init;
    if (share.leased > 0) this.#leasing.add(owner);
    else this.#leasing.delete(owner);
    const more = share.changed && asksAgain && !this.#disposed &&
      Math.min(share.wanted, limit) > this.#capacity(share);
    if (more) return this.#ask(owner, share);
    const now = clock.now();
    const late = share.waiters.filter(({ until }) => !waits || this.#disposed || until <= now);
    share.waiters = share.waiters.filter((waiter) => !late.includes(waiter));
    for (const { resolve } of late) resolve(false);
    for (const resolve of share.answered.splice(0)) resolve();
    if (share.waiters.length > 0) {
      share.stopRetry ??= clock.timer(RETRY_MS, () => {
        share.stopRetry = undefined;
        this.#ask(owner, share);
      });
    }
    if (this.#leasing.size > 0 && !this.#disposed) {
      this.#stopTimer ??= clock.timer(RETURN_MS, () => this.#tick());
    }
    if (!this.#disposed) this.#return(owner, share);
    else if (share.leased > 0) this.#hold(owner, share, 0, 0, 0);
    else this.#forget(owner, share);
  }

  /** Returns what was not in use lately, and renews the rest. */
  #tick(): void {
    const { clock } = this.#init;
    this.#stopTimer = undefined;
    const now = clock.now();
    for (const owner of [...this.#leasing]) {
      const share = this.#shareOf(owner);
      const peak = Math.max(share.peak, share.wanted);
      share.peak = share.used;
      share.scarce = false;
      if (share.asking) continue;
      if (share.until <= now) {
        share.leased = 0;
        this.#leasing.delete(owner);
        if (share.wanted > this.#allowance) this.#ask(owner, share);
        else this.#forget(owner, share);
      } else if (peak < share.leased) this.#reduce(owner, share, peak);
      else if (now - share.renewedAt >= QUOTA_RENEW_MS) {
        this.#hold(owner, share, share.leased, 0, 0);
      }
    }
    if (this.#leasing.size > 0) this.#stopTimer ??= clock.timer(RETURN_MS, () => this.#tick());
  }
}
