/**
 * Keeps values for each user, whatever sessions and clients the user has: one record for each, which is
 * replaced as a whole by whoever has read its latest version.
 *
 * @module
 */
import { toBase64Url } from "../internal/base64.ts";
import type { Clock } from "../internal/clock.ts";
import type { RecordStore } from "../internal/record_store.ts";
import { TextSealer } from "../internal/sealing.ts";
import { isAnonymous, type Principal, type UserState } from "../protocol/exchange.ts";
import { stateText, StateValues } from "./state_values.ts";

/** The replacements of a record that may be lost to others before a change fails. */
const TRIES = 100;
/** The changes of one user that wait in this process at most. */
const MOST_WAITING = 1_000;
/** The keys of one user at most. */
const MOST_KEYS = 1_000;
/** The part of the idle time after which a read renews a record. */
const RENEW_AFTER = 1 / 10;
const PURPOSE = "mooring user state 1";
const encoder = new TextEncoder();

/** The records that state is kept in, one for each user. */
export type UserRecords = Pick<RecordStore, "get" | "put" | "delete">;

/** Options for {@linkcode UserStates}. */
export interface UserStatesInit {
  /** The records; `undefined` if the store keeps none. */
  readonly records: UserRecords | undefined;
  /** Secrets that seal the records, if other processes may use the store. */
  readonly keys: readonly (string | Uint8Array)[] | undefined;
  /** The maximum number of bytes of each user. */
  readonly bytes: number;
  /** The maximum number of users, for errors: the records count them. */
  readonly most: number;
  /** The time without use after which a user's values are deleted, in milliseconds. */
  readonly idleMs: number;
  readonly clock: Clock;
}

/** A change of a user's values, and who waits for it. */
interface Change {
  /** @throws {RangeError} If there would be too much */
  readonly apply: (values: StateValues) => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A user's values as they are stored. */
interface Kept {
  readonly values: StateValues;
  /** The version of the record; `null` if there is none. */
  readonly version: string | null;
  /** When it was written, in milliseconds since the epoch. */
  readonly writtenAt: number;
}

/** The state of all users. */
export class UserStates {
  readonly #init: UserStatesInit;
  readonly #sealer: TextSealer | undefined;
  /** The changes that wait, by share key; a user is in it for as long as changes are being written. */
  readonly #waiting = new Map<string, Change[]>();

  /** Creates the owner; nothing is read yet. */
  constructor(init: UserStatesInit) {
    this.#init = init;
    this.#sealer = init.keys && new TextSealer(init.keys, PURPOSE);
  }

  /**
   * Returns the state of a user. That of nobody in particular rejects, since it would be everybody's; but a
   * pipe belongs to the user who started this process.
   *
   * @param share The user's share key
   * @param localPeer Where on this machine the request comes from: see `Exchange`
   */
  of(principal: Principal, share: string, localPeer: string | undefined): UserState {
    if (isAnonymous(principal) && localPeer !== "pipe") return refusing(ANONYMOUS_CALLER);
    if (this.#init.records === undefined) return refusing(NO_RECORDS);
    return {
      get: (key) => this.#get(share, key),
      set: async (key, value) => {
        if (value === undefined) return await this.#delete(share, key);
        const text = stateText(value, "user");
        await this.#change(share, (values) => this.#set(values, key, text));
      },
      delete: (key) => this.#delete(share, key),
    };
  }

  async #get(share: string, key: string): Promise<unknown> {
    const { values, version, writtenAt } = await this.#read(await nameOf(share));
    const { clock, idleMs } = this.#init;
    if (version !== null && clock.now() - writtenAt >= idleMs * RENEW_AFTER) {
      // The value is there all the same: the next use renews it.
      await this.#change(share, () => {}).catch(() => {});
    }
    return values.get(key);
  }

  #delete(share: string, key: string): Promise<void> {
    return this.#change(share, (values) => values.delete(key));
  }

