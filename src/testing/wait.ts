/**
 * Bounded waits.
 *
 * @module
 */

/**
 * Waits for a promise until `signal` aborts.
 *
 * @throws {AbortSignal["reason"]} If the signal aborts first
 */
export async function until<T>(promise: PromiseLike<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort);
  try {
    return await Promise.race([aborted.promise, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/**
 * Waits for a promise, for `ms` milliseconds at most and until `signal` aborts. Unlike the server's own
 * timers, this one keeps the process alive: a test is waiting.
 *
 * @param what The awaited thing, for the error's message
 * @throws {DOMException} A `TimeoutError` after `ms` milliseconds
 * @throws {AbortSignal["reason"]} If the signal aborts first
 */
export async function within<T>(
  promise: PromiseLike<T>,
  ms: number,
  what: string,
  signal?: AbortSignal,
): Promise<T> {
  const late = new AbortController();
  const timeout = () => late.abort(new DOMException(`No ${what} within ${ms} ms`, "TimeoutError"));
  const timer = setTimeout(timeout, ms);
  try {
    const either = signal ? AbortSignal.any([late.signal, signal]) : late.signal;
    return await until(promise, either);
  } finally {
    clearTimeout(timer);
  }
}
