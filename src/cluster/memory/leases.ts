/**
 * Implements leases in memory.
 *
 * @module
 */
import type { Lease, Leases } from "../../streams/leases.ts";

/** The holder of a key. */
interface Holder extends Lease {
  readonly lost: () => void;
}

/**
 * {@linkcode Leases} in memory. A lease lasts until it is released or taken over. Errors that `lost`
 * throws are ignored.
 */
export class MemoryLeases implements Leases {
  readonly #holders = new Map<string, Holder>();
  #token = 0;

  take(key: string, lost: () => void): Lease {
    const old = this.#holders.get(key);
    const lease = this.#grant(key, lost);
    try {
      old?.lost();
    } catch {
      // An error of the old holder must not affect the new one.
    }
    return lease;
  }

  tryTake(key: string, lost: () => void): Lease | undefined {
    return this.#holders.has(key) ? undefined : this.#grant(key, lost);
  }

  held(key: string): boolean {
    return this.#holders.has(key);
  }

  #grant(key: string, lost: () => void): Lease {
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
