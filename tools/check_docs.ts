/**
 * Fails on a public symbol without documentation, and on an example that doesn't type-check, throws, or
 * doesn't end. Examples are the `ts` blocks of doc comments, of the README and of `docs/`. Blocks marked
 * `ts ignore` are skipped.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { run } from "./process.ts";

/** The longest that an example may run, in milliseconds. */
const EXAMPLE_MS = 10_000;
const LIMIT_MS = 120_000;

/** Lists the files that a project exports. */
export function entryPoints(denoJson: string): string[] {
  const { exports }: { exports: Record<string, string> } = JSON.parse(denoJson);
  return Object.values(exports);
}

/** Runs every example, and ends the run when one prints nothing for {@linkcode EXAMPLE_MS}. */
async function runExamples(root: string): Promise<boolean> {
  const places = ["mod.ts", "src", "README.md", "docs"].filter((path) =>
    existsSync(join(root, path))
  );
  const preload = fileURLToPath(new URL("./strict_assert.ts", import.meta.url));
  const abort = new AbortController();
  let example: string | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const { code, output } = await run(process.execPath, [
    "test",
    "--doc",
    "-A",
    "--preload",
    preload,
    ...places,
  ], {
    cwd: root,
    limitMs: LIMIT_MS,
    signal: abort.signal,
    onLine(line) {
      // Before the first example begins, Deno type-checks all of them, which may take longer.
      example = line.match(/^running \d+ tests? from (.*)/)?.[1] ?? example;
      if (example === undefined) return;
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(), EXAMPLE_MS);
    },
  });
  clearTimeout(timer);
  if (abort.signal.aborted) {
    console.error(`Close what the example opens, it still runs after ${EXAMPLE_MS} ms: ${example}`);
  } else if (code !== 0) console.error(output);
  else console.log(output.match(/\d+ passed/)?.[0] ?? "0 passed");
  return code === 0;
}

async function main(root: string): Promise<number> {
  const entries = entryPoints(await readFile(join(root, "deno.json"), "utf8"));
  const [lint, examples] = await Promise.all([
    run(process.execPath, ["doc", "--lint", ...entries], { cwd: root, limitMs: LIMIT_MS }),
    runExamples(root),
  ]);
  if (lint.code !== 0) console.error(lint.output);
  return lint.code === 0 && examples ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main(process.argv[2] ?? process.cwd());
