/**
 * Keeps values for each user, whatever sessions and clients the user has.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { isAnonymous, type Principal, type UserState } from "../protocol/exchange.ts";
import { type OwnedRecords, OwnedValues } from "./owned_values.ts";
import { stateText, type StateValues } from "./state_values.ts";

/** The keys of one user at most. */
const MOST_KEYS = 1_000;
/** The part of the idle time after which a read renews a record. */
const RENEW_AFTER = 1 / 10;

/** Options for {@linkcode UserStates}. */
export interface UserStatesInit {
  /** The records, one for each user; `undefined` if the store keeps none. */
  readonly records: OwnedRecords | undefined;
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

/** The state of all users. */
export class UserStates {
  readonly #init: UserStatesInit;
  /** What is kept; `undefined` if the store keeps nothing. */
  readonly #users: OwnedValues | undefined;

  /** Creates the owner; nothing is read yet. */
  constructor(init: UserStatesInit) {
    const { records, keys, idleMs, clock } = this.#init = init;
    this.#users = records && new OwnedValues({
      ...{ records, keys, clock },
      purpose: "mooring user state 1",
      prefix: "user",
      what: "the state of this user",
      ttlMs: () => idleMs,
    });
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
    const users = this.#users;
    if (users === undefined) return refusing(NO_RECORDS);
    const remove = (key: string) => this.#change(users, share, (values) => values.delete(key));
    return {
      get: (key) => this.#get(users, share, key),
      set: async (key, value) => {
        if (value === undefined) return await remove(key);
        const text = stateText(value, "user");
        await this.#change(users, share, (values) => this.#set(values, key, text));
      },
      delete: remove,
    };
  }

  async #get(users: OwnedValues, share: string, key: string): Promise<unknown> {
    const { values, version, writtenAt } = await users.read(share);
    const { clock, idleMs } = this.#init;
    if (version !== null && clock.now() - writtenAt >= idleMs * RENEW_AFTER) {
      // The value is there all the same: the next use renews it.
      await users.change(share, () => {}).catch(() => {});
    }
    return values.get(key);
  }

  #set(values: StateValues, key: string, text: string): void {
    const { bytes } = this.#init;
    if (values.size >= MOST_KEYS && !values.has(key)) {
      throw new RangeError(`Keep fewer keys of a user's state: at most ${MOST_KEYS}`);
    }
    if (values.setText(key, text, bytes)) return;
    throw new RangeError(`Keep less state for a user: at most ${bytes} bytes`);
  }

  async #change(
    users: OwnedValues,
    share: string,
    apply: (values: StateValues) => void,
  ): Promise<void> {
    try {
      await users.change(share, apply);
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "TooManyRecordsError") throw error;
      const message = `Raise "limits.userStates": state is kept for ${this.#init.most} users`;
      throw new RangeError(message, { cause: error });
    }
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
