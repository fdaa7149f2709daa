/**
 * The keys of an issuer, fetched when they are needed and kept for a while.
 *
 * @module
 */
import { createLocalJWKSet, errors } from "jose";
import type { CryptoKey, JSONWebKeySet, JWSHeaderParameters } from "jose";
import type { MaybePromise } from "../internal/types.ts";
import { isObject } from "../protocol/jsonrpc.ts";
import { Unavailable } from "./errors.ts";
import { type Asking, fetchJson } from "./fetch_json.ts";

/** Finds the key that a token names. */
export type FindKey = (header: JWSHeaderParameters) => Promise<CryptoKey>;

/** Where the keys are, and for how long they are good. */
export interface RemoteKeysInit extends Asking {
  /** How long keys are used before they are fetched again, in milliseconds. */
  readonly cacheMs: number;
  /** Told when keys could not be fetched although nobody waits for them. */
  readonly onError: (error: unknown) => void;
}

/** How many times `cacheMs` keys are used at most, while newer ones can't be had. */
const STALE = 6;
/** How long it takes after a failure until newer keys are looked for again, in milliseconds. */
const RETRY_MS = 5_000;
/**
 * Keys may be looked for so many times in a row because a token names an unknown one, and once more
 * every so many milliseconds: new keys are found at once, and made-up names cost the issuer nothing.
 */
const SEARCHES = 5;
const SEARCH_MS = 10_000;
/** How many keys an issuer may have. */
const MOST_KEYS = 100;

interface Keys {
  readonly find: FindKey;
  readonly at: number;
}

/** The keys behind a URL. One request at a time fetches them, for everybody who waits. */
export class RemoteKeys {
  readonly #init: RemoteKeysInit;
  #keys: Keys | undefined;
  #pending: Promise<Keys> | undefined;
  #triedAt = -Infinity;
  #searches = SEARCHES;
  #searchedAt = -Infinity;

  constructor(init: RemoteKeysInit) {
    this.#init = init;
  }

  /**
   * The key for a token.
   *
   * @throws {Unavailable} If the keys can't be fetched, or the right one might be among those that
   * can't
   * @throws {errors.JWKSNoMatchingKey} If there is none
   */
  readonly find: FindKey = async (header) => {
    const keys = await this.#current();
    try {
      return await keys.find(header);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      const newer = await this.#search(keys);
      if (newer === undefined) throw error;
      return await newer.find(header);
    }
  };

  async #current(): Promise<Keys> {
    const { cacheMs, onError } = this.#init;
    const keys = this.#keys;
    const age = keys === undefined ? Infinity : this.#since(keys.at);
    if (keys === undefined || age >= cacheMs * STALE) return await this.#load();
    if (age >= cacheMs && this.#since(this.#triedAt) >= RETRY_MS) this.#load().catch(onError);
    return keys;
  }

  /** Newer keys than these, unless they have been looked for too often. */
  #search(keys: Keys): MaybePromise<Keys | undefined> {
    if (this.#pending !== undefined) return this.#pending;
    if (this.#keys !== keys) return this.#keys;
    const more = Math.floor(this.#since(this.#searchedAt) / SEARCH_MS);
    if (more > 0) {
      this.#searches = Math.min(SEARCHES, this.#searches + more);
      this.#searchedAt = this.#init.clock.now();
    }
    if (this.#searches > 0) {
      this.#searches--;
      return this.#load();
    }
    if (this.#triedAt > keys.at) throw new Unavailable();
    return undefined;
  }

  /** Milliseconds since then. What lies ahead, since the clock was set back, is as old as it is far. */
  #since(then: number): number {
    return Math.abs(this.#init.clock.now() - then);
  }

  #load(): Promise<Keys> {
    return this.#pending ??= this.#fetch().finally(() => this.#pending = undefined);
  }

  async #fetch(): Promise<Keys> {
    const { clock } = this.#init;
    const at = this.#triedAt = clock.now();
    const body = await fetchJson(this.#init, { headers: { accept: "application/json" } });
    return this.#keys = { find: readKeys(body), at };
  }
}

function readKeys(body: unknown): FindKey {
  try {
    if (!isObject(body) || !Array.isArray(body.keys) || body.keys.length > MOST_KEYS) {
      throw new TypeError(`Expected a JSON Web Key Set with at most ${MOST_KEYS} keys`);
    }
    // What else there is to check, this checks
    return createLocalJWKSet(body as unknown as JSONWebKeySet);
  } catch (cause) {
    throw new Unavailable(undefined, { cause });
  }
}
