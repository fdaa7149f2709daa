/**
 * Faults that are planted into a copy of the project, each at a seed that finds it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { run } from "../../tools/process.ts";

const PLANT = fileURLToPath(new URL("../../tools/plant.ts", import.meta.url));
const LIMIT_MS = 120_000;

/** The faults, by the seed that finds each, and what is wrong there. */
const FOUND: readonly (readonly [name: string, seed: number, why: RegExp])[] = [
  ["a node is never taken for lost", 593, /was answered \d+ ms after the last fault/],
  ["a cancellation is published once", 129, /ran on for \d+ ms although it was cancelled/],
  ["an approval counts at each node", 593, /ran twice/],
  ["a claim is taken over", 593, /ran twice/],
  ["the cancellation of a task is sent once", 150, /ran on for \w+ ms although it was cancelled/],
  ["two nodes renew tokens at once", 53, /refresh token was used twice/],
];

describe("planted faults", { skip: !("Deno" in globalThis) }, () => {
  for (const [name, seed, why] of FOUND) {
    test(
      `[SIM-8, SIM-10] ${name}: seed ${seed} finds it`,
      { timeout: LIMIT_MS },
      async () => {
        const args = ["run", "-A", PLANT, "--only", name, "--from", String(seed), "--seeds", "1"];
        const { code, output } = await run("deno", args, { limitMs: LIMIT_MS });
        assert.match(output, why);
        assert.equal(code, 0, output);
      },
    );
  }
});
