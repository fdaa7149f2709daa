/**
 * Calls a function at a point in time.
 *
 * @module
 */
import type { Clock } from "./clock.ts";

/** The longest timer, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Calls `callback` once the clock reaches `at`, unless the returned function is called first.
 *
 * @param at The time, in milliseconds since the epoch; never when left out
 * @returns Cancels the call; `undefined` when there is no time to wait for
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
