import { execFile } from "node:child_process";
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import process from "node:process";
import { promisify } from "node:util";

const internal = (name: string) =>
  JSON.stringify(new URL(`../../../src/internal/${name}.ts`, import.meta.url).href);
const IMPORTS = `const { systemClock } = await import(${internal("clock")});
const { keepAliveDuring } = await import(${internal("keep_alive")});
`;

/** Runs a script in a process of its own, and returns what it wrote. */
async function run(script: string): Promise<string> {
  const args = "Deno" in globalThis
    ? ["eval", IMPORTS + script]
    : "Bun" in globalThis
    ? ["-e", IMPORTS + script]
    : ["--input-type=module", "-e", IMPORTS + script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 20_000 });
  return stdout.trim();
}

/** Waits for a timer of the clock, which keeps no process alive. */
const WAIT = "() => new Promise((resolve) => systemClock.timer(100, () => resolve('done')))";

describe("keepAliveDuring()", () => {
  for (const ms of ["60_000", "Infinity"]) {
    test(`[END-1] keeps the process alive during the work, for up to ${ms} ms`, async () => {
      // Not awaited at the top of the module: some runtimes stay alive for that.
      assert.equal(await run(`keepAliveDuring(${ms}, ${WAIT}).then(console.log);`), "done");
    });
  }

  test("[END-2] lets the process end after the work, also if that failed", async () => {
    const script = `await keepAliveDuring(600_000, async () => {});
await keepAliveDuring(600_000, () => Promise.reject(new Error("failed"))).catch(() => {});
console.log("end");`;
    assert.equal(await run(script), "end");
  });
});