  #set(values: StateValues, key: string, text: string): void {
    const { bytes } = this.#init;
    if (values.size >= MOST_KEYS && !values.has(key)) {
      throw new RangeError(`Keep fewer keys of a user's state: at most ${MOST_KEYS}`);
    }
    if (values.setText(key, text, bytes)) return;
    throw new RangeError(`Keep less state for a user: at most ${bytes} bytes`);
  }

  /** Changes the values of a user, together with what else waits to be changed in this process. */
  #change(share: string, apply: Change["apply"]): Promise<void> {
    return new Promise((resolve, reject) => {
      const change: Change = { apply, resolve, reject };
      // On some hosts, a request may not wait for what another one does.
      if (this.#init.clock.perRequest === true) return void this.#write(share, [change]);
      const waiting = this.#waiting.get(share);
      if (waiting === undefined) return void this.#writeAll(share, [change]);
      if (waiting.length < MOST_WAITING) return void waiting.push(change);
      reject(new RangeError(`Await changes of a user's state: ${MOST_WAITING} wait already`));
    });
  }

  async #writeAll(share: string, first: Change[]): Promise<void> {
    for (let changes = first; changes.length > 0;) {
      const waiting: Change[] = [];
      this.#waiting.set(share, waiting);
      await this.#write(share, changes);
      changes = waiting;
    }
    this.#waiting.delete(share);
  }

  /** Writes changes, again while others write in between. Never rejects: each change has its outcome. */
  async #write(share: string, changes: readonly Change[]): Promise<void> {
    try {
      const name = await nameOf(share);
      for (let tries = 0; tries < TRIES; tries++) {
        const { values, version } = await this.#read(name);
        const failed = new Map<Change, unknown>();
        for (const change of changes) {
          try {
            change.apply(values);
          } catch (error) {
            failed.set(change, error);
          }
        }
        const written = failed.size === changes.length || await this.#put(name, values, version);
        if (!written) continue;
        for (const change of changes) {
          if (failed.has(change)) change.reject(failed.get(change));
          else change.resolve();
        }
        return;
      }
      throw new Error("Try again: others keep changing the state of this user");
    } catch (error) {
      for (const { reject } of changes) reject(error);
    }
  }

  async #read(name: string): Promise<Kept> {
    const found = await this.#records.get(name);
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
   * Writes the values of a user in the place of a version.
   *
   * @returns Whether they were written
   */
  async #put(name: string, values: StateValues, version: string | null): Promise<boolean> {
    const { clock, idleMs, most } = this.#init;
    if (values.size === 0) {
      return version === null || await this.#records.delete(name, version);
    }
    const text = JSON.stringify([clock.now(), values.entries()]);
    const value = this.#sealer === undefined ? text : await this.#sealer.seal(name, text);
    try {
      const write = { ttlMs: idleMs, expected: version };
      return await this.#records.put(name, value, write) !== undefined;
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "TooManyRecordsError") throw error;
      const message = `Raise "limits.userStates": state is kept for ${most} users`;
      throw new RangeError(message, { cause: error });
    }
  }

  get #records(): UserRecords {
    const { records } = this.#init;
    if (records === undefined) throw new TypeError(NO_RECORDS);
    return records;
  }
}

const ANONYMOUS_CALLER =
  'Give "authenticate" to use ctx.user.state: without it, nobody knows whose state it is';
const NO_RECORDS = 'Use a store with "userStates" for ctx.user.state: this one keeps none';

/** Returns a state whose methods reject. */
function refusing(message: string): UserState {
  const refuse = async (): Promise<never> => {
    throw new TypeError(message);
  };
  return { get: refuse, set: refuse, delete: refuse };
}

/** Returns the name of a user's record, which doesn't tell who it is. */
async function nameOf(share: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", encoder.encode(share));
  return `user:${toBase64Url(new Uint8Array(digest))}`;
}
