/**
 * Bounds the memory that the events of all sessions take: in total, and for each principal.
 *
 * @module
 */
import { Linked, LinkedList } from "../internal/linked_list.ts";
import { type HeapItem, MaxHeap } from "../internal/max_heap.ts";

/** The limits of an {@linkcode EventBudget}, in bytes of memory. */
export interface EventBudgetLimits {
  /** Bytes in total. */
  readonly totalBytes: number;
  /** Bytes of each share, which is one user with all its clients. */
  readonly bytesPerPrincipal: number;
}

/** Something that takes memory from an {@linkcode EventBudget}, in the order in which it came. */
export abstract class Charge extends Linked<Charge> {
  /** The account that it is charged to, if any. Only the budget writes it. */
  account: Account | undefined;
  /** The bytes of memory that it takes. */
  abstract readonly size: number;

  /** Frees the memory: the budget needs it. The charge has been refunded. */
  abstract evict(): void;
}

/** The charges of one share. */
class Account implements HeapItem {
  readonly share: string | undefined;
  /** Its charges, oldest first. */
  readonly charges = new LinkedList<Charge>();
  /** The bytes of its charges. */
  weight = 0;
  index = -1;

  constructor(share: string | undefined) {
    this.share = share;
  }
}

const NO_LIMITS: EventBudgetLimits = { totalBytes: Infinity, bytesPerPrincipal: Infinity };

/**
 * A budget of memory. Above a share's limit, the share's oldest charges are evicted; above the total, the
 * oldest charges of the heaviest share. A charge takes logarithmic time in the number of shares, however
 * many sessions there are.
 */
export class EventBudget {
  readonly #limits: EventBudgetLimits;
  readonly #accounts = new Map<string | undefined, Account>();
  readonly #heap = new MaxHeap<Account>();
  #bytes = 0;

  /** Creates a budget from which nothing is taken; without limits it only counts. */
  constructor(limits: EventBudgetLimits = NO_LIMITS) {
    this.#limits = limits;
  }

  /** The bytes that are taken. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Returns the bytes that a share has taken. */
  bytesOf(share: string | undefined): number {
    return this.#accounts.get(share)?.weight ?? 0;
  }

  /** Tells whether a charge of `size` bytes could ever fit, with nothing beside it. */
  fits(size: number): boolean {
    return size <= Math.min(this.#limits.totalBytes, this.#limits.bytesPerPrincipal);
  }

  /**
   * Takes the memory of a charge, and evicts older charges if the budget is exceeded. The charge itself is
   * only evicted if its share is the heaviest and has nothing else.
   *
   * @param share The share key; `undefined` for what belongs to nobody yet, which only has the total limit
   */
  take(charge: Charge, share: string | undefined): void {
    const account = this.#account(share);
    this.#add(charge, account);
    account.charges.append(charge);
    const { totalBytes, bytesPerPrincipal } = this.#limits;
    if (share !== undefined) {
      while (account.weight > bytesPerPrincipal) {
        this.#evictOldest(account);
      }
    }
    while (this.#bytes > totalBytes) this.#evictOldest(this.#heap.first);
  }

  /** Gives the memory of a charge back, if it is taken. */
  give(charge: Charge): void {
    const { account } = charge;
    if (account === undefined) return;
    charge.account = undefined;
    account.charges.remove(charge);
    account.weight -= charge.size;
    this.#bytes -= charge.size;
    if (account.charges.first === undefined) {
      this.#accounts.delete(account.share);
      this.#heap.remove(account);
    } else this.#heap.update(account);
  }

  /**
   * Puts charges in the place of one that is taken, without evicting any: together they MUST NOT be larger.
   */
  replace(charge: Charge, by: readonly Charge[]): void {
    const { account } = charge;
    if (account === undefined) return;
    for (const part of by) {
      this.#add(part, account);
      account.charges.insert(part, charge);
    }
    this.give(charge);
  }

  #add(charge: Charge, account: Account): void {
    charge.account = account;
    account.weight += charge.size;
    this.#bytes += charge.size;
    this.#heap.update(account);
  }

  #account(share: string | undefined): Account {
    let account = this.#accounts.get(share);
    if (account === undefined) {
      account = new Account(share);
      this.#accounts.set(share, account);
      this.#heap.add(account);
    }
    return account;
  }

  #evictOldest(account: Account | undefined): void {
    const oldest = account?.charges.first;
    // Every account has a charge, and there is an account while bytes are taken.
    if (oldest === undefined) throw new RangeError("Evict from an account with charges");
    this.give(oldest);
    oldest.evict();
  }
}
