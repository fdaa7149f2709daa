/**
 * Time, injected: everything that asks for the time or waits goes through a {@linkcode Clock}, so
 * that tests move it by hand and never sleep.
 *
 * @module
 */

/** Where the time and the timers come from. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /**
   * Calls `callback` once, `ms` milliseconds from now, unless the returned function is called first.
   * The timer MUST NOT keep the process alive by itself.
   */
  timer(ms: number, callback: () => void): () => void;
}

/** The longest wait that `setTimeout` knows; anything above fires at once. */
const LONGEST_MS = 0x7fffffff;

/** The machine's clock. Its timers never keep a process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  timer(ms, callback) {
    if (ms > LONGEST_MS) {
      let stop = systemClock.timer(LONGEST_MS, () => {
        stop = systemClock.timer(ms - LONGEST_MS, callback);
      });
      return () => stop();
    }
    const timer: unknown = setTimeout(callback, ms);
    release(timer);
    return () => clearTimeout(timer as number);
  },
};

/** Lets the process end although the timer is pending, on any runtime that knows the idea. */
function release(timer: unknown): void {
  if (typeof timer !== "object" || timer === null) return;
  const { unref } = timer as { unref?: () => void };
  unref?.call(timer);
}
