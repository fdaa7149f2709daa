/**
 * Keeps the process alive while something is awaited that only timers of the {@linkcode Clock} will end.
 *
 * @module
 */

import { LONGEST_MS } from "./clock.ts";

/**
 * Waits for work, and keeps the process alive meanwhile: without it Node ends a process in which nothing
 * else is left.
 *
 * @param ms The longest time to keep the process alive, in milliseconds
 */
export async function keepAliveDuring<T>(ms: number, work: () => Promise<T>): Promise<T> {
  const timer = setTimeout(() => {}, Math.min(ms, LONGEST_MS));
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}
