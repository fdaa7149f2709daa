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
import {
  commandOf,
  install,
  installClients,
  installPrograms,
  ROOT,
  type Runtime,
  RUNTIMES,
} from "./runtimes.ts";
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
  | "site"
  | "workers"
  | "programs";

/** Something that is run as a whole, and once more if it failed: a test file, or a program. */
interface Job {
  readonly name: string;
  run(): Promise<Tally>;
}

/** The jobs that a line of the output sums up. */
interface Stage {
  readonly part: Part;
  readonly name: string;
  readonly jobs: readonly Job[];
}

/** A job that failed. */
interface Failure {
  readonly job: Job;
  readonly tally: Tally;
}

const EVERYDAY: readonly Part[] = [...RUNTIMES, "conformance", "clients"];
const PARTS: readonly Part[] = [
  ...EVERYDAY,
  "conformance-gateway",
  "package",
  "site",
  "workers",
  "programs",
];
/** Whether generated tests run in their long form, which takes many minutes. */
const LONG = process.env["MOORING_LONG"] === "1";
const JOB_MS = LONG ? 3_600_000 : 1_200_000;
/** The failed jobs that `--retry` runs once more. More than these are no accident. */
const MOST_RETRIES = 8;
const TEST_MS = LONG ? 1_800_000 : 60_000;
const CLIENTS = "tests/clients/run.ts";
/** Programs with stages of the part `package`, each with what they test. */
const PACKAGE_RUNS: Readonly<Record<string, string>> = {
  "tests/examples/hosts/run.ts": "frameworks with a build",
  "tests/clients/page.ts": "programs of docs/clients.md",
  // Ten minutes, in which little is done.
  ...LONG && { "tests/clients/ten_minutes.ts": "real clients with calls of ten minutes" },
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
  "./tests/sql/": "node",
  "./tests/signin/": "bun",
  "./tests/accounts/": "bun",
  // Whole programs and a browser; the other files of the folder have what needs none.
  "./tests/signin/browser_faults.test.ts": "none",
  "./tests/signin/programs.test.ts": "none",
  "./tests/cli/dev_page.test.ts": "none",
  "./tests/cli/doctor_proxies.test.ts": "none",
  "./tests/restart/": "node",
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

const USAGE = `Usage: deno task test [--only PART,… | --all] [--filter TEXT] [--jobs N] [--retry]

  --only    these parts: ${PARTS.join(", ")}; without it ${EVERYDAY.join(", ")}
  --all     all parts, and every test file under every runtime
  --filter  only the test files whose path contains the text
  --jobs    test files and programs that run at a time, 4 by default
  --retry   run what failed once more, alone, and say so: the second result counts`;

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

/** Runs a test file under one runtime, in a process of its own. */
async function runFile(runtime: Runtime, file: string): Promise<Tally> {
  const folder = await mkdtemp(join(tmpdir(), "suite-"));
  try {
    const report = join(folder, "report.xml");
    const { program } = commandOf(runtime);
    const args = [...TEST_ARGS[runtime](report), file];
    // Every test file is a process of its own on Node: what it compiles serves the next one.
    const env = { NODE_COMPILE_CACHE: join(ROOT, ".cache", "node") };
    const outcome = await run(program, args, { cwd: ROOT, limitMs: JOB_MS, env });
    const tally = junitTally(await readFile(report, "utf8").catch(() => ""));
    // A file may have nothing to run under a runtime, or skip everything: that is no failure of its own.
    const result = outcome.code === 0 ? tally : judged(tally, outcome.code);
    if (result.failed > 0) {
      console.error(`${runtime} ${file}`);
      explain(outcome);
    }
    return result;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Returns the jobs of the suite's files under one runtime. */
function suiteJobs(runtime: Runtime, files: readonly string[]): Job[] {
  return files.map((file) => ({
    name: `${file} under ${runtime}`,
    run: () => runFile(runtime, file),
  }));
}

/** Runs published MCP clients against the fixture server under one runtime. */
async function runClients(runtime: Runtime): Promise<Tally> {
  if (!existsSync(join(ROOT, CLIENTS))) {
    console.error(`  ${CLIENTS} is missing`);
    return { ...NOTHING, failed: 1 };
  }
  const { program, args } = commandOf("deno");
  const command = [...args, CLIENTS, "--runtime", runtime];
  const outcome = await run(program, command, { cwd: ROOT, limitMs: JOB_MS });
  const result = judged(parseTallyLine(outcome.output), outcome.code);
  if (result.failed > 0) explain(outcome);
  return result;
}

/** Runs a program that ends with a tally. */
async function runProgram(file: string): Promise<Tally> {
  const { program, args } = commandOf("deno");
  const outcome = await run(program, [...args, file], { cwd: ROOT, limitMs: JOB_MS });
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
    jobs: suiteJobs(runtime, files.filter((file) => runsUnder(runtime, file, placed))),
  }));
  const add = (part: Part, name: string, run: () => Promise<Tally>) =>
    stages.push({ part, name, jobs: [{ name, run }] });
  for (const runtime of RUNTIMES) {
    add("conformance", `conformance under ${runtime}`, () => conformance(runtime));
  }
  for (const runtime of RUNTIMES) {
    add("clients", `clients of ${runtime}`, () => runClients(runtime));
  }
  add("conformance-gateway", "conformance of a gateway", () => conformanceOfGateway());
  add("workers", "conformance on Workers", conformanceOnWorkers);
  let packed: Promise<unknown> = Promise.resolve();
  const inTurn = (run: () => Promise<Tally>) => () => {
    // One after the other: they make and use the same package.
    const tally = packed.then(run);
    packed = tally.catch(() => {});
    return tally;
  };
  add("package", "the npm package", inTurn(consumers));
  for (const [file, name] of Object.entries(PACKAGE_RUNS)) {
    add("package", name, inTurn(() => runProgram(file)));
  }
  add("site", "documentation as a site", () => runProgram("tests/site/run.ts"));
  for (const runtime of RUNTIMES) {
    add("programs", `programs under ${runtime}`, () => runPrograms(runtime, "programs.ts"));
    add("programs", `documents under ${runtime}`, () => runPrograms(runtime, "documents.ts"));
    add(
      "programs",
      `mocked documents under ${runtime}`,
      () => runPrograms(runtime, "mocked_documents.ts"),
    );
  }
  return stages.filter(({ part }) => only.includes(part));
}

