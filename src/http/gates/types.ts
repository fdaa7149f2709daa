/**
 * What the gates are told, and what they let through.
 *
 * @module
 */
import type { MaybePromise } from "../../internal/types.ts";
import type { Principal } from "../../protocol/exchange.ts";

/** A header that every request must carry. */
export interface RequiredHeader {
  /** Its name; case doesn't matter. */
  readonly name: string;
  /** The value it must have; any when left out. */
  readonly value?: string;
}

/** What a rate limiter says of one request. */
export interface RateLimitDecision {
  /** Whether the request may pass. */
  readonly allowed: boolean;
  /** When to come back, in milliseconds. */
  readonly retryAfterMs?: number;
}

/**
 * Decides whether a request may pass: as `rateLimit` before anything else of it is looked at, as
 * `principalRateLimit` once it is known who sends it.
 */
export interface RateLimiter {
  /**
   * Asked once for each request, where it is an option. What it throws refuses the request.
   *
   * @param context What the host handed to the endpoint beside the request
   * @param principal Who sends the request, where that is known
   */
  check(
    request: Request,
    context: unknown,
    principal?: Principal,
  ): MaybePromise<RateLimitDecision>;
}

/** The bounds that the gates keep. */
export interface GateLimits {
  /**
   * Bytes of a request's body.
   *
   * @default {1048576}
   */
  readonly bodyBytes?: number;
  /**
   * Levels of nesting in a request's JSON.
   *
   * @default {64}
   */
  readonly jsonDepth?: number;
  /**
   * Messages in one batch.
   *
   * @default {100}
   */
  readonly batch?: number;
}

/** The options of an endpoint that its gates go by. */
export interface GateOptions {
  /** The one path that is served; any when left out. */
  readonly path?: string;
  /** A path whose GET always answers 200; off when left out. */
  readonly healthPath?: string;
  /**
   * Web origins whose pages may call, such as `"https://app.example"`. Case doesn't matter; without
   * a port any port matches; a leading dot (`"https://.example.com"`) means the domain and everything
   * below it; without a scheme (`"app.example"`) both `http` and `https` match.
   */
  readonly allowedOrigins?: readonly string[];
  /** Host names that the endpoint is reached under, written like origins without their scheme. */
  readonly allowedHosts?: readonly string[];
  /**
   * Whether pages of `allowedOrigins` may read the answers.
   *
   * @default {true}
   */
  readonly cors?: boolean;
  /** A header that every request must carry: its name, or its name and value. */
  readonly requiredHeader?: string | RequiredHeader;
  /** Asked before each request is looked at. */
  readonly rateLimit?: RateLimiter;
  /** The bounds that the gates keep. */
  readonly limits?: GateLimits;
}
