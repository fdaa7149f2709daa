/**
 * What the gates are told, and what they let through.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";

/** A header that every request must carry. */
export interface RequiredHeader {
  readonly name: string;
  /** The value it must have; any when left out. */
  readonly value?: string;
}

/** What a rate limiter says of one request. */
export interface RateLimitDecision {
  readonly allowed: boolean;
  /** When to come back, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** Decides whether a request may pass, before anything else of it is looked at. */
export interface RateLimiter {
  /** Asked once for each request. What it throws refuses the request. */
  check(request: Request, context: unknown): MaybePromise<RateLimitDecision>;
}
