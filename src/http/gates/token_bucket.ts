/**
 * A rate limiter that ships with the gates: a token bucket for each key.
 *
 * @module
 */
import { type Clock, systemClock } from "../../internal/clock.ts";
import type { Principal } from "../../protocol/exchange.ts";
import type { RateLimitDecision, RateLimiter } from "./rate_limit.ts";

/** Options for {@linkcode tokenBucket}. */
export interface TokenBucketOptions {
  /** How many requests a key may make each second in the long run: above 0, fractions allowed. */
  readonly perSecond: number;
  /**
   * How many requests a key that has been quiet may make at once.
   *
   * @default {Math.max(1, Math.ceil(perSecond))}
   */
  readonly burst?: number;
  /**
   * Who makes a request: a text of up to 1,024 characters. `undefined` lets the request pass
   * unlimited. `context` is what the host handed to the endpoint beside the request, and `principal`
   * is there where the limiter is the option `principalRateLimit`.
   */
  readonly key: (
    request: Request,
    context: unknown,
    principal?: Principal,
  ) => string | undefined;
  /**
   * How many keys are remembered; past it the one that was quiet for longest is forgotten.
   *
   * @default {10000}
   */
  readonly maxKeys?: number;
  /** Where the time comes from; the machine's clock when left out. */
  readonly clock?: Clock;
}

const ALLOWED: RateLimitDecision = { allowed: true };
const LONGEST_KEY = 1024;
/** Rounding of millisecond fractions must not add a whole millisecond to a wait. */
const ROUNDING_MS = 1e-6;

/**
 * A rate limiter with a bucket of tokens for each key: a request takes one, and `perSecond` of them
 * flow back each second until there are `burst` again. Kept in this process alone.
 *
 * @throws {TypeError} If `key` is not a function
 * @throws {RangeError} If a number is out of its range
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer, tokenBucket } from "@mooring/mcp";
 *
 * createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }), {
 *   // Before it is known who calls: by what the proxy in front vouches for
 *   rateLimit: tokenBucket({
 *     perSecond: 50,
 *     key: (request) => request.headers.get("x-real-ip") ?? "nobody",
 *   }),
 *   // And after
 *   principalRateLimit: tokenBucket({
 *     perSecond: 5,
 *     burst: 20,
 *     key: (_request, _context, principal) => principal?.id,
 *   }),
 * });
 * ```
 */
export function tokenBucket(options: TokenBucketOptions): RateLimiter {
  const {
    perSecond,
    burst = Math.max(1, Math.ceil(perSecond)),
    key,
    maxKeys = 10_000,
    clock = systemClock,
  } = options;
  if (!(perSecond > 0 && perSecond < Infinity)) {
    throw new RangeError(`Give perSecond as a number above 0: ${perSecond}`);
  }
  if (!Number.isSafeInteger(burst) || burst < 1) {
    throw new RangeError(`Give burst as a positive integer: ${burst}`);
  }
  if (!Number.isSafeInteger(maxKeys) || maxKeys < 1) {
    throw new RangeError(`Give maxKeys as a positive integer: ${maxKeys}`);
  }
  if (typeof key !== "function") throw new TypeError("Give a function as key");
  return new TokenBuckets(1000 / perSecond, burst, key, maxKeys, clock);
}

class TokenBuckets implements RateLimiter {
  readonly #tokenMs: number;
  readonly #fullMs: number;
  readonly #key: TokenBucketOptions["key"];
  readonly #maxKeys: number;
  readonly #clock: Clock;
  readonly #start: number;
  /** When each key's bucket is full again, least recently used key first. */
  readonly #full = new Map<string, number>();

  constructor(
    tokenMs: number,
    burst: number,
    key: TokenBucketOptions["key"],
    maxKeys: number,
    clock: Clock,
  ) {
    this.#tokenMs = tokenMs;
    this.#fullMs = tokenMs * burst;
    this.#key = key;
    this.#maxKeys = maxKeys;
    this.#clock = clock;
    this.#start = clock.now();
  }

  check(request: Request, context: unknown, principal?: Principal): RateLimitDecision {
    const key = this.#key(request, context, principal);
    if (key === undefined) return ALLOWED;
    if (typeof key !== "string") throw new TypeError("Return a text or undefined as the key");
    if (key.length > LONGEST_KEY) {
      throw new RangeError(`Return a key of at most ${LONGEST_KEY} characters: ${key.length}`);
    }
    // Counted from the start, the times are small enough to keep fractions of a millisecond.
    const now = this.#clock.now() - this.#start;
    // A clock that was set back must not make anybody wait longer than an empty bucket does.
    const full = Math.min(Math.max(this.#full.get(key) ?? now, now), now + this.#fullMs);
    const waitMs = full + this.#tokenMs - this.#fullMs - now - ROUNDING_MS;
    const allowed = waitMs <= 0;
    this.#remember(key, allowed ? full + this.#tokenMs : full);
    return allowed ? ALLOWED : { allowed, retryAfterMs: Math.ceil(waitMs) };
  }

  #remember(key: string, full: number): void {
    this.#full.delete(key);
    this.#full.set(key, full);
    if (this.#full.size <= this.#maxKeys) return;
    for (const oldest of this.#full.keys()) {
      this.#full.delete(oldest);
      return;
    }
  }
}
