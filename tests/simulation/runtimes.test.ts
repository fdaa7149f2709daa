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
import { RARER_THEMES } from "./themes.ts";

const RUN = fileURLToPath(new URL("./run.ts", import.meta.url));
/** The seeds that are compared: those of the second range have all of the rarer themes. */
const RANGES = [[1, 14], [284, 304]] as const;
const LIMIT_MS = 300_000;
const node = commandOf("node");

describe("simulation on other runtimes", () => {
  test("[SIM-5] a seed's trace is the same on Deno and Node, byte for byte", {
    timeout: LIMIT_MS,
    skip: !existsSync(node.program),
  }, async () => {
    const themes = new Set<string>();
    for (const [from, to] of RANGES) {
      const args = ["--digest", "--from", String(from), "--seeds", String(to - from + 1)];
      const { code, output } = await run(node.program, [...node.args, RUN, ...args], {
        limitMs: LIMIT_MS,
      });
      assert.equal(code, 0, output);
      const theirs = Array.from(
        output.matchAll(/^Trace of \d+: ([0-9a-f]+)$/gm),
        ([, hash]) => hash,
      );
      const own: string[] = [];
      for (let seed: number = from; seed <= to; seed++) {
        const { plan, trace } = await simulateSeed(seed);
        assert.ok(trace.length > 0);
        themes.add(plan.theme ?? "");
        own.push(createHash("sha256").update(trace.join("\n")).digest("hex"));
      }
      assert.deepEqual(theirs, own);
    }
    assert.deepEqual(RARER_THEMES.filter((theme) => !themes.has(theme)), []);
  });
});
