/**
 * Keeps values for each owner: one record for each, which is replaced as a whole by whoever has read its
 * latest version.
 *
 * @module
 */
import { toBase64Url } from "../internal/base64.ts";
import type { Clock } from "../internal/clock.ts";
import type { RecordStore } from "../internal/record_store.ts";
import { TextSealer } from "../internal/sealing.ts";
import { StateValues } from "./state_values.ts";

/** The replacements of a record that may be lost to others before a change fails. */
const TRIES = 100;
/** The changes of one owner that wait in this process at most. */
const MOST_WAITING = 1_000;
const encoder = new TextEncoder();

/** The records that values are kept in, one for each owner. */
export type OwnedRecords = Pick<RecordStore, "get" | "put" | "delete">;

/** Options for {@linkcode OwnedValues}. */
export interface OwnedValuesInit {
  readonly records: OwnedRecords;
  /** Secrets that seal the records, if other processes may use the store. */
  readonly keys: readonly (string | Uint8Array)[] | undefined;
  /** What the records are for: what seals them opens nothing else. */
  readonly purpose: string;
  /** What the names of the records begin with. */
  readonly prefix: string;
  /** What the values are, for errors: "a user's state". */
  readonly what: string;
  /** Returns the time for which values are kept from now on, in milliseconds. */
  readonly ttlMs: (values: StateValues) => number;
  readonly clock: Clock;
}

/** A change of an owner's values, and who waits for it. */
interface Change {
  readonly apply: (values: StateValues) => boolean | void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** An owner's values as they are stored. */
export interface KeptValues {
  readonly values: StateValues;
  /** The version of the record; `null` if there is none. */
  readonly version: string | null;
  /** When it was written, in milliseconds since the epoch. */
  readonly writtenAt: number;
}

/** The values of all owners. */
export class OwnedValues {
  readonly #init: OwnedValuesInit;
  readonly #sealer: TextSealer | undefined;
  /** The changes that wait, by owner; an owner is in it for as long as changes are being written. */
  readonly #waiting = new Map<string, Change[]>();

  /** Creates the keeper; nothing is read yet. */
  constructor(init: OwnedValuesInit) {
    this.#init = init;
    this.#sealer = init.keys && new TextSealer(init.keys, init.purpose);
  }

  /** Reads the values of an owner. */
  async read(owner: string): Promise<KeptValues> {
    return await this.#read(await this.#nameOf(owner));
  }

  /**
   * Changes the values of an owner, together with what else waits to be changed in this process.
   *
   * @param apply Changes the values, perhaps more than once. `false` if it has changed nothing; what it
   * throws fails the change
   * @throws {RangeError} If too many changes wait
   * @throws {TooManyRecordsError} If there is no room for another owner
   */
  change(owner: string, apply: Change["apply"]): Promise<void> {
    return new Promise((resolve, reject) => {
      const change: Change = { apply, resolve, reject };
      // On some hosts, a request may not wait for what another one does.
      if (this.#init.clock.perRequest === true) return void this.#write(owner, [change]);
      const waiting = this.#waiting.get(owner);
      if (waiting === undefined) return void this.#writeAll(owner, [change]);
      if (waiting.length < MOST_WAITING) return void waiting.push(change);
      const { what } = this.#init;
      reject(new RangeError(`Await changes of ${what}: ${MOST_WAITING} wait already`));
    });
  }

  async #writeAll(owner: string, first: Change[]): Promise<void> {
    for (let changes = first; changes.length > 0;) {
      const waiting: Change[] = [];
      this.#waiting.set(owner, waiting);
      await this.#write(owner, changes);
      changes = waiting;
    }
    this.#waiting.delete(owner);
  }

  /** Writes changes, again while others write in between. Never rejects: each change has its outcome. */
  async #write(owner: string, changes: readonly Change[]): Promise<void> {
    try {
      const name = await this.#nameOf(owner);
      for (let tries = 0; tries < TRIES; tries++) {
        const { values, version } = await this.#read(name);
        const failed = new Map<Change, unknown>();
        let changed = false;
        for (const change of changes) {
          try {
            if (change.apply(values) !== false) changed = true;
          } catch (error) {
            failed.set(change, error);
          }
        }
        const written = !changed || await this.#put(name, values, version);
        if (!written) continue;
        for (const change of changes) {
          if (failed.has(change)) change.reject(failed.get(change));
          else change.resolve();
        }
        return;
      }
      throw new Error(`Try again: others keep changing ${this.#init.what}`);
    } catch (error) {
      for (const { reject } of changes) reject(error);
    }
  }

  async #read(name: string): Promise<KeptValues> {
    const found = await this.#init.records.get(name);
    if (found === undefined) return { values: new StateValues(), version: null, writtenAt: 0 };
    const { value, version } = found;
    const text = this.#sealer === undefined ? value : await this.#sealer.open(name, value);
    // What was sealed with a secret that is gone, or by a stranger, is replaced.
    if (text === undefined) return { values: new StateValues(), version, writtenAt: 0 };
    // This class has written it.
    const [writtenAt, entries] = JSON.parse(text) as [number, [string, string][]];
    return { values: new StateValues(entries), version, writtenAt };
  }

  /**
   * Writes the values of an owner in the place of a version.
   *
   * @returns Whether they were written
   */
  async #put(name: string, values: StateValues, version: string | null): Promise<boolean> {
    const { records, clock, ttlMs } = this.#init;
    if (values.size === 0) return version === null || await records.delete(name, version);
    const text = JSON.stringify([clock.now(), values.entries()]);
    const value = this.#sealer === undefined ? text : await this.#sealer.seal(name, text);
    const write = { ttlMs: ttlMs(values), expected: version };
    return await records.put(name, value, write) !== undefined;
  }

  /** Returns the name of an owner's record, which doesn't tell who it is. */
  async #nameOf(owner: string): Promise<string> {
    const digest = await crypto.subtle.digest("SHA-256", encoder.encode(owner));
    return `${this.#init.prefix}:${toBase64Url(new Uint8Array(digest))}`;
  }
}
