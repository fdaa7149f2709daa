/**
 * Implements token buckets that the nodes of a cluster share: each node takes tokens from the store in
 * parts, spends them without asking, and returns what it doesn't spend.
 *
 * @module
 */
import { BoundedMap } from "../../internal/bounded_map.ts";
import type { Clock } from "../../internal/clock.ts";
import {
  allowanceOf,
  type QuotaStore,
  spareOf,
  type TokenGrant,
} from "../../internal/quota_store.ts";
import { isPromise, type MaybePromise } from "../../internal/types.ts";
import type { RateLimitDecision } from "./rate_limit.ts";

/** The time after which tokens that were not spent are returned, in milliseconds. */
const RETURN_MS = 1_000;
/** Keeps rounding errors of fractions from adding a whole millisecond to a wait. */
const ROUNDING_MS = 1e-6;
const ALLOWED: RateLimitDecision = { allowed: true };

/** Options for {@linkcode SharedBuckets}. */
export interface SharedBucketsInit {
  readonly store: QuotaStore;
  /** The name of the rate limiter, which begins the names of its buckets. */
  readonly name: string;
  readonly perSecond: number;
  readonly burst: number;
  readonly maxKeys: number;
  readonly clock: Clock;
}

/** A request that waits for a token. */
interface TokenWaiter {
  resolve(decision: RateLimitDecision): void;
  reject(error: unknown): void;
}

/** What this node has of one key's bucket. */
class Bucket {
  readonly name: string;
  /** When the allowance is full again, in milliseconds since the epoch. */
  full = 0;
  /** Tokens of the allowance that the store doesn't know of. */
  uncounted = 0;
  /** Tokens taken from the store. */
  tokens = 0;
  /** Whether one was spent since the last return. */
  active = false;
  asking = false;
  /** When the store has a token again, in milliseconds since the epoch. */
  tokenAt = 0;
  /**
   * Until when the store isn't asked for a token, or for tokens to spare, in milliseconds since the epoch.
   */
  emptyUntil = 0;
  scarceUntil = 0;
  waiters: TokenWaiter[] = [];

  constructor(name: string) {
    this.name = name;
  }
}

/**
 * The buckets of a rate limiter. Each node adds a small allowance to a key's bucket, a twentieth of its
 * rate and burst, which is counted as soon as the node takes tokens from the store. A burst below 20 has
 * no allowance, and is exact.
 */
export class SharedBuckets {
  readonly #init: SharedBucketsInit;
  readonly #tokenMs: number;
  /** The tokens of a full allowance, and the time for each. */
  readonly #allowance: number;
  readonly #allowanceMs: number;
  readonly #spare: number;
  /** The buckets by key, least recently used first. */
  readonly #buckets: BoundedMap<string, Bucket>;
  /** The buckets with tokens taken from the store. */
  readonly #leasing = new Set<Bucket>();
  #stopTimer: (() => void) | undefined;

  /** Creates the buckets, all full. */
  constructor(init: SharedBucketsInit) {
    this.#init = init;
    this.#buckets = new BoundedMap(init.maxKeys, (forgotten) => this.#return(forgotten));
    this.#tokenMs = 1000 / init.perSecond;
    this.#allowance = allowanceOf(init.burst);
    this.#allowanceMs = 20 * this.#tokenMs;
    this.#spare = spareOf(init.burst);
  }

  /**
   * Takes a token from a key's bucket.
   *
   * @throws {Error} If the store fails, and this node has no token
   */
  take(key: string): MaybePromise<RateLimitDecision> {
    const bucket = this.#bucketOf(key);
    const now = this.#init.clock.now();
    if (bucket.tokens > 0) {
      this.#spend(bucket);
      const low = bucket.tokens < this.#spare / 2;
      if (low && !bucket.asking && now >= bucket.scarceUntil) this.#ask(bucket);
      return ALLOWED;
    }
    if (this.#takeAllowance(bucket, now)) return ALLOWED;
    if (now < bucket.emptyUntil) return refused(bucket.tokenAt - now);
    // More could not be let through at once.
    if (bucket.waiters.length >= this.#init.burst) return refused(this.#tokenMs);
    let decision: RateLimitDecision | undefined;
    const { promise, resolve, reject } = Promise.withResolvers<RateLimitDecision>();
    bucket.waiters.push({ resolve: (made) => resolve(decision = made), reject });
    if (!bucket.asking) this.#ask(bucket);
    return decision ?? promise;
  }

  #bucketOf(key: string): Bucket {
    const { name, perSecond, burst } = this.#init;
    const known = this.#buckets.get(key);
    const bucket = known ?? new Bucket(JSON.stringify([name, perSecond, burst, key]));
    this.#buckets.set(key, bucket);
    return bucket;
  }

  #takeAllowance(bucket: Bucket, now: number): boolean {
    const most = this.#allowance * this.#allowanceMs;
    const full = Math.min(Math.max(bucket.full, now), now + most) + this.#allowanceMs;
    if (full - now - most > ROUNDING_MS) return false;
    bucket.full = full;
    bucket.uncounted = Math.min(bucket.uncounted + 1, this.#allowance);
    return true;
  }

  #spend(bucket: Bucket): void {
    bucket.tokens--;
    bucket.active = true;
  }

