/**
 * Implements a rate limiter with a token bucket for each key, in this process or for a whole cluster.
 *
 * @module
 */
import { checkNames } from "../../internal/known_names.ts";
import { BoundedMap } from "../../internal/bounded_map.ts";
import { type Clock, systemClock } from "../../internal/clock.ts";
import type { QuotaStore } from "../../internal/quota_store.ts";
import type { MaybePromise } from "../../internal/types.ts";
import type { Principal } from "../../protocol/exchange.ts";
import type { RateLimitDecision, RateLimiter } from "./rate_limit.ts";
import { SharedBuckets } from "./shared_buckets.ts";

/** A store of token buckets: the `Store` of the handlers. */
export interface TokenBucketStore {
  /** Returns what counts for all nodes together. */
  quotas?(clock: Clock): QuotaStore;
}

/** Options for {@linkcode tokenBucket}. */
export interface TokenBucketOptions {
  /** The sustained rate of a key, in requests per second: above 0, fractions allowed. */
  readonly perSecond: number;
  /**
   * The number of requests that an idle key may send at once.
   *
   * @default {Math.max(1, Math.ceil(perSecond))}
   */
  readonly burst?: number;
  /**
   * Returns the key of a request: a string of at most 1,024 characters, or `undefined` to pass the request
   * without limit. `context` is the value that the host passed to the endpoint beside the request.
   * `principal` is given if the limiter is the option `principalRateLimit`.
   */
  readonly key: (
    request: Request,
    context: unknown,
    principal?: Principal,
  ) => string | undefined;
  /**
   * The number of remembered keys; above it the least recently used one is forgotten.
   *
   * @default {10000}
   */
  readonly maxKeys?: number;
  /**
   * Counts the requests at all nodes together: the handler's `store`. Memory of this process when left out.
   *
   * A node takes tokens from the store in parts, a tenth of `burst` at a time, and returns what it doesn't
   * use within two seconds. A request waits for the store when the node has no token; it is refused if the
   * store fails then. From a `burst` of 20, each node has an allowance of a twentieth of `perSecond` and
   * `burst` that needs no store: all nodes together let through at most that much more for each node.
   */
  readonly store?: TokenBucketStore;
  /**
   * The name of the rate limiter, for limiters with the same `store` that count apart. It is the same at
   * all nodes, as are `perSecond` and `burst`.
   *
   * @default {""}
   */
  readonly name?: string;
  /** The source of time; the system clock when left out. */
  readonly clock?: Clock;
}

const ALLOWED: RateLimitDecision = { allowed: true };
const LONGEST_KEY = 1024;
/** Keeps rounding errors of fractions from adding a whole millisecond to a wait. */
const ROUNDING_MS = 1e-6;

/**
 * Creates a rate limiter with a token bucket for each key: a request takes one token, and `perSecond`
 * tokens are added each second, up to `burst`. The buckets are in the memory of this process, unless a
 * `store` is given.
 *
 * @throws {TypeError} If `key` is not a function, `name` is not a string, or the store has no `quotas`
 * @throws {RangeError} If a number is out of range
 *
 * @example
 * ```ts
 * import { addressKey, createMcpHandler, McpServer, tokenBucket } from "@mooring/mcp";
 *
 * createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }), {
 *   // Before authentication: by an address that the proxy in front sets
 *   rateLimit: tokenBucket({
 *     perSecond: 50,
 *     key: (request) => addressKey(request.headers.get("x-real-ip") ?? "unknown"),
 *   }),
 *   // After authentication: by principal
 *   principalRateLimit: tokenBucket({
 *     perSecond: 5,
 *     burst: 20,
 *     key: (_request, _context, principal) => principal?.id,
 *   }),
 * });
 * ```
 */
export function tokenBucket(options: TokenBucketOptions): RateLimiter {
  checkNames("tokenBucket()", options, {
    perSecond: true,
    burst: true,
    key: true,
    maxKeys: true,
    store: true,
    name: true,
    clock: true,
  });
  const {
    perSecond,
    burst = Math.max(1, Math.ceil(perSecond)),
    key,
    maxKeys = 10_000,
    store,
    name = "",
    clock = systemClock,
  } = options;
  if (!(perSecond > 0 && perSecond < Infinity)) {
    throw new RangeError(`Give a number above 0 as "perSecond": ${perSecond}`);
  }
  if (!Number.isSafeInteger(burst) || burst < 1) {
    throw new RangeError(`Give a positive integer as "burst": ${burst}`);
  }
  if (!Number.isSafeInteger(maxKeys) || maxKeys < 1) {
    throw new RangeError(`Give a positive integer as "maxKeys": ${maxKeys}`);
  }
  if (typeof key !== "function") throw new TypeError(`Give a function as "key": ${typeof key}`);
  if (typeof name !== "string") throw new TypeError(`Give a string as "name": ${typeof name}`);
  if (store === undefined) {
    return new KeyedLimiter(key, new TokenBuckets(1000 / perSecond, burst, maxKeys, clock));
  }
  if (typeof store?.quotas !== "function") {
    throw new TypeError('Give a store with the method "quotas" as "store"');
  }
  const quotas = store.quotas(clock);
  const init = { store: quotas, name, perSecond, burst, maxKeys, clock };
  return new KeyedLimiter(key, new SharedBuckets(init));
}

/** Takes a token for each request that has a key. */
class KeyedLimiter implements RateLimiter {
  readonly #key: TokenBucketOptions["key"];
  readonly #buckets: { take(key: string): MaybePromise<RateLimitDecision> };

  constructor(
    key: TokenBucketOptions["key"],
    buckets: { take(key: string): MaybePromise<RateLimitDecision> },
  ) {
    this.#key = key;
    this.#buckets = buckets;
  }

  check(
    request: Request,
    context: unknown,
    principal?: Principal,
  ): MaybePromise<RateLimitDecision> {
    const key = this.#key(request, context, principal);
    if (key === undefined) return ALLOWED;
    if (typeof key !== "string") {
      throw new TypeError(`Return a string or undefined from "key": ${typeof key}`);
    }
    if (key.length > LONGEST_KEY) {
      throw new RangeError(`Return a key of at most ${LONGEST_KEY} characters: ${key.length}`);
    }
    return this.#buckets.take(key);
  }
}

/** Buckets in the memory of this process. */
class TokenBuckets {
  readonly #tokenMs: number;
  readonly #fullMs: number;
  readonly #clock: Clock;
  readonly #start: number;
  /** When each key's bucket is full again, least recently used key first. */
  readonly #full: BoundedMap<string, number>;

  constructor(
    tokenMs: number,
    burst: number,
    maxKeys: number,
    clock: Clock,
  ) {
    this.#tokenMs = tokenMs;
    this.#fullMs = tokenMs * burst;
    this.#full = new BoundedMap(maxKeys);
    this.#clock = clock;
    this.#start = clock.now();
  }

  take(key: string): RateLimitDecision {
    // Relative to the start, times are small enough to keep fractions of a millisecond.
    const now = this.#clock.now() - this.#start;
    // After the clock was set back, no key waits longer than with an empty bucket.
    const full = Math.min(Math.max(this.#full.get(key) ?? now, now), now + this.#fullMs);
    const waitMs = full + this.#tokenMs - this.#fullMs - now - ROUNDING_MS;
    const allowed = waitMs <= 0;
    this.#full.set(key, allowed ? full + this.#tokenMs : full);
    return allowed ? ALLOWED : { allowed, retryAfterMs: Math.ceil(waitMs) };
  }
}
