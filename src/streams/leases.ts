/**
 * Leases: what one node of a cluster holds alone, such as the reading end of a session's GET stream.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";

/** Something that one holder at a time holds. */
export interface Lease {
  /** Rises with every change of holder, so that an old holder can be told from the new one. */
  readonly token: number;
  /** Gives the lease up, if it is still held under this token. Safe to call twice. */
  release(): void;
}

/** How long a lease lasts that is not renewed, in milliseconds. */
export const LEASE_TTL_MS = 30_000;
/** How often a held lease is renewed, in milliseconds. */
export const LEASE_RENEW_MS = 10_000;

/**
 * Keys that one holder in the whole cluster holds at a time.
 *
 * An implementation MUST
 * - give every lease of a key a higher token than any before it;
 * - call `lost` of the old holder once when another holder takes the key over, on any node, and never
 *   after its release;
 * - ignore a release under an old token;
 * - where a holder may die without releasing: expire a lease after {@linkcode LEASE_TTL_MS}, renew it by
 *   itself every {@linkcode LEASE_RENEW_MS}, and call `lost` once when two renewals in a row fail or
 *   one finds that another holder has the key.
 */
export interface Leases {
  /** Takes a key, also from a present holder. */
  take(key: string, lost: () => void): MaybePromise<Lease>;
  /** Takes a key only when it has no holder. */
  tryTake(key: string, lost: () => void): MaybePromise<Lease | undefined>;
  /** Tells whether a key has a holder. */
  held(key: string): MaybePromise<boolean>;
}
