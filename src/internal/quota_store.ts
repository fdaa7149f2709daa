/**
 * Defines how the nodes of a cluster count together what a principal uses: units in use, such as running
 * requests, and the tokens of rate limits.
 *
 * @module
 */
import type { MaybePromise } from "./types.ts";

/** The time after which units that a node has leased expire unless renewed, in milliseconds. */
export const QUOTA_TTL_MS = 30_000;
/** The time between two renewals of a lease, in milliseconds. */
export const QUOTA_RENEW_MS = 10_000;

/** What a node asks of a quota. */
export interface QuotaRequest {
  /** The units that all nodes together may have. */
  readonly limit: number;
  /** The units that the node keeps: it has them, whatever others have leased. */
  readonly keep: number;
  /** The units that it needs beyond them. */
  readonly need: number;
  /** The units that it would hold beyond those; half of what is free at most. */
  readonly spare: number;
  /** The time after which the units expire unless the node asks again, in milliseconds. */
  readonly ttlMs: number;
}

/** What a node asks of a token bucket. */
export interface TokenRequest {
  /** The tokens that are added each second. */
  readonly perSecond: number;
  /** The tokens of a full bucket. */
  readonly burst: number;
  /** Tokens that the node has used already; below 0, unused tokens that it returns. */
  readonly charge: number;
  /** The tokens that the node needs. */
  readonly need: number;
  /** The tokens that it would hold beyond them; half of what is left at most. */
  readonly spare: number;
}

/** The tokens that a node got. */
export interface TokenGrant {
  /** Their number: `need` and `spare` at most. */
  readonly tokens: number;
  /** The time until the bucket has a token, in milliseconds, with a fraction; 0 if it has one. */
  readonly waitMs: number;
}

/**
 * Counts what the nodes of a cluster use together. A node leases units and tokens in parts, and uses them
 * without asking.
 *
 * An implementation MUST
 * - make `hold` and `spend` atomic, and accept every string as a quota, a bucket and a node;
 * - forget a node's units `ttlMs` milliseconds after its last `hold`, and a bucket once it is full, by the
 *   store's own clock;
 * - throw or reject within a limited time if it fails, and recover automatically.
 */
export interface QuotaStore {
  /**
   * Sets the units that a node has of a quota: `keep`, and of `need` and `spare` what the other nodes leave
   * of `limit`. With 0 of each the node has none.
   *
   * @returns The units that the node has now: `keep` or more
   */
  hold(quota: string, node: string, request: QuotaRequest): MaybePromise<number>;
  /**
   * Takes tokens from a bucket, which is full at first. A charge may leave the bucket in debt: at most by
   * its burst.
   */
  spend(bucket: string, request: TokenRequest): MaybePromise<TokenGrant>;
}

/**
 * Returns the units that a node gives each principal without asking the store: a twentieth of the limit,
 * so none below 20.
 */
export function allowanceOf(limit: number): number {
  return Math.floor(limit / 20);
}

/** Returns the units that a node leases ahead: a tenth of the limit, so none below 10. */
export function spareOf(limit: number): number {
  return Math.floor(limit / 10);
}
