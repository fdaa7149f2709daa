/**
 * How long a runtime takes to import what a server needs: Mooring as it is installed, its modules one by
 * one, and other packages, in turn. Each import has a process of its own.
 *
 * @module
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { pack } from "../tools/pack.ts";
import { run } from "../tools/process.ts";
import { commandOf, install, isRuntime, ROOT, type Runtime, RUNTIMES } from "../tools/runtimes.ts";
import { namesIn } from "./options.ts";

const LIMIT_MS = 60_000;
/** Turns of a runtime. The median counts. */
const TURNS = 15;

const fileAt = (path: string): string => pathToFileURL(join(ROOT, path)).href;

/** What is imported for a server over HTTP, by title: the first is what the others are compared with. */
const IMPORTS: Readonly<Record<string, readonly string[]>> = {
  "Mooring, the package": [fileAt("dist/package/mod.js")],
  "Mooring, module by module": [fileAt("mod.ts")],
  "mcp-lite": ["mcp-lite"],
  "tmcp": ["tmcp", "@tmcp/transport-http", "@tmcp/adapter-zod"],
  "official SDK 1": [
    "@modelcontextprotocol/sdk/server/mcp.js",
    "@modelcontextprotocol/sdk/server/streamableHttp.js",
  ],
  "official SDK 2": ["@modelcontextprotocol/server"],
  "@hono/mcp": ["@hono/mcp", "@modelcontextprotocol/sdk/server/mcp.js", "hono"],
  "zod alone": ["zod"],
};

/** The arguments with which a runtime runs a text. */
const EVAL: Readonly<Record<Runtime, readonly string[]>> = {
  deno: ["eval", "--quiet"],
  bun: ["--eval"],
  node: ["--input-type=module", "--eval"],
};

/** Returns the milliseconds of one import. */
async function timed(runtime: Runtime, modules: readonly string[]): Promise<number> {
  const imports = modules.map((name) => `await import(${JSON.stringify(name)});`).join(" ");
  const text = `const from = performance.now(); ${imports}
    console.log("MS " + (performance.now() - from));`;
  const { program } = commandOf(runtime);
  const args = [...EVAL[runtime], text];
  const { code, output } = await run(program, args, { cwd: ROOT, limitMs: LIMIT_MS });
  const [, ms] = /^MS (.*)$/m.exec(output) ?? [];
  if (code !== 0 || ms === undefined) throw new Error(`${runtime}: ${output}`);
  return Number(ms);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

/** Measures all imports in turn, and returns the median of each, in milliseconds, by title. */
async function measure(runtime: Runtime): Promise<Map<string, number>> {
  const times = new Map(Object.keys(IMPORTS).map((title) => [title, [] as number[]]));
  for (let turn = 0; turn <= TURNS; turn++) {
    for (const [title, modules] of Object.entries(IMPORTS)) {
      const ms = await timed(runtime, modules);
      // The first turn fills the caches of files
      if (turn > 0) times.get(title)?.push(ms);
    }
  }
  return new Map([...times].map(([title, values]) => [title, median(values)]));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { runtime: { type: "string" }, json: { type: "string" } },
  });
  const runtimes = namesIn(values.runtime, isRuntime, "runtime") ?? RUNTIMES;
  await install();
  await pack((line) => console.error(line));
  const all: Record<string, Record<string, number>> = {};
  for (const runtime of runtimes) {
    const found = await measure(runtime);
    all[runtime] = Object.fromEntries(found);
    const [own = NaN] = found.values();
    console.log(`\n${runtime.padEnd(28)} ${"ms".padStart(6)} ${"ratio".padStart(6)}`);
    for (const [title, ms] of found) {
      console.log(
        `${title.padEnd(28)} ${ms.toFixed(1).padStart(6)} ${(ms / own).toFixed(2).padStart(6)}`,
      );
    }
  }
  if (values.json !== undefined) await writeFile(values.json, JSON.stringify(all, null, 2) + "\n");
}

await main();
process.exit();
