/**
 * Measures calls over HTTP: every server of a runtime runs at the same time, and one process calls them in
 * turn. With `--languages`, servers in other languages do too. Needs Linux, which tells the processor time
 * of a whole process.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { PUBLISHED } from "../tests/programs/published.ts";
import { install, installPrograms, isRuntime, type Runtime, RUNTIMES } from "../tools/runtimes.ts";
import { servedBy } from "./http_measure.ts";
import type { Headers, Loaded, LoadInit, LoadOrder, Served } from "./http_load.ts";
import type { ServerInit, Serving } from "./http_server.ts";
import { namesIn } from "./options.ts";
import { median, spreadOf } from "./pairs.ts";
import { Subordinate } from "./process.ts";
import { hasSessions, type Rung, RUNG_TITLES, RUNGS } from "./stacks/ladder.ts";
import type { StackName } from "./stacks/mod.ts";
import { MISSING } from "./stacks/time_tools.ts";

const CONNECTIONS = 64;
const WARM_UP_MS = 5_000;
const SLICE_MS = 250;
/**
 * The part of the most that a server can answer at which its latency is measured, or of the most that the
 * floor can where that is less.
 */
const LOAD = 0.8;
const LOADED_SLICES = 4;

const USAGE = `Usage: deno task bench:wire [options]

  --runtime NAME,…  ${RUNTIMES.join(", ")}: these instead of all
  --headers NAME    few, usual or many; usual when left out
  --languages       beside servers in Go, Rust and C#, on one core
  --ladder          what each step from the bare handler to Mooring costs
  --passes N        how often to begin with fresh processes; 3 when left out
  --slices N        how often each server is called in a pass; 20 when left out
  --json FILE       writes the figures there, too`;

/** A server that takes part. */
interface Lane extends AsyncDisposable {
  readonly title: string;
  readonly pid: number;
  readonly served: Served;
}

/** What a server needs for a call, beside the first of the table. */
interface Row {
  readonly title: string;
  /** Calls per second of the server's processor time, as a share of the floor's. */
  readonly perCpu: number;
  readonly spread: number;
  /** Calls per second, as a share of the floor's. */
  readonly rate: number;
  /**
   * The 99th percentile of the latency at 80 % of the server's rate, or of the floor's if that is lower, as a
   * multiple of the floor's.
   */
  readonly p99: number;
  /** Microseconds of processor time for a call. */
  readonly us: number;
}

/** The figures of one runtime. */
interface Table {
  readonly runtime: Runtime;
  readonly headers: Headers;
  readonly rows: readonly Row[];
}

/** A server to measure: what to call it in the table, which one, and how it is called. */
type Entrant = readonly [string, StackName, Served["as"]?, Rung?];

const FLOORS: Readonly<Record<Runtime, Entrant>> = {
  deno: ["Deno.serve", "floor"],
  bun: ["Bun.serve", "floor"],
  node: ["@hono/node-server", "floor"],
};
const HOSTED: Readonly<Record<Runtime, Entrant>> = {
  deno: ["Mooring inside Deno.serve", "mooring-hosted"],
  bun: ["Mooring inside Bun.serve", "mooring-hosted"],
  node: ["Mooring inside @hono/node-server", "mooring-hosted"],
};
const MOORING: Entrant = ["Mooring", "mooring"];
const MODERN: Entrant = ["Mooring, 2026-07-28", "mooring", "modern"];
const OBSERVED: Entrant = ["Mooring with `onEvent`", "mooring-observed"];
const RIVAL: Entrant = ["mcp-lite", "mcp-lite"];
const SKETCH: Entrant = ["a sketch with the same checks", "sketch", "session"];

function entrants(runtime: Runtime, ladder: boolean): readonly Entrant[] {
  const floor = FLOORS[runtime];
  if (ladder) {
    const rungs = RUNGS.map((rung): Entrant => {
      return [RUNG_TITLES[rung], "floor", hasSessions(rung) ? "session" : "floor", rung];
    });
    return [floor, ...rungs, HOSTED[runtime], MOORING, SKETCH];
  }
  if (runtime !== "node") return [floor, MOORING, OBSERVED, MODERN, RIVAL];
  return [floor, ["bare node:http", "node-http"], MOORING, OBSERVED, MODERN, HOSTED.node, RIVAL];
}

