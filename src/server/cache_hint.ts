/**
 * Defines how long clients may cache a result (2026-07-28, Caching).
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";

/** Says for how long, and for whom, a client may cache a result. */
export interface CacheHint {
  /**
   * Gives the time for which the result counts as fresh, in milliseconds; 0 forbids caching.
   *
   * @default {0}
   */
  readonly ttlMs?: number;
  /**
   * Says whether all principals get the same result (`"public"`) or it is for one principal only
   * (`"private"`).
   *
   * @default {"private"}
   */
  readonly cacheScope?: "public" | "private";
}

/**
 * Checks a hint and fills in its defaults.
 *
 * @throws {TypeError} If the scope is neither `"public"` nor `"private"`
 * @throws {RangeError} If the time is not an integer of 0 or more
 */
export function fullCacheHint(
  hint: CacheHint,
): Required<CacheHint> {
  const { ttlMs = 0, cacheScope = "private" } = hint;
  checkNames("a cache hint", hint, { ttlMs: true, cacheScope: true });
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 0) {
    throw new RangeError(`Give an integer of 0 or more as "ttlMs": ${ttlMs}`);
  }
  if (cacheScope !== "public" && cacheScope !== "private") {
    throw new TypeError(`Give "public" or "private" as "cacheScope": ${String(cacheScope)}`);
  }
  return { ttlMs, cacheScope };
}
