/**
 * Runs the protocol's official conformance suite against the fixture server, strictly: fails when a
 * scenario is missing, and when a check of one doesn't pass or warns.
 *
 * @module
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { startFixture } from "./fixture.ts";
import { run } from "./process.ts";
import { commandOf, install, isRuntime, pinned, type Runtime } from "./runtimes.ts";
import { bundle, startWorker } from "./workerd.ts";
import { judged, NOTHING, sum, type Tally, tallyLine } from "./tally.ts";

/** A run that must pass, with its count, because a selection that matches nothing would pass too. */
interface Selection {
  readonly args: readonly string[];
  readonly scenarios: number;
}

const PROTOCOL: readonly Selection[] = [
  { args: ["--spec-version", "2025-11-25"], scenarios: 33 },
  { args: ["--spec-version", "2026-07-28"], scenarios: 40 },
];
const WITH_EXTENSIONS: readonly Selection[] = [...PROTOCOL, { args: [], scenarios: 65 }];

/** A server for the suite, which the tool starts and stops. */
interface Target {
  readonly url: string;
  readonly ended: Promise<{ readonly output: string }>;
  stop(): Promise<unknown>;
}

/** The check that this version of the suite skips for every server. */
const NEVER_MADE = "tasks-status-notifications";

const LIMIT_MS = 120_000;

/** The result of one check of the suite. */
export interface Check {
  readonly id: string;
  readonly status: string;
  readonly description?: string;
  readonly errorMessage?: string;
  readonly details?: unknown;
}

/** One scenario of the suite and its checks. */
export interface Scenario {
  readonly name: string;
  readonly checks: readonly Check[];
}

/** Returns one line for each check of a scenario that did not pass. */
export function scenarioProblems({ name, checks }: Scenario): string[] {
  const [only] = checks;
  if (checks.length === 1 && only?.id === NEVER_MADE && only.status === "SKIPPED") return [];
  const bad = checks.filter(({ status }) => status !== "SUCCESS" && status !== "INFO");
  if (bad.length === 0 && !checks.some(({ status }) => status === "SUCCESS")) {
    return [`${name}: No check was made`];
  }
  return bad.map(({ id, status, description, errorMessage, details }) => {
    const seen = JSON.stringify(details) ?? "";
    return `${name}: ${status} ${id}: ${errorMessage ?? description ?? ""}` +
      (seen === "" ? "" : `\n    ${seen.length > 600 ? `${seen.slice(0, 600)} …` : seen}`);
  });
}

/** Reads the scenario's name out of the name of its folder of results: `server-<scenario>-<time>`. */
export function scenarioName(folder: string): string | undefined {
  return folder.match(/^server-(.+)-\d{4}-\d{2}-\d{2}T[\d-]+Z$/)?.[1];
}

/**
 * Runs the whole suite against a server under one runtime.
 *
 * @param file The server's module, from the project's root. The fixture server by default
 */
export function conformance(runtime: Runtime, file?: string): Promise<Tally> {
  return runSelections(WITH_EXTENSIONS, () => startFixture(runtime, file));
}

/**
 * Runs the suite against the fixture server in workerd, the runtime of Cloudflare Workers, with a Durable
 * Object for each session. Without the extensions, of which some need a file system.
 */
export async function conformanceOnWorkers(): Promise<Tally> {
  const script = await bundle("tests/fixtures/everything_worker.ts");
  return await runSelections(PROTOCOL, async () => {
    const worker = await startWorker(script, { sessions: "McpSession" });
    return { url: `${worker.origin}/mcp`, ended: worker.ended, stop: () => worker.stop() };
  });
}

async function runSelections(
  selections: readonly Selection[],
  begin: () => Promise<Target>,
): Promise<Tally> {
  let total = NOTHING;
  for (const { args, scenarios } of selections) {
    const fixture = await begin();
    let crash: string | undefined;
    fixture.ended.then(({ output }) => crash = output);
    try {
      const tally = await runSelection(fixture.url, args, scenarios);
      if (crash !== undefined) console.error(`The server crashed:\n${crash}`);
      total = sum(total, judged(tally, crash === undefined ? 0 : 1));
    } finally {
      await fixture.stop();
    }
  }
  return total;
}

async function runSelection(
  url: string,
  selection: readonly string[],
  expected: number,
): Promise<Tally> {
  const folder = await mkdtemp(join(tmpdir(), "conformance-"));
  try {
    const [results, known] = [join(folder, "results"), join(folder, "known.yml")];
    // With an empty list of expected failures the suite fails on warnings, too.
    await writeFile(known, "server: []\n");
    const { program, args } = commandOf("node");
    const { code, output } = await run(program, [
      ...args,
      pinned("@modelcontextprotocol/conformance/dist/index.js"),
      "server",
      ...["--url", url, "--suite", "all", ...selection],
      ...["--expected-failures", known, "-o", results],
    ], { limitMs: LIMIT_MS });
    const scenarios = await readResults(results);
    const problems = scenarios.map(scenarioProblems);
    problems.flat().forEach((problem) => console.error(`  ${problem}`));
    const failed = problems.filter(({ length }) => length > 0).length;
    if (scenarios.length !== expected) {
      console.error(`  ${scenarios.length} scenarios ran instead of ${expected}`);
      return { passed: scenarios.length - failed, failed: failed + 1, skipped: 0 };
    }
    if (code !== 0 && failed === 0) console.error(output.slice(-4_000));
    return judged({ passed: scenarios.length - failed, failed, skipped: 0 }, code);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function readResults(folder: string): Promise<Scenario[]> {
  const entries = await readdir(folder).catch(() => []);
  return await Promise.all(
    entries.sort().flatMap((entry) => {
      const name = scenarioName(entry);
      if (name === undefined) return [];
      return [
        readFile(join(folder, entry, "checks.json"), "utf8").then((text) => ({
          name,
          checks: JSON.parse(text) as Check[], // the suite's own format
        })),
      ];
    }),
  );
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { runtime: { type: "string", default: "deno" }, fixture: { type: "string" } },
  });
  const { runtime, fixture } = values;
  if (!isRuntime(runtime) && runtime !== "workerd") {
    throw new RangeError(`Choose deno, bun, node or workerd: ${runtime}`);
  }
  await install();
  const tally = runtime === "workerd"
    ? await conformanceOnWorkers()
    : await conformance(runtime, fixture);
  console.log(tallyLine(tally));
  return tally.failed === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main();
