/**
 * The everyday gate: every check that needs no test run, side by side, one line each.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import process from "node:process";
import { run } from "./process.ts";
import { ROOT } from "./runtimes.ts";

const LIMIT_MS = 180_000;

/** The checks, as arguments of `deno`, the longest first. */
const CHECKS: Readonly<Record<string, readonly string[]>> = {
  docs: ["run", "-A", "tools/check_docs.ts"],
  types: ["check", "."],
  publish: ["publish", "--dry-run", "--allow-dirty"],
  lint: ["lint"],
  layers: ["run", "-A", "tools/check_layers.ts"],
  requirements: ["run", "-A", "tools/check_requirements.ts"],
  format: ["fmt", "--check"],
};

async function check(name: string, args: readonly string[]): Promise<boolean> {
  const { code, output, ms } = await run(process.execPath, args, { cwd: ROOT, limitMs: LIMIT_MS });
  const passed = code === 0;
  const seconds = (ms / 1000).toFixed(1).padStart(5);
  console.log(`${passed ? "ok    " : "FAILED"} ${name.padEnd(12)} ${seconds} s`);
  if (!passed) console.error(output.trimEnd());
  return passed;
}

/** Runs what is in the queue, one at a time, until it is empty. */
async function work(queue: [string, readonly string[]][]): Promise<boolean> {
  let passed = true;
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    passed = await check(...next) && passed;
  }
  return passed;
}

const queue = Object.entries(CHECKS);
const workers = Array.from({ length: Math.max(2, availableParallelism()) }, () => work(queue));
process.exitCode = (await Promise.all(workers)).every(Boolean) ? 0 : 1;
