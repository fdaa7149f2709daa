/**
 * Tells what grows with its input from what explodes with it, on a machine that is busy with other
 * things, too: by how many times longer more of it takes, in the quickest of several attempts.
 *
 * @module
 */
import assert from "node:assert/strict";

/** How many times as much is compared with a share of it. */
const MORE = 16;
/** How many times as long that may take: between 16, for what is linear, and 256, for what is quadratic. */
const LONGER = 64;
/** What takes less than this is not worth comparing, in milliseconds. */
const NOTHING_MS = 0.25;
const ATTEMPTS = 8;
/** How often a share of the input is tried first, so that nothing that held it up counts. */
const SHARES = 5;

/** A job, given how much of its input there is: all of it, or a sixteenth. */
export type Job = (size: number) => unknown;

/**
 * Fails when a job explodes with the size of its input.
 *
 * @param size All of the input, in whatever the job counts
 * @param job Does it once; waited for where it answers later
 */
export async function assertLinear(what: string, size: number, job: Job): Promise<void> {
  let little = Infinity;
  let all = Infinity;
  for (let i = 0; i < SHARES; i++) {
    little = Math.min(little, await msOf(job, Math.ceil(size / MORE)));
  }
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    all = Math.min(all, await msOf(job, size));
    if (all < Math.max(little, NOTHING_MS) * LONGER) return;
  }
  assert.fail(`${what}: ${MORE} times as much takes ${all} ms instead of ${little} ms`);
}

async function msOf(job: Job, size: number): Promise<number> {
  const began = performance.now();
  await job(size);
  return performance.now() - began;
}