async function lanesOf(runtime: Runtime, ladder: boolean): Promise<Lane[]> {
  return await Promise.all(
    entrants(runtime, ladder).map(async ([title, stack, as, rung]): Promise<Lane> => {
      const server = await Subordinate.start(
        runtime,
        "http_server.ts",
        { stack, rung } satisfies ServerInit,
      );
      const { port } = await server.order<Serving>({});
      return {
        title,
        pid: server.pid,
        served: await servedBy(stack, port, as),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      };
    }),
  );
}

/** A server in another language, by its name in `PUBLISHED`, and how it is called. */
interface Other extends Pick<Served, "call" | "expected"> {
  readonly name: string;
  readonly as: "session" | "modern";
}

const OTHERS: readonly Other[] = [
  {
    name: "Go, mcp-go",
    as: "session",
    call: { name: "current_time", arguments: { timezone: "UTC" } },
    expected: "^\\d{4}-",
  },
  {
    name: "Rust, rmcp",
    as: "session",
    call: {
      name: "compute_duration",
      arguments: { start: "2026-01-01T00:00:00Z", end: "2026-01-02T00:00:00Z" },
    },
    expected: "86400",
  },
  // It has no sessions and no tools: its SDK says so in a result.
  { name: "C#, the official SDK", as: "modern", call: MISSING, expected: "not found" },
];

/** Starts each of the others, and Mooring with the same tool. */
async function languageLanes(runtime: Runtime): Promise<Lane[]> {
  const lanes: Lane[] = [];
  for (const other of OTHERS) {
    const { as, call, expected } = other;
    const mine = await Subordinate.start(
      runtime,
      "http_server.ts",
      { stack: "time-tools" } satisfies ServerInit,
    );
    const { port } = await mine.order<Serving>({});
    lanes.push(await startOther(other), {
      title: `Mooring, ${call.name}`,
      pid: mine.pid,
      served: { port, as, call, expected },
      [Symbol.asyncDispose]: () => mine[Symbol.asyncDispose](),
    });
  }
  return lanes;
}

async function startOther({ name, as, call, expected }: Other): Promise<Lane> {
  const published = PUBLISHED.find((one) => one.name === name);
  if (published === undefined) throw new TypeError(`Name a published server: ${name}`);
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const { args, env, url } = published.http(port);
  const child: ChildProcess = spawn(published.stdio.command, args, {
    env: { PATH: process.env.PATH, ...published.stdio.env, ...env },
    stdio: "ignore",
  });
  for (let i = 0; i < 200; i++) {
    if (await fetch(url).then((found) => found.body?.cancel()).then(() => true, () => false)) break;
    await pause(50);
  }
  return {
    title: `${name}, ${call.name}`,
    pid: child.pid ?? 0,
    served: { port, path: new URL(url).pathname, as, call, expected },
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      if (child.kill("SIGKILL")) await ended;
    },
  };
}

/** Returns the processor time of a process with all its threads, in milliseconds. */
function cpuOf(pid: number): number {
  let ns = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      ns += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
    } catch {
      // The thread has ended.
    }
  }
  return ns / 1e6;
}

/** What the slices of one server have come to. */
interface Sum {
  readonly us: number[];
  readonly rates: number[];
  readonly p99: number[];
}

async function measure(
  lanes: readonly Lane[],
  { headers, slices, ladder }: Options,
): Promise<Sum[]> {
  const init: LoadInit = {
    connections: CONNECTIONS,
    headers,
    servers: lanes.map(({ served }) => served),
  };
  await using load = await Subordinate.start("node", "http_load.ts", init);
  const order = (order: LoadOrder) => load.order<Loaded>(order);
  const sums = lanes.map((): Sum => ({ us: [], rates: [], p99: [] }));
  for (const server of lanes.keys()) await order({ server, ms: WARM_UP_MS });
  for (let slice = 0; slice < slices; slice++) {
    for (const [server, { pid }] of lanes.entries()) {
      const before = cpuOf(pid);
      const { requests, ms } = await order({ server, ms: SLICE_MS });
      sums[server]?.us.push((cpuOf(pid) - before) * 1000 / requests);
      sums[server]?.rates.push(requests / ms * 1000);
    }
  }
  for (let slice = 0; slice < (ladder ? 0 : LOADED_SLICES); slice++) {
    for (const [server, sum] of sums.entries()) {
      const most = Math.min(median(sum.rates), median(sums[0]?.rates ?? sum.rates));
      const perSecond = most * LOAD;
      sum.p99.push((await order({ server, ms: SLICE_MS * 4, perSecond })).p99);
    }
  }
  return sums;
}

