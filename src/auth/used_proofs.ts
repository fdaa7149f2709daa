/**
 * Remembers used DPoP proofs, in this process or in a store (RFC 9449 §11.1).
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { RecentKeys } from "../internal/recent_keys.ts";
import type { RecordStore } from "../internal/record_store.ts";
import { Unavailable } from "./errors.ts";

/** The memory of used proofs. */
export interface UsedProofs {
  /**
   * Remembers a proof.
   *
   * @returns Whether it had not been used
   * @throws {Unavailable} If it can't be remembered
   */
  add(proof: string): Promise<boolean>;
}

/** Remembers used proofs in this process: each for a time at least, and a limited number in that time. */
export class RememberedProofs implements UsedProofs {
  readonly #proofs: RecentKeys;

  constructor(clock: Clock, keepMs: number, most: number) {
    // It keeps those of this time and of the one before
    this.#proofs = new RecentKeys(clock, keepMs, Math.ceil(most / 2));
  }

  add(proof: string): Promise<boolean> {
    if (this.#proofs.has(proof)) return Promise.resolve(false);
    if (this.#proofs.full) throw new Unavailable();
    this.#proofs.add(proof);
    return Promise.resolve(true);
  }
}

/** Remembers used proofs in a store: each is used once at all nodes. */
export class StoredProofs implements UsedProofs {
  readonly #records: RecordStore;
  readonly #keepMs: number;

  constructor(records: RecordStore, keepMs: number) {
    this.#records = records;
    this.#keepMs = keepMs;
  }

  async add(proof: string): Promise<boolean> {
    try {
      const write = { ttlMs: this.#keepMs, expected: null };
      return await this.#records.put(`dpop:${proof}`, "", write) !== undefined;
    } catch (cause) {
      throw new Unavailable(undefined, { cause });
    }
  }
}
