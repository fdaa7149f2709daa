/**
 * Tests of generated inputs: how often they run, and how a failure is run again.
 *
 * `MOORING_LONG=1` runs the long form. `MOORING_SEED=…`, as a failure tells it, runs that failure
 * again, and the rest of its file with the same seed.
 *
 * @module
 */
import { test } from "node:test";
import process from "node:process";
import * as fc from "fast-check";

/** Whether the long form runs. */
export const LONG: boolean = process.env["MOORING_LONG"] === "1";

const [given, ...path] = (process.env["MOORING_SEED"] ?? "").split(":");

/**
 * What all inputs of this process are generated from: every day the same, so that what fails is the
 * doing of a change; in the long form always another.
 */
export const SEED: number = given
  ? Number(given)
  : LONG
  ? Math.trunc(Math.random() * 0x7fffffff)
  : 20_260_728;

/** How often a property is tried. */
export interface Runs {
  readonly everyday: number;
  readonly long: number;
}

/** One of two numbers, by whether the long form runs. */
export function times({ everyday, long }: Runs): number {
  return LONG ? long : everyday;
}

/**
 * Registers a test that a property holds. Its name tells the seed, since an unhandled rejection fails
 * a test without leaving it a word to say.
 */
export function property<T>(
  name: string,
  arbitrary: fc.Arbitrary<T>,
  runs: Runs,
  check: (value: T) => Promise<void>,
): void {
  const timeout = LONG ? 3_600_000 : 60_000;
  test(`${name} (MOORING_SEED=${SEED})`, { timeout }, async () => {
    const details = await fc.check(fc.asyncProperty(arbitrary, check), {
      seed: SEED,
      path: path.join(":"),
      endOnFailure: path.length > 0,
      numRuns: times(runs),
    });
    if (!details.failed) return;
    const where = details.counterexamplePath === null ? "" : `:${details.counterexamplePath}`;
    const found = details.errorInstance instanceof Error ? details.errorInstance.stack : "";
    const example = fc.stringify(details.counterexample).slice(0, 4_000);
    throw new Error(
      `Run it again with MOORING_SEED=${SEED}${where}\n${example}\n${found}`,
      { cause: details.errorInstance },
    );
  });
}
