/**
 * Leases between nodes.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { type Lease, LEASE_RENEW_MS, LEASE_TTL_MS, type Leases } from "../streams/leases.ts";
import { HELD, LET_GO, RENEW, TAKE } from "./cluster_scripts.ts";
import { type Commands, timeFor } from "./commands.ts";
import type { Keys } from "./keys.ts";
import { integer } from "./replies.ts";
import type { Script } from "./scripts.ts";
import type { Subscriber } from "./subscriber.ts";

/** After how many failed renewals in a row a lease is lost. */
const MOST_FAILURES = 2;

/** What {@linkcode RedisLeases} are made with. */
export interface LeasesInit {
  readonly commands: Commands;
  readonly subscriber: Subscriber;
  readonly keys: Keys;
  /** This process's name. */
  readonly node: string;
  readonly clock: Clock;
}

interface Holding {
  readonly key: string;
  readonly lost: () => void;
  /** 0 until it is known. */
  token: number;
  /** Whether it may have been taken over before anybody could tell. */
  doubtful: boolean;
  failures: number;
}

/**
 * {@linkcode Leases} in Redis. Whoever takes a key over tells the old holder's process at once; a process
 * that can't be told finds out when it renews.
 */
export class RedisLeases implements Leases {
  readonly #init: LeasesInit;
  /** What this process holds or is about to, by the holder's name in Redis. */
  readonly #held = new Map<string, Holding>();
  #holders = 0;
  #stopListening: (() => void) | undefined;
  #stopRenewing: (() => void) | undefined;

  constructor(init: LeasesInit) {
    this.#init = init;
  }

  async take(key: string, lost: () => void): Promise<Lease> {
    const lease = await this.#take(key, lost, "");
    if (lease === undefined) throw new Error("Redis did not give a lease that anybody may take");
    return lease;
  }

  tryTake(key: string, lost: () => void): Promise<Lease | undefined> {
    return this.#take(key, lost, "1");
  }

  async held(key: string): Promise<boolean> {
    return await this.#run(HELD, key) === 1;
  }

  async #take(key: string, lost: () => void, onlyFree: "" | "1"): Promise<Lease | undefined> {
    const { node, keys } = this.#init;
    const holder = `${node}/${++this.#holders}`;
    // Listed before Redis is asked: it may be taken over before the answer is here.
    const holding: Holding = { key, lost, token: 0, doubtful: false, failures: 0 };
    this.#add(holder, holding);
    const release = () => {
      if (!this.#remove(holder)) return;
      // If it gets lost, the lease ends with its time.
      this.#run(LET_GO, key, holder).catch(() => {});
    };
    try {
      const args = [holder, String(LEASE_TTL_MS), keys.leases(""), onlyFree];
      const token = await this.#run(TAKE, key, ...args);
      if (token === null) {
        this.#remove(holder);
        return undefined;
      }
      holding.token = integer(token, "lease");
      if (holding.doubtful) this.#renewOne(holder, holding);
      return { token: holding.token, release };
    } catch (error) {
      // It may have been taken all the same.
      release();
      throw error;
    }
  }

  #add(holder: string, holding: Holding): void {
    const { subscriber, keys, node, clock } = this.#init;
    this.#held.set(holder, holding);
    this.#stopRenewing ??= clock.timer(LEASE_RENEW_MS, () => this.#renewLater());
    this.#stopListening ??= subscriber.listen(keys.leases(node), {
      heard: (lost) => this.#lose(lost),
      // Who took something over meanwhile could not tell.
      restored: () => this.#renew(),
    });
  }

  /** Takes one off the list. `false` when it isn't on it. */
  #remove(holder: string): boolean {
    if (!this.#held.delete(holder)) return false;
    if (this.#held.size > 0) return true;
    this.#stopListening?.();
    this.#stopRenewing?.();
    this.#stopListening = this.#stopRenewing = undefined;
    return true;
  }

  #lose(holder: string): void {
    const holding = this.#held.get(holder);
    if (holding === undefined) return;
    this.#remove(holder);
    try {
      holding.lost();
    } catch {
      // The old holder's own trouble.
    }
  }

  #renewLater(): void {
    this.#stopRenewing = this.#init.clock.timer(LEASE_RENEW_MS, () => this.#renewLater());
    this.#renew();
  }

  #renew(): void {
    for (const [holder, holding] of this.#held) {
      if (holding.token === 0) holding.doubtful = true;
      else this.#renewOne(holder, holding);
    }
  }

  #renewOne(holder: string, holding: Holding): void {
    const args = [holder, String(LEASE_TTL_MS), String(holding.token)];
    this.#run(RENEW, holding.key, ...args).then((answer) => {
      if (answer === 1) holding.failures = 0;
      else this.#lose(holder);
    }, () => {
      holding.failures += 1;
      if (holding.failures >= MOST_FAILURES) this.#lose(holder);
    });
  }

  #run(script: Script, key: string, ...args: readonly string[]): Promise<unknown> {
    const { commands, keys, clock } = this.#init;
    return commands.run(script, [keys.lease(key)], [timeFor(clock), ...args]);
  }
}
