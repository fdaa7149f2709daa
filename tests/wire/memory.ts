/**
 * How much memory is in use once what nobody needs is gone.
 *
 * @module
 */
import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** What Bun offers instead of V8's flags. */
interface BunGlobal {
  readonly Bun?: { gc(force: boolean): void };
}

let collect: (() => void) | undefined;

function collector(): () => void {
  const { Bun } = globalThis as BunGlobal;
  if (Bun !== undefined) return () => Bun.gc(true);
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc");
}

/** The bytes in use, after everything that can go has been collected. */
export async function memoryInUse(): Promise<number> {
  collect ??= collector();
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    collect();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/**
 * By how many bytes something lets the memory in use grow: the least of three times, since tests of
 * other files may share the process. What leaks does so every time.
 *
 * @param bound With less than this, once is enough
 */
export async function growthBy(work: () => Promise<void>, bound: number): Promise<number> {
  let least = Infinity;
  for (let tries = 0; tries < 3 && least >= bound; tries++) {
    const before = await memoryInUse();
    await work();
    least = Math.min(least, await memoryInUse() - before);
  }
  return least;
}