/** Takes the figures of a runtime, each beside the first lane in the same slice. */
async function tableFor(runtime: Runtime, options: Options): Promise<Table> {
  const { headers, languages, ladder, passes } = options;
  const pairs = new Map<string, { cpu: number[]; rate: number[]; p99: number[]; us: number[] }>();
  for (let pass = 0; pass < passes; pass++) {
    const lanes = languages ? await languageLanes(runtime) : await lanesOf(runtime, ladder);
    try {
      if (languages) { for (const { pid } of lanes) await pin(pid); }
      const sums = await measure(lanes, options);
      const [floor] = sums;
      for (const [i, { title }] of lanes.entries()) {
        const sum = sums[i];
        if (sum === undefined || floor === undefined) continue;
        const row = pairs.get(title) ?? { cpu: [], rate: [], p99: [], us: [] };
        pairs.set(title, row);
        // Other programs slow single slices down, so the middle one of the pairs counts.
        row.cpu.push(...sum.us.map((us, n) => (floor.us[n] ?? NaN) / us));
        row.us.push(...sum.us);
        row.rate.push(...sum.rates.map((rate, n) => rate / (floor.rates[n] ?? NaN)));
        if (!ladder) row.p99.push(median(sum.p99) / median(floor.p99));
      }
    } finally {
      await Promise.all(lanes.map((lane) => lane[Symbol.asyncDispose]()));
    }
  }
  const rows = [...pairs].map(([title, { cpu, rate, p99, us }]): Row => ({
    title,
    perCpu: median(cpu),
    spread: spreadOf(cpu),
    rate: median(rate),
    p99: median(p99),
    us: median(us),
  }));
  return { runtime, headers, rows };
}

/** Lets a process run on the first core alone. */
async function pin(pid: number): Promise<void> {
  const child = spawn("taskset", ["-acp", "0", String(pid)], { stdio: "ignore" });
  const code = await new Promise((resolve) => {
    child.once("error", () => resolve(1));
    child.once("exit", resolve);
  });
  if (code !== 0) throw new Error("Install taskset (util-linux), which pins servers to one core");
}

/** Writes the figures as a table of Markdown. */
function markdownOf({ runtime, headers, rows }: Table): string {
  const percent = (share: number) => `${(share * 100).toFixed(0)} %`;
  const lines = rows.map(({ title, perCpu, spread, rate, p99, us }) => {
    const latency = Number.isNaN(p99) ? "–" : `× ${p99.toFixed(2)}`;
    const share = `${percent(perCpu)} ± ${(spread * 100).toFixed(0)} %`;
    return `| ${title} | ${share} | ${percent(rate)} | ${latency} | ${us.toFixed(1)} |`;
  });
  return [
    `| ${runtime}, ${headers} headers | calls per CPU second | calls per second | p99 at 80 % load | µs per call |`,
    "| --- | ---: | ---: | ---: | ---: |",
    ...lines,
  ].join("\n");
}

interface Options {
  readonly runtimes: readonly Runtime[];
  readonly headers: Headers;
  readonly languages: boolean;
  readonly ladder: boolean;
  readonly passes: number;
  readonly slices: number;
  readonly json: string | undefined;
}

/**
 * Reads the command line.
 *
 * @throws {TypeError} If it can't be understood
 */
function readOptions(): Options {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: {
      runtime: text,
      headers: text,
      passes: text,
      slices: text,
      json: text,
      languages: { type: "boolean", default: false },
      ladder: { type: "boolean", default: false },
    },
  });
  const { headers = "usual", passes = "3", slices = "20", json, languages, ladder } = values;
  if (headers !== "few" && headers !== "usual" && headers !== "many") throw new TypeError(USAGE);
  if (!(Number(passes) >= 1) || !(Number(slices) >= 1)) throw new TypeError(USAGE);
  return {
    runtimes: namesIn(values.runtime, isRuntime, "runtime") ?? RUNTIMES,
    headers,
    languages,
    ladder,
    passes: Number(passes),
    slices: Number(slices),
    json,
  };
}

async function main(options: Options): Promise<void> {
  await install();
  if (options.languages) await installPrograms();
  const tables: Table[] = [];
  for (const runtime of options.runtimes) {
    const table = await tableFor(runtime, options);
    tables.push(table);
    console.log(`\n${markdownOf(table)}`);
    if (options.json !== undefined) await writeFile(options.json, JSON.stringify(tables, null, 2));
  }
}

try {
  await main(readOptions());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
process.exit();
