/**
 * Clusters in one process: some hundreds of seeds, and those that found a fault.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FOUND } from "./seeds.ts";
import { shrink, simulate, simulateSeed } from "./simulate.ts";
import { planOf } from "./themes.ts";

const SEEDS = 260;
/** The seeds of one test. */
const AT_ONCE = 20;
/** The time limit of a test on a machine that stands still now and then, in milliseconds. */
const LIMIT_MS = 120_000;

/** Runs a seed, and fails with the smallest plan that does. */
async function checkSeed(seed: number): Promise<void> {
  const outcome = await simulateSeed(seed);
  if (outcome.failures.length === 0) return;
  const { failures, plan, trace } = await shrink(outcome);
  assert.fail(`Seed ${seed}: ${failures.join("; ")}\n${JSON.stringify(plan)}\n${trace.join("\n")}`);
}

describe("simulation", () => {
  test("[SIM-2] the same seed gives the same trace", { timeout: LIMIT_MS }, async () => {
    for (const seed of [3, 8]) {
      const [one, other] = [await simulateSeed(seed), await simulateSeed(seed)];
      assert.ok(one.trace.length > 0);
      assert.deepEqual(one.trace, other.trace);
    }
  });

  for (let from = 1; from <= SEEDS; from += AT_ONCE) {
    const name =
      `[SIM-3, SIM-4, SIM-6, SIM-8, SIM-11, SIM-12, SIM-13, SIM-14] a cluster keeps its promises whatever happens to it, from seed ${from}`;
    test(name, { timeout: LIMIT_MS }, async () => {
      for (let seed = from; seed < from + AT_ONCE; seed++) await checkSeed(seed);
    });
  }

  for (const [what, plan] of Object.entries(FOUND)) {
    test(`[SIM-3] found once: ${what}`, async () => {
      assert.deepEqual((await simulate(plan)).failures, []);
    });
  }

  // The client that sent an approval twice once waited for ever for a node that had died.
  for (const seed of [11_419, 11_591]) {
    test(`[SIM-3, SIM-9] a node dies while an approval is sent twice, seed ${seed}`, async () => {
      await checkSeed(seed);
    });
  }

  test("[SIM-3] a plan of nothing leaves nothing", async () => {
    const { failures } = await simulate({ ...planOf(1), clients: [], faults: [] });
    assert.deepEqual(failures, []);
  });
});
