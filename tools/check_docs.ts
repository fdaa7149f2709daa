/**
 * Fails on a public symbol without documentation, and on an example that throws, or doesn't end. The check
 * of types covers the examples too.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { EXAMPLES, writeExamples } from "./examples.ts";
import { run } from "./process.ts";

const LIMIT_MS = 120_000;

/** Lists the files that a project exports. */
export function entryPoints(denoJson: string): string[] {
  const { exports }: { exports: Record<string, string> } = JSON.parse(denoJson);
  return Object.values(exports);
}

/** Runs every example, and returns whether all passed. */
async function runAll(root: string): Promise<boolean> {
  const count = await writeExamples(root);
  const preload = fileURLToPath(new URL("./strict_assert.ts", import.meta.url));
  const { code, output } = await run(process.execPath, [
    "run",
    "-A",
    "--no-check",
    "--quiet",
    `--preload=${preload}`,
    `${EXAMPLES}/run.ts`,
  ], { cwd: root, limitMs: LIMIT_MS });
  // An example that ends the process has exit code 0, and no last line.
  const passed = code === 0 && output.trimEnd().endsWith(`${count} examples passed`);
  console[passed ? "log" : "error"](passed ? `${count} examples passed` : output);
  return passed;
}

async function main(root: string): Promise<number> {
  const entries = entryPoints(await readFile(join(root, "deno.json"), "utf8"));
  const [lint, examples] = await Promise.all([
    run(process.execPath, ["doc", "--lint", ...entries], { cwd: root, limitMs: LIMIT_MS }),
    runAll(root),
  ]);
  if (lint.code !== 0) console.error(lint.output);
  return lint.code === 0 && examples ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main(process.argv[2] ?? process.cwd());