let programs: Promise<void> | undefined;

/** Runs published programs and documents behind a gateway. There are no programs for other systems. */
async function runPrograms(runtime: Runtime, file: string): Promise<Tally> {
  if (process.platform !== "linux" || process.arch !== "x64") {
    console.error("  The programs are for Linux on x64");
    return { ...NOTHING, skipped: 1 };
  }
  await (programs ??= installPrograms());
  return await runFile(runtime, `./tests/programs/${file}`);
}

/** Runs a job. Never rejects: a job that throws has failed. */
async function runJob(job: Job): Promise<Tally> {
  return await job.run().catch((error: Error): Tally => {
    console.error(`  ${job.name}: ${error.message}`);
    return { ...NOTHING, failed: 1 };
  });
}

/**
 * Runs the jobs of all stages, several at a time and in their order, and prints a line for each stage at
 * its end.
 *
 * @returns The sum of all, and the jobs that failed
 */
async function runStages(
  stages: readonly Stage[],
  jobs: number,
): Promise<{ total: Tally; failures: Failure[] }> {
  const queue = stages.flatMap((stage) => stage.jobs.map((job) => ({ stage, job })));
  const sums = new Map(
    stages.map((stage) => [stage, { left: stage.jobs.length, tally: NOTHING, ms: 0 }]),
  );
  const failures: Failure[] = [];
  let total = NOTHING;
  async function lane(): Promise<void> {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { stage, job } = next;
      const began = performance.now();
      const tally = await runJob(job);
      const so = sums.get(stage)!; // one is set for each stage above
      so.tally = sum(so.tally, tally);
      so.ms += performance.now() - began;
      total = sum(total, tally);
      if (tally.failed > 0) failures.push({ job, tally });
      if (--so.left === 0) printLine(stage.name, so.ms, so.tally);
    }
  }
  await Promise.all(Array.from({ length: jobs }, lane));
  return { total, failures };
}

/** Prints how a stage ended, with the time that its jobs took together. */
function printLine(name: string, ms: number, tally: Tally): void {
  const seconds = (ms / 1000).toFixed(1);
  console.log(`${name.padEnd(28)} ${seconds.padStart(6)} s  ${tallyLine(tally)}`);
}

/**
 * Runs each job that failed once more, alone, and says which passed then: a machine that stands still for
 * seconds fails tests that nothing is wrong with.
 *
 * @returns The sum with the second results
 */
async function retried(total: Tally, failures: readonly Failure[]): Promise<Tally> {
  if (failures.length > MOST_RETRIES) return total;
  for (const { job, tally } of failures) {
    const again = await runJob(job);
    console.log(
      `${again.failed === 0 ? "UNSTABLE" : "FAILED TWICE"}  ${job.name}: ${tallyLine(again)}`,
    );
    const minus = { passed: -tally.passed, failed: -tally.failed, skipped: -tally.skipped };
    total = sum(sum(total, minus), again);
  }
  return total;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      all: { type: "boolean", default: false },
      filter: { type: "string", default: "" },
      jobs: { type: "string", default: "4" },
      retry: { type: "boolean", default: false },
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
  // For tests/signin/programs.test.ts, which is skipped without them
  if (values.all) await installClients();
  const files = await testFiles(values.filter);
  const everyday = !values.all && values.only === undefined && values.filter === "" && !LONG;
  const missing = Object.keys(EVERYDAY_RUNTIME).filter((file) => !existsSync(join(ROOT, file)));
  if (missing.length > 0) {
    throw new Error(`Correct EVERYDAY_RUNTIME in tools/test.ts: ${missing.join(", ")}`);
  }
  console.log(`${files.length} test files`);
  const stages = stagesOf(only, files, everyday ? EVERYDAY_RUNTIME : {});
  if (stages.every((stage) => stage.jobs.length === 0)) {
    throw new Error("Change --filter, no path of a test file contains it");
  }
  const first = await runStages(stages, jobs);
  for (const { job, tally } of first.failures) {
    console.log(`FAILED  ${job.name}: ${tallyLine(tally)}`);
  }
  const total = values.retry ? await retried(first.total, first.failures) : first.total;
  console.log(tallyLine(total));
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main();
