/**
 * Leases between handlers of one process.
 *
 * @module
 */
import type { Lease, Leases } from "../streams/leases.ts";

/** Who holds a key. */
interface Holder extends Lease {
  readonly lost: () => void;
}

/**
 * {@linkcode Leases} in memory. A lease lasts until its release or until somebody takes over. What
 * `lost` throws is ignored: the old holder can't keep the new one out.
 */
export class MemoryLeases implements Leases {
  readonly #holders = new Map<string, Holder>();
  #token = 0;

  take(key: string, lost: () => void): Lease {
    const old = this.#holders.get(key);
    const lease = this.#give(key, lost);
    try {
      old?.lost();
    } catch {
      // The old holder's own trouble.
    }
    return lease;
  }

  tryTake(key: string, lost: () => void): Lease | undefined {
    return this.#holders.has(key) ? undefined : this.#give(key, lost);
  }

  held(key: string): boolean {
    return this.#holders.has(key);
  }

  #give(key: string, lost: () => void): Lease {
    const holders = this.#holders;
    const holder: Holder = {
      token: ++this.#token,
      lost,
      release() {
        if (holders.get(key) === holder) holders.delete(key);
      },
    };
    holders.set(key, holder);
    return holder;
  }
}
