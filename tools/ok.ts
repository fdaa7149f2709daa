/**
 * Runs every check that needs no test run, several at a time, and prints one line for each. Warnings come
 * last and change nothing about the exit code.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import process from "node:process";
import { WARNING } from "./check_sizes.ts";
import { EXAMPLES, writeExamples } from "./examples.ts";
import { run } from "./process.ts";
import { installPackages, ROOT } from "./runtimes.ts";

const LIMIT_MS = 300_000;

/** The checks, as arguments of `deno`, the longest first. */
const CHECKS: Readonly<Record<string, readonly string[]>> = {
  types: ["check", "--quiet", ".", EXAMPLES],
  docs: ["run", "-A", "tools/check_docs.ts"],
  // It refuses types that are slow to infer even so.
  publish: ["publish", "--dry-run", "--allow-dirty", "--no-check"],
  lint: ["lint"],
  layers: ["run", "-A", "tools/check_layers.ts"],
  sizes: ["run", "-A", "tools/check_sizes.ts"],
  requirements: ["run", "-A", "tools/check_requirements.ts"],
  format: ["fmt", "--check"],
};

/** How a check ended. */
interface Result {
  readonly passed: boolean;
  readonly warnings: readonly string[];
}

async function check(name: string, args: readonly string[]): Promise<Result> {
  const { code, output, ms } = await run(process.execPath, args, { cwd: ROOT, limitMs: LIMIT_MS });
  const passed = code === 0;
  const seconds = (ms / 1000).toFixed(1).padStart(5);
  console.log(`${passed ? "ok    " : "FAILED"} ${name.padEnd(12)} ${seconds} s`);
  if (!passed) console.error(output.trimEnd());
  return { passed, warnings: output.split("\n").filter((line) => line.startsWith(WARNING)) };
}

/** Takes checks off the queue and runs them, one at a time, until it is empty. */
async function work(queue: [string, readonly string[]][]): Promise<Result[]> {
  const results: Result[] = [];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    results.push(await check(...next));
  }
  return results;
}

await installPackages();
await writeExamples(ROOT);
const queue = Object.entries(CHECKS);
const workers = Array.from({ length: Math.max(2, availableParallelism()) }, () => work(queue));
const results = (await Promise.all(workers)).flat();
results.flatMap(({ warnings }) => warnings).forEach((warning) => console.log(warning));
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1;