  /** Takes tokens from the store: one for each request that waits, and some more. */
  #ask(bucket: Bucket): void {
    const { store, perSecond, burst } = this.#init;
    const charge = bucket.uncounted;
    const need = bucket.waiters.length;
    const spare = this.#spare;
    bucket.asking = true;
    bucket.uncounted = 0;
    const done = (grant: TokenGrant) => {
      bucket.asking = false;
      this.#granted(bucket, need, spare, grant);
    };
    const failed = (error: unknown) => {
      bucket.asking = false;
      bucket.uncounted = Math.min(bucket.uncounted + charge, this.#allowance);
      bucket.scarceUntil = this.#init.clock.now() + RETURN_MS;
      for (const { reject } of bucket.waiters.splice(0)) reject(error);
    };
    let grant: MaybePromise<TokenGrant>;
    try {
      grant = store.spend(bucket.name, { perSecond, burst, charge, need, spare });
    } catch (error) {
      return failed(error);
    }
    if (isPromise(grant)) grant.then(done, failed);
    else done(grant);
  }

  #granted(bucket: Bucket, need: number, spare: number, { tokens, waitMs }: TokenGrant): void {
    const now = this.#init.clock.now();
    bucket.tokens += tokens;
    if (tokens < need + spare) bucket.scarceUntil = now + RETURN_MS;
    if (tokens < need) {
      bucket.tokenAt = now + Math.max(1, waitMs);
      // Where tokens are taken ahead, another node may return some before.
      bucket.emptyUntil = this.#spare === 0
        ? bucket.tokenAt
        : Math.min(bucket.tokenAt, now + RETURN_MS);
    }
    while (bucket.tokens > 0 && bucket.waiters.length > 0) {
      this.#spend(bucket);
      bucket.waiters.shift()?.resolve(ALLOWED);
    }
    if (bucket.tokens > 0) {
      this.#leasing.add(bucket);
      this.#stopTimer ??= this.#init.clock.timer(RETURN_MS, () => this.#tick());
    } else if (now < bucket.emptyUntil) {
      bucket.waiters.splice(0).forEach(({ resolve }, index) =>
        resolve(refused(waitMs + index * this.#tokenMs))
      );
    } else if (bucket.waiters.length > 0) this.#ask(bucket);
  }

  /** Returns tokens that were not spent lately. */
  #tick(): void {
    this.#stopTimer = undefined;
    for (const bucket of this.#leasing) {
      if (!bucket.active && !bucket.asking) this.#return(bucket);
      bucket.active = false;
      if (bucket.tokens === 0) this.#leasing.delete(bucket);
    }
    if (this.#leasing.size > 0) {
      this.#stopTimer = this.#init.clock.timer(RETURN_MS, () => this.#tick());
    }
  }

  #return(bucket: Bucket): void {
    if (bucket.tokens === 0) return;
    const { store, perSecond, burst } = this.#init;
    const charge = bucket.uncounted - bucket.tokens;
    bucket.tokens = bucket.uncounted = 0;
    try {
      const returned = store.spend(bucket.name, { perSecond, burst, charge, need: 0, spare: 0 });
      // Tokens that can't be returned are lost: the bucket fills again.
      if (isPromise(returned)) returned.catch(() => {});
    } catch {
      // Tokens that can't be returned are lost: the bucket fills again
    }
  }
}

function refused(waitMs: number): RateLimitDecision {
  return { allowed: false, retryAfterMs: Math.ceil(waitMs) };
}
