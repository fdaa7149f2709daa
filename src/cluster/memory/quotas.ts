/**
 * Implements the counts that several handlers in a process share.
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import type {
  QuotaRequest,
  QuotaStore,
  TokenGrant,
  TokenRequest,
} from "../../internal/quota_store.ts";

/** The maximum number of remembered buckets; above it the least recently used one is forgotten. */
const MOST_BUCKETS = 100_000;
/** Keeps rounding errors of fractions from adding a whole millisecond to a wait. */
const ROUNDING_MS = 1e-3;

/** What a node has of a quota. */
interface HeldQuota {
  readonly units: number;
  /** When the units expire, in milliseconds since the epoch. */
  readonly until: number;
}

/** A quota, and when all its units have expired. */
interface Quota {
  readonly holdings: Map<string, HeldQuota>;
  until: number;
}

/** What {@linkcode MemoryQuotas} counts. */
export class MemoryCounts {
  /** The quotas in use, least recently used first. */
  readonly quotas = new Map<string, Quota>();
  /** When each bucket is full again, least recently used first. */
  readonly buckets = new Map<string, number>();
}

/** {@linkcode QuotaStore} in memory. */
export class MemoryQuotas implements QuotaStore {
  readonly #clock: Clock;
  readonly #counts: MemoryCounts;

  /**
   * Creates a store.
   *
   * @param clock The source of time
   * @param counts What to count; nothing at first when left out
   */
  constructor(clock: Clock, counts = new MemoryCounts()) {
    this.#clock = clock;
    this.#counts = counts;
  }

  hold(quota: string, node: string, request: QuotaRequest): number {
    const { limit, keep, need, spare, ttlMs } = request;
    const { quotas } = this.#counts;
    const now = this.#clock.now();
    const { holdings } = quotas.get(quota) ?? { holdings: new Map<string, HeldQuota>() };
    quotas.delete(quota);
    holdings.delete(node);
    let free = limit - keep;
    for (const [other, { units, until }] of holdings) {
      if (until > now) free -= units;
      else holdings.delete(other);
    }
    const needed = Math.max(0, Math.min(free, need));
    const units = keep + needed + Math.max(0, Math.min(spare, Math.floor((free - needed) / 2)));
    if (units > 0) holdings.set(node, { units, until: now + ttlMs });
    if (holdings.size > 0) {
      const until = Math.max(...Array.from(holdings.values(), (holding) => holding.until));
      quotas.set(quota, { holdings, until });
    }
    this.#forgetExpired(now);
    return units;
  }

  spend(bucket: string, { perSecond, burst, charge, need, spare }: TokenRequest): TokenGrant {
    const { buckets } = this.#counts;
    const now = this.#clock.now();
    const tokenMs = 1000 / perSecond;
    const fullMs = tokenMs * burst;
    const known = (buckets.get(bucket) ?? now) + charge * tokenMs;
    let full = Math.min(Math.max(known, now), now + 2 * fullMs);
    const left = Math.max(0, Math.floor((now + fullMs - full + ROUNDING_MS) / tokenMs));
    const needed = Math.min(left, need);
    const tokens = needed + Math.min(spare, Math.floor((left - needed) / 2));
    full += tokens * tokenMs;
    buckets.delete(bucket);
    if (full > now) buckets.set(bucket, full);
    this.#forgetFull(now);
    return { tokens, waitMs: Math.max(0, full + tokenMs - fullMs - now - ROUNDING_MS) };
  }

  #forgetExpired(now: number): void {
    for (const [quota, { until }] of this.#counts.quotas) {
      if (until > now) return;
      this.#counts.quotas.delete(quota);
    }
  }

  #forgetFull(now: number): void {
    const { buckets } = this.#counts;
    for (const [bucket, full] of buckets) {
      if (full > now && buckets.size <= MOST_BUCKETS) return;
      buckets.delete(bucket);
    }
  }
}
