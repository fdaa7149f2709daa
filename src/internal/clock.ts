/**
 * Provides time: all code reads the time and sets timers through a {@linkcode Clock}, so that tests
 * can advance it and never sleep.
 *
 * @module
 */

/** A source of time and timers. */
export interface Clock {
  /** Returns the time, in milliseconds since the epoch. */
  now(): number;
  /**
   * Returns a time for measuring durations, in milliseconds with a fraction; it never goes back.
   * Durations are whole milliseconds of `now()` without it.
   */
  precise?(): number;
  /**
   * Calls `callback` once, `ms` milliseconds from now, unless the returned function is called first.
   * A pending timer MUST NOT keep the process alive.
   */
  timer(ms: number, callback: () => void): () => void;
  /**
   * Whether a timer ends with the request during which it was set, as on Cloudflare Workers.
   *
   * @default {false}
   */
  readonly perRequest?: boolean;
}

/** Returns a time for measuring durations: precise, if the clock can tell. */
export function preciseTime(clock: Clock): number {
  return clock.precise === undefined ? clock.now() : clock.precise();
}

/** The longest delay of `setTimeout`, in milliseconds; a longer one fires at once. */
export const LONGEST_MS = 0x7fffffff;

const ON_WORKERS = globalThis.navigator?.userAgent === "Cloudflare-Workers";

/** The system clock. Its timers don't keep the process alive. */
export const systemClock: Clock = {
  perRequest: ON_WORKERS,
  now: () => Date.now(),
  precise: () => performance.now(),
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

/** Lets the process end while the timer is pending, where timers have `unref()`. */
function release(timer: unknown): void {
  if (typeof timer !== "object" || timer === null) return;
  const { unref } = timer as { unref?: () => void };
  unref?.call(timer);
}
