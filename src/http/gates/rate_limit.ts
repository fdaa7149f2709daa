/**
 * Implements the rate limit gate: calls a rate limiter, and refuses the request if the limiter fails.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../../internal/types.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import type { Principal } from "../../protocol/exchange.ts";
import type { Inbound } from "../inbound.ts";
import { type Refusal, refusal, type RefusalCause } from "../reply.ts";

/** A rate limiter's decision about one request. */
export interface RateLimitDecision {
  /** Whether the request may pass. */
  readonly allowed: boolean;
  /** The time after which the client may retry, in milliseconds; sent as Retry-After. */
  readonly retryAfterMs?: number;
}

/**
 * Decides whether a request may pass: as the option `rateLimit` before its body is read, as the option
 * `principalRateLimit` after authentication. `tokenBucket` creates one.
 */
export interface RateLimiter {
  /**
   * Called once for each request. If it throws or rejects, the request is refused with a 429.
   *
   * @param context The value that the host passed to the endpoint beside the request
   * @param principal The sender, as `principalRateLimit`; `undefined` as `rateLimit`
   */
  check(
    request: Request,
    context: unknown,
    principal?: Principal,
  ): MaybePromise<RateLimitDecision>;
}

/** Refuses a request that the limiter doesn't allow. Asynchronous only if the limiter is. */
export function checkRateLimit(
  { request, context }: Inbound,
  limiter: RateLimiter,
  principal?: Principal,
): MaybePromise<Refusal | undefined> {
  try {
    const decision = limiter.check(request, context, principal);
    if (!isPromise(decision)) return decide(decision);
    return decision.then(decide).then(undefined, failed);
  } catch (error) {
    return failed(error);
  }
}

function decide(decision: RateLimitDecision): Refusal | undefined {
  return decision.allowed === true ? undefined : tooMany(decision.retryAfterMs);
}

function failed(error: unknown): Refusal {
  return tooMany(undefined, { during: "rate-limit", error });
}

function tooMany(retryAfterMs: number | undefined, failure?: RefusalCause): Refusal {
  const seconds = Math.ceil((retryAfterMs ?? 0) / 1000);
  return refusal({
    status: 429,
    code: ErrorCode.Refused,
    message: "Send fewer requests",
    reason: "rate-limit",
    headers: seconds > 0 && Number.isSafeInteger(seconds) ? { "retry-after": `${seconds}` } : {},
    failure,
  });
}
