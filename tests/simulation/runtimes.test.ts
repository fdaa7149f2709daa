/**
 * The traces of seeds on the runtimes, held against each other.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { run } from "../../tools/process.ts";
import { commandOf } from "../../tools/runtimes.ts";
import { simulateSeed } from "./simulate.ts";

const RUN = fileURLToPath(new URL("./run.ts", import.meta.url));
const SEEDS = 14;
const LIMIT_MS = 300_000;
const node = commandOf("node");

describe("simulation on other runtimes", () => {
  test("[SIM-5] a seed's trace is the same on Deno and Node, byte for byte", {
    timeout: LIMIT_MS,
    skip: !existsSync(node.program),
  }, async () => {
    const args = [...node.args, RUN, "--digest", "--seeds", String(SEEDS)];
    const { code, output } = await run(node.program, args, { limitMs: LIMIT_MS });
    assert.equal(code, 0, output);
    const theirs = Array.from(output.matchAll(/^Trace of \d+: ([0-9a-f]+)$/gm), ([, hash]) => hash);
    const own: string[] = [];
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { trace } = await simulateSeed(seed);
      assert.ok(trace.length > 0);
      own.push(createHash("sha256").update(trace.join("\n")).digest("hex"));
    }
    assert.deepEqual(theirs, own);
  });
});
