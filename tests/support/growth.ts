/**
 * Tells what grows with its input from what explodes with it, on a machine that is busy with other
 * things, too: once with all of the input is compared with sixteen times with a sixteenth of it, which
 * take as long and so are held up as much.
 *
 * @module
 */
import assert from "node:assert/strict";

/** The parts into which the input is divided. */
const PARTS = 16;
/** How many times as long all of it may take: between 1, for what is linear, and 16, for squares. */
const LONGER = 4;
/** What takes less than this is not worth comparing, in milliseconds. */
const NOTHING_MS = 4;
/** What is linear seldom needs more than one. */
const ATTEMPTS = 16;

/** A job, given how much of its input there is: all of it, or a sixteenth. */
export type Job = (size: number) => unknown;

/**
 * Fails when a job explodes with the size of its input.
 *
 * @param size All of the input, in whatever the job counts
 * @param job Does it once; waited for where it answers later
 * @param now Returns the time, in milliseconds
 */
export async function assertLinear(
  what: string,
  size: number,
  job: Job,
  now: () => number = () => performance.now(),
): Promise<void> {
  const tries: string[] = [];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const parts = await msOf(now, async () => {
      for (let part = 0; part < PARTS; part++) await job(Math.ceil(size / PARTS));
    });
    const all = await msOf(now, () => job(size));
    if (all < Math.max(parts, NOTHING_MS) * LONGER) return;
    tries.push(`${all.toFixed(1)} ms instead of ${parts.toFixed(1)} ms`);
  }
  assert.fail(`${what}: all takes longer than ${PARTS} parts of it: ${tries.join(", ")}`);
}

async function msOf(now: () => number, job: () => unknown): Promise<number> {
  const began = now();
  await job();
  return now() - began;
}
