/**
 * Clusters in one process: some hundreds of seeds, and those that found a fault.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { planOf } from "./plan.ts";
import { FOUND } from "./seeds.ts";
import { shrink, simulate, simulateSeed } from "./simulate.ts";

const SEEDS = 300;

describe("simulation", () => {
  test("[SIM-2] the same seed gives the same trace", async () => {
    for (const seed of [3, 8]) {
      const [one, other] = [await simulateSeed(seed), await simulateSeed(seed)];
      assert.ok(one.trace.length > 0);
      assert.deepEqual(one.trace, other.trace);
    }
  });

  test("[SIM-3] a cluster keeps its promises whatever happens to it", async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const outcome = await simulateSeed(seed);
      if (outcome.failures.length === 0) continue;
      const { failures, plan, trace } = await shrink(outcome);
      assert.fail(
        `Seed ${seed}: ${failures.join("; ")}\n${JSON.stringify(plan)}\n${trace.join("\n")}`,
      );
    }
  });

  for (const [what, plan] of Object.entries(FOUND)) {
    test(`[SIM-3] found once: ${what}`, async () => {
      assert.deepEqual((await simulate(plan)).failures, []);
    });
  }

  test("[SIM-3] a plan of nothing leaves nothing", async () => {
    const { failures } = await simulate({ ...planOf(1), clients: [], faults: [] });
    assert.deepEqual(failures, []);
  });
});
