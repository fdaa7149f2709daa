/**
 * Calls a function at a point in time.
 *
 * @module
 */
import type { Clock } from "./clock.ts";

/** The longest timer, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Calls `callback` once the clock shows `at`, unless the returned function is called first.
 *
 * @param at In milliseconds since the epoch; never when left out
 */
export function callAt(
  clock: Clock,
  at: number | undefined,
  callback: () => void,
): (() => void) | undefined {
  if (at === undefined || at === Infinity) return undefined;
  let stop: () => void;
  const wait = () => {
    const ms = at - clock.now();
    if (ms > LONGEST_TIMER) stop = clock.timer(LONGEST_TIMER, wait);
    else stop = clock.timer(Math.max(0, ms), callback);
  };
  wait();
  return () => stop();
}
