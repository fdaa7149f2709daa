/**
 * Defines small types used everywhere.
 *
 * @module
 */

/** A value or a promise of it: in-memory implementations return values, remote ones promises. */
export type MaybePromise<T> = T | Promise<T>;

/** Sends an HTTP request, as the global `fetch` does. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Tells whether a value is a promise, or any other object with a `then` method. */
export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}

/** Continues with a value: at once, or once its promise resolves. */
export function then<T, U>(
  value: MaybePromise<T>,
  next: (value: T) => MaybePromise<U>,
): MaybePromise<U> {
  return isPromise(value) ? value.then(next) : next(value);
}

/**
 * Runs work that may be asynchronous, then a continuation: synchronously when the work is synchronous.
 *
 * @param done Called with the result; an error that it throws is not caught
 * @param failed Called instead with the error when `work` throws or rejects
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
