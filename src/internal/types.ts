/**
 * Small types used everywhere.
 *
 * @module
 */

/** A value now, or a promise of it: in-memory implementations answer at once, remote ones later. */
export type MaybePromise<T> = T | Promise<T>;

/** Sends an HTTP request, as the global `fetch` does. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Whether a value is a promise (or anything else with a `then`). */
export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}

/**
 * Does something that may take its time, and then what follows: at once where it took none.
 *
 * @param done What follows; what it throws is not caught
 * @param failed What follows instead when `work` throws or rejects
 */
export function attempt<T, U>(
  work: () => MaybePromise<T>,
  done: (value: T) => MaybePromise<U>,
  failed: (error: unknown) => MaybePromise<U>,
): MaybePromise<U> {
  let value: MaybePromise<T>;
  try {
    value = work();
  } catch (error) {
    return failed(error);
  }
  return isPromise(value) ? value.then(done, failed) : done(value);
}
