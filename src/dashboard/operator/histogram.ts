/**
 * Counts durations in fixed buckets, whose sums over nodes have percentiles too.
 *
 * @module
 */
import { percentileOf } from "../assets/rows.js";

/**
 * The upper bounds of the buckets, in milliseconds, each a bit more than 1.4 times the one before it; the
 * last bucket has no bound.
 */
export const BOUNDS_MS: readonly number[] = [
  ...[1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724],
  ...[1_000, 1_400, 2_000, 2_800, 4_000, 5_700, 8_000, 11_300, 16_000, 22_600],
  ...[32_000, 45_000, 64_000, 120_000, 300_000, 900_000, 3_600_000],
];

/** Creates empty buckets. */
export function emptyBuckets(): number[] {
  return Array.from({ length: BOUNDS_MS.length + 1 }, () => 0);
}

/** Returns the index of the bucket that a duration belongs to. */
export function bucketOf(ms: number): number {
  let low = 0;
  let high = BOUNDS_MS.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ms < (BOUNDS_MS[middle] ?? Infinity)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * Estimates the duration below which a fraction of the calls stayed, in milliseconds, by linear interpolation
 * in its bucket.
 *
 * @param fraction From 0 to 1
 * @returns `undefined` if nothing was counted
 */
export function percentile(buckets: readonly number[], fraction: number): number | undefined {
  return percentileOf(buckets, fraction, BOUNDS_MS);
}
