/**
 * Fetches and caches the keys of an issuer.
 *
 * jose's `createRemoteJWKSet` is not used because it can't keep keys during an outage of the issuer,
 * refuses new keys during its cooldown, and depends on the system clock, even if that is set back.
 *
 * @module
 */
import type { CryptoKey, JSONWebKeySet, JWSHeaderParameters } from "jose";
import type { Clock } from "../internal/clock.ts";
import type { Fetch, MaybePromise } from "../internal/types.ts";
import { isObject } from "../protocol/jsonrpc.ts";
import { requestFailure } from "./bounded_fetch.ts";
import { Unavailable } from "./errors.ts";
import { jose } from "./packages.ts";

/** Returns the key that signed a token, by the token's header. */
export type FindKey = (header: JWSHeaderParameters) => Promise<CryptoKey>;

/** Options for {@linkcode RemoteKeys}. */
export interface RemoteKeysInit {
  /** The URL of the JSON Web Key Set. */
  readonly url: string;
  /** Sends the requests; limited in time and in size. */
  readonly fetch: Fetch;
  /** The source of time. */
  readonly clock: Clock;
  /** The time for which keys are used before they are fetched again, in milliseconds. */
  readonly cacheMs: number;
  /** Called when fetching keys fails in the background, while older keys are used. */
  readonly onError: (error: unknown) => void;
}

/** During an outage of the issuer, keys are used for this many times `cacheMs`. */
const STALE_FACTOR = 6;
/** Time from one background fetch of stale keys to the next, in milliseconds. */
const RETRY_MS = 5_000;
/**
 * A token with an unknown key id causes a fetch: up to this many times in a row, plus once every
 * `LOOKUP_REFILL_MS`. So new keys are found at once, and invented key ids cause few requests.
 */
const MAX_LOOKUPS = 5;
const LOOKUP_REFILL_MS = 10_000;
/** The maximum number of keys of an issuer. */
const MAX_KEYS = 100;

interface KeySet {
  readonly find: FindKey;
  readonly fetchedAt: number;
}

/** The key set at a URL. Concurrent requests share one fetch. */
export class RemoteKeys {
  readonly #init: RemoteKeysInit;
  #keys: KeySet | undefined;
  #pending: Promise<KeySet> | undefined;
  #triedAt = -Infinity;
  #lookups = MAX_LOOKUPS;
  #refilledAt = -Infinity;

  constructor(init: RemoteKeysInit) {
    this.#init = init;
  }

  /**
   * Returns the key that signed a token.
   *
   * @throws {Unavailable} If the keys can't be fetched, and the cached ones are too old or don't have
   * the key
   * @throws {errors.JWKSNoMatchingKey} If the issuer has no such key
   */
  readonly find: FindKey = async (header) => {
    const keys = await this.#usable();
    try {
      return await keys.find(header);
    } catch (error) {
      if (!(error instanceof jose().errors.JWKSNoMatchingKey)) throw error;
      const newer = await this.#newerThan(keys);
      if (newer === undefined) throw error;
      return await newer.find(header);
    }
  };

  /** Returns the cached keys, unless they are too old; old ones are replaced in the background. */
  async #usable(): Promise<KeySet> {
    const { cacheMs, onError } = this.#init;
    const keys = this.#keys;
    const age = keys === undefined ? Infinity : this.#since(keys.fetchedAt);
    if (keys === undefined || age >= cacheMs * STALE_FACTOR) return await this.#load();
    if (age < cacheMs || this.#since(this.#triedAt) < RETRY_MS) return keys;
    const fresh = this.#load().catch((error) => {
      onError(error);
      return keys;
    });
    // In the background nothing outlives the request there.
    return this.#init.clock.perRequest === true ? await fresh : keys;
  }

  /** Returns newer keys, or `undefined` if they have been fetched too often. */
  #newerThan(keys: KeySet): MaybePromise<KeySet | undefined> {
    if (this.#pending !== undefined) return this.#pending;
    if (this.#keys !== keys) return this.#keys;
    const refill = Math.floor(this.#since(this.#refilledAt) / LOOKUP_REFILL_MS);
    if (refill > 0) {
      this.#lookups = Math.min(MAX_LOOKUPS, this.#lookups + refill);
      this.#refilledAt = this.#init.clock.now();
    }
    if (this.#lookups > 0) {
      this.#lookups--;
      return this.#load();
    }
    // The last fetch failed: the key may be a new one.
    if (this.#triedAt > keys.fetchedAt) throw new Unavailable();
    return undefined;
  }

  /** Returns the milliseconds since a time; also positive if the clock was set back before it. */
  #since(then: number): number {
    return Math.abs(this.#init.clock.now() - then);
  }

  #load(): Promise<KeySet> {
    // A request must not wait for another one, which may end before.
    if (this.#init.clock.perRequest === true) return this.#fetch();
    return this.#pending ??= this.#fetch().finally(() => this.#pending = undefined);
  }

  async #fetch(): Promise<KeySet> {
    const { url, fetch, clock } = this.#init;
    const fetchedAt = this.#triedAt = clock.now();
    const response = await fetch(url, { headers: { accept: "application/json" } });
    return this.#keys = { find: await readKeys(response, url), fetchedAt };
  }
}

async function readKeys(response: Response, url: string): Promise<FindKey> {
  try {
    const body: unknown = await response.json();
    if (isObject(body) && Array.isArray(body.keys) && body.keys.length <= MAX_KEYS) {
      // jose checks the members
      return jose().createLocalJWKSet(body as unknown as JSONWebKeySet);
    }
  } catch {
    // The error could quote the body, which must not get into events.
  }
  throw requestFailure(`Expected a JSON Web Key Set of at most ${MAX_KEYS} keys`, url);
}
