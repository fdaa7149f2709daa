/**
 * Waits that come to an end.
 *
 * @module
 */

/**
 * Waits for a promise, but neither longer than `ms` milliseconds nor after `signal` has aborted.
 * Unlike the server's own timers, this one keeps the process alive: a test is waiting.
 *
 * @param what What is waited for, for the error's message
 * @throws {DOMException} A `TimeoutError` when the time is up
 * @throws {AbortSignal["reason"]} When the signal aborts
 */
export async function within<T>(
  promise: PromiseLike<T>,
  ms: number,
  what: string,
  signal?: AbortSignal,
): Promise<T> {
  signal?.throwIfAborted();
  return await new Promise<T>((resolve, reject) => {
    const abort = () => settle(() => reject(signal?.reason));
    const timer = setTimeout(() => settle(() => reject(timedOut(ms, what))), ms);
    const settle = (end: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      end();
    };
    signal?.addEventListener("abort", abort);
    promise.then((value) => settle(() => resolve(value)), (error) => settle(() => reject(error)));
  });
}

/**
 * Waits for `ms` milliseconds, or less when `signal` aborts. Never rejects.
 */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}

function timedOut(ms: number, what: string): DOMException {
  return new DOMException(`No ${what} within ${ms} ms`, "TimeoutError");
}
