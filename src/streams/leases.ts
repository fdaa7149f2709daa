/**
 * Defines leases: exclusive rights that one node of a cluster holds at a time, such as to read a
 * session's GET stream.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";

/** A lease on a key. */
export interface Lease {
  /** The fencing token: higher than that of every earlier lease on the key. */
  readonly token: number;
  /** Releases the lease, if it is still held under this token. Safe to call twice. */
  release(): void;
}

/** The time after which a lease expires unless renewed, in milliseconds. */
export const LEASE_TTL_MS = 30_000;
/** The time between two renewals of a lease, in milliseconds. */
export const LEASE_RENEW_MS = 10_000;

/**
 * A set of leases, of which each key has at most one in the whole cluster.
 *
 * An implementation MUST
 * - give every lease on a key a higher token than all before it;
 * - call `lost` of the old holder once when another holder takes the key over, on any node, and never
 *   after its release;
 * - ignore a release under an old token;
 * - if a holder may die without releasing: expire a lease after 30 seconds, renew it every 10 seconds
 *   until its release, and call `lost` once when two renewals in a row fail or one finds that another
 *   holder has the key.
 */
export interface Leases {
  /** Acquires the lease on a key, also from a present holder. `lost` is called when it is lost. */
  take(key: string, lost: () => void): MaybePromise<Lease>;
  /** Acquires the lease on a key that has no holder; else returns `undefined`. */
  tryTake(key: string, lost: () => void): MaybePromise<Lease | undefined>;
  /** Tells whether a key has a holder. */
  held(key: string): MaybePromise<boolean>;
}
