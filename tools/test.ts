/**
 * Runs all tests under all runtimes. The last line is `N passed, N failed`.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { conformance, conformanceOnWorkers } from "./conformance.ts";
import { conformanceOfGateway } from "./conformance_gateway.ts";
import { consumers } from "./consumer.ts";
import { type Outcome, run } from "./process.ts";
import { commandOf, install, installPrograms, ROOT, type Runtime, RUNTIMES } from "./runtimes.ts";
import {
  judged,
  junitTally,
  NOTHING,
  parseTallyLine,
  sum,
  type Tally,
  tallyLine,
} from "./tally.ts";

/** A part of the run, chosen with `--only`. */
type Part =
  | Runtime
  | "conformance"
  | "conformance-gateway"
  | "clients"
  | "package"
  | "workers"
  | "programs";

interface Stage {
  readonly part: Part;
  readonly name: string;
  run(): Promise<Tally>;
}

const EVERYDAY: readonly Part[] = [...RUNTIMES, "conformance", "clients"];
const PARTS: readonly Part[] = [
  ...EVERYDAY,
  "conformance-gateway",
  "package",
  "workers",
  "programs",
];
/** Whether generated tests run in their long form, which takes many minutes. */
const LONG = process.env["MOORING_LONG"] === "1";
const STAGE_MS = LONG ? 3_600_000 : 1_200_000;
const TEST_MS = LONG ? 1_800_000 : 60_000;
const CLIENTS = "tests/clients/run.ts";
/** Programs with stages of the part `package`, each with what they test. */
const PACKAGE_RUNS: Readonly<Record<string, string>> = {
  "tests/examples/hosts/run.ts": "frameworks with a build",
  "tests/clients/page.ts": "programs of docs/clients.md",
};

/**
 * Test files that the everyday form runs under one runtime, or under none: those that no host makes
 * different, and those that take long. A folder stands for its files, and the longest path counts.
 * `--all`, `--only` and `--filter` run every file under every runtime.
 */
const EVERYDAY_RUNTIME: Readonly<Record<string, Runtime | "none" | "every">> = {
  "./tests/unit/": "deno",
  "./tests/unit/adapters/": "every",
  "./tests/faults/": "bun",
  "./tests/gateway/": "bun",
  "./tests/cli/": "node",
  "./tests/auth/": "node",
  "./tests/contracts/": "node",
  "./tests/telemetry/": "node",
  "./tests/dashboard/": "node",
  "./tests/redis/": "bun",
  "./tests/simulation/": "deno",
  "./tests/faults/cluster/death.test.ts": "bun",
  "./tests/faults/cluster/redis.test.ts": "deno",
  "./tests/faults/cluster/clients.test.ts": "bun",
  "./tests/faults/cluster/chaos.test.ts": "deno",
  "./tests/faults/cluster/rolling.test.ts": "node",
  "./tests/gateway/e2e_official.test.ts": "bun",
  "./tests/gateway/e2e_churn.test.ts": "bun",
  "./tests/gateway/real_servers.test.ts": "deno",
  "./tests/redis/faults.test.ts": "bun",
  "./tests/redis/fleet.test.ts": "bun",
  "./tests/redis/failover.test.ts": "node",
  "./tests/redis/rights.test.ts": "bun",
  "./tests/redis/memory.test.ts": "deno",
  "./tests/cli/bundle.test.ts": "bun",
  "./tests/runtimes/workers.test.ts": "deno",
  "./tests/examples/workers.test.ts": "bun",
  // A browser for half a minute; tests/dashboard/http.test.ts has what needs none.
  "./tests/dashboard/page.test.ts": "none",
  // A browser too; tests/gateway/apps.test.ts has what needs none.
  "./tests/gateway/apps_page.test.ts": "none",
  "./tests/examples/readme.test.ts": "deno",
  "./tests/examples/hosts/express.test.ts": "bun",
  "./tests/examples/hosts/fastify.test.ts": "node",
  "./tests/examples/hosts/lambda.test.ts": "bun",
  "./tests/examples/hosts/proxy.test.ts": "deno",
  "./tests/examples/moving.test.ts": "deno",
};

