/**
 * Small types used everywhere.
 *
 * @module
 */

/** A value now, or a promise of it: in-memory implementations answer at once, remote ones later. */
export type MaybePromise<T> = T | Promise<T>;

/** Whether a value is a promise (or anything else with a `then`). */
export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}
