/**
 * The rate limit gate: asks a limiter, and refuses when the limiter fails.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../../internal/types.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import type { Principal } from "../../protocol/exchange.ts";
import type { Inbound } from "../inbound.ts";
import { type Failure, type Refusal, refusal } from "../reply.ts";

/** A rate limiter's decision about one request. */
export interface RateLimitDecision {
  /** Whether the request may pass. */
  readonly allowed: boolean;
  /** When to come back, in milliseconds. */
  readonly retryAfterMs?: number;
}

/**
 * Decides whether a request may pass: as `rateLimit` before anything else of it is looked at, as
 * `principalRateLimit` once its principal is known.
 */
export interface RateLimiter {
  /**
   * Asked once for each request, where it is an option. A limiter that throws refuses the request.
   *
   * @param context What the host passed to the endpoint beside the request
   * @param principal Who sends the request, where that is known
   */
  check(
    request: Request,
    context: unknown,
    principal?: Principal,
  ): MaybePromise<RateLimitDecision>;
}

/** Refuses a request that the limiter doesn't allow. At once, unless the limiter is asynchronous. */
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

function tooMany(retryAfterMs: number | undefined, failure?: Failure): Refusal {
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