const USAGE = `Usage: deno task test [--only PART,… | --all] [--filter TEXT] [--jobs N]

  --only    these parts: ${PARTS.join(", ")}; without it ${EVERYDAY.join(", ")}
  --all     all parts, and every test file under every runtime
  --filter  only the test files whose path contains the text
  --jobs    parts that run at a time, 3 by default`;

/** The arguments with which each runtime runs test files and writes a JUnit report. */
const TEST_ARGS = {
  deno: (report: string) => [
    "test",
    "-A",
    // `deno task ok` checks the types.
    ...["--no-check", "--preload=tools/strict_errors.ts"],
    ...["--reporter=dot", `--junit-path=${report}`],
  ],
  bun: (report: string) => [
    "test",
    ...[`--timeout=${TEST_MS}`, "--only-failures"],
    ...["--reporter=junit", `--reporter-outfile=${report}`],
  ],
  node: (report: string) => [
    "--test",
    `--test-timeout=${TEST_MS}`,
    ...["--test-reporter=dot", "--test-reporter-destination=stdout"],
    ...["--test-reporter=junit", `--test-reporter-destination=${report}`],
  ],
} satisfies Record<Runtime, (report: string) => string[]>;

/** Runs the suite's files under one runtime. */
async function runSuite(runtime: Runtime, files: readonly string[]): Promise<Tally> {
  // Without a file, a runtime would search the folder for tests.
  if (files.length === 0) throw new Error("Change --filter, no path of a test file contains it");
  const folder = await mkdtemp(join(tmpdir(), "suite-"));
  try {
    const report = join(folder, "report.xml");
    const { program } = commandOf(runtime);
    const args = [...TEST_ARGS[runtime](report), ...files];
    // Every test file is a process of its own on Node: what it compiles serves the next one.
    const env = { NODE_COMPILE_CACHE: join(ROOT, ".cache", "node") };
    const outcome = await run(program, args, { cwd: ROOT, limitMs: STAGE_MS, env });
    const tally = junitTally(await readFile(report, "utf8").catch(() => ""));
    const result = judged(tally, outcome.code);
    if (result.failed > 0) explain(outcome);
    return result;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Runs published MCP clients against the fixture server under one runtime. */
async function runClients(runtime: Runtime): Promise<Tally> {
  if (!existsSync(join(ROOT, CLIENTS))) {
    console.error(`  ${CLIENTS} is missing`);
    return { ...NOTHING, failed: 1 };
  }
  const { program, args } = commandOf("deno");
  const command = [...args, CLIENTS, "--runtime", runtime];
  const outcome = await run(program, command, { cwd: ROOT, limitMs: STAGE_MS });
  const result = judged(parseTallyLine(outcome.output), outcome.code);
  if (result.failed > 0) explain(outcome);
  return result;
}

/** Runs a program that ends with a tally. */
async function runProgram(file: string): Promise<Tally> {
  const { program, args } = commandOf("deno");
  const outcome = await run(program, [...args, file], { cwd: ROOT, limitMs: STAGE_MS });
  const result = judged(parseTallyLine(outcome.output), outcome.code);
  if (result.failed > 0) explain(outcome);
  return result;
}

/** Prints the output of a program that failed, without the marks of the tests that passed. */
function explain({ output, late, ms }: Outcome): void {
  console.error(output.replace(/^[.,!X]+\n/gm, "").trimEnd());
  if (late) console.error(`  Killed after ${Math.round(ms / 1000)} s`);
}

async function testFiles(filter: string): Promise<string[]> {
  const entries = await readdir(join(ROOT, "tests"), { recursive: true });
  return entries.filter((path) => path.endsWith(".test.ts")).map((path) => `./tests/${path}`)
    .filter((path) => path.includes(filter)).sort();
}

/** Tells whether a runtime runs a test file, by the longest path in a table that stands for the file. */
function runsUnder(runtime: Runtime, file: string, placed: typeof EVERYDAY_RUNTIME): boolean {
  const [path] = Object.keys(placed)
    .filter((path) => path === file || (path.endsWith("/") && file.startsWith(path)))
    .sort((a, b) => b.length - a.length);
  const place = path === undefined ? "every" : placed[path];
  return place === "every" || place === runtime;
}

function stagesOf(
  only: readonly Part[],
  files: readonly string[],
  placed: typeof EVERYDAY_RUNTIME,
): Stage[] {
  const stages: Stage[] = RUNTIMES.map((runtime) => ({
    part: runtime,
    name: `suite under ${runtime}`,
    run: () => runSuite(runtime, files.filter((file) => runsUnder(runtime, file, placed))),
  }));
  for (const runtime of RUNTIMES) {
    stages.push({
      part: "conformance",
      name: `conformance under ${runtime}`,
      run: () => conformance(runtime),
    });
  }
  for (const runtime of RUNTIMES) {
    stages.push({
      part: "clients",
      name: `clients of ${runtime}`,
      run: () => runClients(runtime),
    });
  }
  stages.push({
    part: "conformance-gateway",
    name: "conformance of a gateway",
    run: () => conformanceOfGateway(),
  });
  stages.push({ part: "workers", name: "conformance on Workers", run: conformanceOnWorkers });
  let packed: Promise<unknown> = Promise.resolve();
  const inTurn = (run: () => Promise<Tally>) => () => {
    // One after the other: they make and use the same package.
    const tally = packed.then(run);
    packed = tally.catch(() => {});
    return tally;
  };
  stages.push({ part: "package", name: "the npm package", run: inTurn(consumers) });
  for (const [file, name] of Object.entries(PACKAGE_RUNS)) {
    stages.push({ part: "package", name, run: inTurn(() => runProgram(file)) });
  }
  for (const runtime of RUNTIMES) {
    stages.push({
      part: "programs",
      name: `programs under ${runtime}`,
      run: () => runPrograms(runtime),
    });
  }
  return stages.filter(({ part }) => only.includes(part));
}

let programs: Promise<void> | undefined;

/** Runs published programs in other languages behind a gateway. There are none for other systems. */
async function runPrograms(runtime: Runtime): Promise<Tally> {
  if (process.platform !== "linux" || process.arch !== "x64") {
    console.error("  The programs are for Linux on x64");
    return { ...NOTHING, skipped: 1 };
  }
  await (programs ??= installPrograms());
  return await runSuite(runtime, ["./tests/programs/programs.ts"]);
}

/** Takes stages off the list and runs them, one at a time, until the list is empty. */
async function runInTurn(stages: Stage[]): Promise<Tally> {
  let total = NOTHING;
  for (let stage = stages.shift(); stage !== undefined; stage = stages.shift()) {
    const began = performance.now();
    const tally = await stage.run().catch((error: Error): Tally => {
      console.error(`  ${error.message}`);
      return { ...NOTHING, failed: 1 };
    });
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(`${stage.name.padEnd(28)} ${seconds.padStart(6)} s  ${tallyLine(tally)}`);
    total = sum(total, tally);
  }
  return total;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      all: { type: "boolean", default: false },
      filter: { type: "string", default: "" },
      jobs: { type: "string", default: "3" },
      help: { type: "boolean", default: false },
    },
  });
  const everything = values.all ? PARTS : EVERYDAY;
  const only = (values.only?.split(",") ?? everything) as Part[]; // checked on the next line but one
  const jobs = Number(values.jobs);
  if (values.help || !(jobs >= 1) || only.some((part) => !PARTS.includes(part))) {
    console.error(USAGE);
    return values.help ? 0 : 2;
  }
  await install();
  const files = await testFiles(values.filter);
  const everyday = !values.all && values.only === undefined && values.filter === "" && !LONG;
  const missing = Object.keys(EVERYDAY_RUNTIME).filter((file) => !existsSync(join(ROOT, file)));
  if (missing.length > 0) {
    throw new Error(`Correct EVERYDAY_RUNTIME in tools/test.ts: ${missing.join(", ")}`);
  }
  console.log(`${files.length} test files`);
  const stages = stagesOf(only, files, everyday ? EVERYDAY_RUNTIME : {});
  const lanes = Array.from({ length: jobs }, () => runInTurn(stages));
  const total = (await Promise.all(lanes)).reduce(sum, NOTHING);
  console.log(tallyLine(total));
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main();
