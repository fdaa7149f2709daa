/**
 * Rate limits: asks a limiter, and takes its failure for a no.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../../internal/types.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import type { Principal } from "../../protocol/exchange.ts";
import { refusal, type Report } from "../reply.ts";
import type { RateLimitDecision, RateLimiter } from "./types.ts";

/** Refuses a request that the limiter doesn't allow. At once, unless the limiter takes its time. */
export function checkRateLimit(
  request: Request,
  context: unknown,
  limiter: RateLimiter | undefined,
  report: Report,
  principal?: Principal,
): MaybePromise<Response | undefined> {
  if (limiter === undefined) return undefined;
  try {
    const decision = limiter.check(request, context, principal);
    if (!isPromise(decision)) return answer(decision, report);
    return decision.then((value) => answer(value, report))
      .then(undefined, (error: unknown) => failed(error, report));
  } catch (error) {
    return failed(error, report);
  }
}

function failed(error: unknown, report: Report): Response {
  report({ type: "error", during: "rate-limit", error });
  return tooMany(undefined, report);
}

function answer(decision: RateLimitDecision, report: Report): Response | undefined {
  return decision.allowed === true ? undefined : tooMany(decision.retryAfterMs, report);
}

function tooMany(retryAfterMs: number | undefined, report: Report): Response {
  const seconds = Math.ceil((retryAfterMs ?? 0) / 1000);
  return refusal({
    status: 429,
    code: ErrorCode.Refused,
    message: "Send fewer requests",
    reason: "rate-limit",
    headers: seconds > 0 && Number.isSafeInteger(seconds) ? { "retry-after": `${seconds}` } : {},
  }, report);
}
