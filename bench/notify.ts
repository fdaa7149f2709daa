/**
 * Measures what each step costs from a bare handler, which sends one notification to each of 1,000 open
 * streams, to Mooring: every server of a runtime runs at the same time, and they work in turn.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { install, isRuntime, type Runtime, RUNTIMES } from "../tools/runtimes.ts";
import { kindOf } from "./kinds.ts";
import { namesIn } from "./options.ts";
import { median, spreadOf } from "./pairs.ts";
import { Subordinate } from "./process.ts";
import type { StackName } from "./stacks/mod.ts";
import { NOTIFY_RUNG_TITLES, NOTIFY_RUNGS, type NotifyRung } from "./stacks/notify_ladder.ts";
import type { Done, Order, WorkerInit } from "./worker.ts";

const WARM_UP_MS = 2_500;
const SLICE_MS = 80;

const USAGE = `Usage: deno task bench:notify [options]

  --runtime NAME,…  ${RUNTIMES.join(", ")}: these instead of all
  --passes N        how often to begin with fresh processes; 3 when left out
  --slices N        how often each server works in a pass; 15 when left out`;

/** A server to measure: what to call it in the table, which one, and the rung of the ladder. */
type Entrant = readonly [string, StackName, NotifyRung?];

const ENTRANTS: readonly Entrant[] = [
  ["the bare handler", "floor"],
  ...NOTIFY_RUNGS.map((rung): Entrant => [NOTIFY_RUNG_TITLES[rung], "floor", rung]),
  ["Mooring, without kept events", "mooring-no-log"],
  ["Mooring", "mooring"],
  ["Mooring, `sendToolListChanged()`", "mooring-broadcast"],
];

/** What a server needs for a notification on one stream. */
interface Row {
  /** Microseconds of processor time. */
  readonly us: number[];
  /** The speed as a share of the floor's in the same slice. */
  readonly shares: number[];
}

async function startAll(runtime: Runtime, sessions: number): Promise<Subordinate[]> {
  const workers: Subordinate[] = [];
  for (const [, stack, rung] of ENTRANTS) {
    const init: WorkerInit = { stack, kind: "notify", sessions, ...rung && { rung } };
    workers.push(await Subordinate.start(runtime, "worker.ts", init));
  }
  return workers;
}

/** Adds the figures of one pass. */
async function pass(runtime: Runtime, rows: readonly Row[], slices: number): Promise<void> {
  const { sessions = 0 } = kindOf("notify");
  const workers = await startAll(runtime, sessions);
  const work = async (worker: Subordinate, ms: number): Promise<number> => {
    const { cpuMs, ops } = await worker.order<Done>({ do: "slice", ms } satisfies Order);
    return cpuMs * 1000 / ops / sessions;
  };
  try {
    for (const worker of workers) await work(worker, WARM_UP_MS);
    for (let slice = 0; slice < slices; slice++) {
      const times: number[] = [];
      for (const worker of workers) times.push(await work(worker, SLICE_MS));
      for (const [i, us] of times.entries()) {
        rows[i]?.us.push(us);
        rows[i]?.shares.push((times[0] ?? NaN) / us);
      }
    }
  } finally {
    await Promise.all(workers.map((worker) => worker[Symbol.asyncDispose]()));
  }
}

async function tableOf(runtime: Runtime, passes: number, slices: number): Promise<string> {
  const rows = ENTRANTS.map((): Row => ({ us: [], shares: [] }));
  for (let n = 0; n < passes; n++) await pass(runtime, rows, slices);
  const lines = rows.map(({ us, shares }, i) => {
    const within = `± ${(spreadOf(shares) * 100).toFixed(0)} %`;
    const share = `${(median(shares) * 100).toFixed(0)} % ${within}`;
    return `| ${ENTRANTS[i]?.[0]} | ${share} | ${median(us).toFixed(2)} |`;
  });
  return [
    `| ${runtime} | notifications per CPU second | µs for each stream |`,
    "| --- | ---: | ---: |",
    ...lines,
  ].join("\n");
}

/**
 * Reads the command line and measures.
 *
 * @throws {TypeError} If it can't be understood
 */
async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ options: { runtime: text, passes: text, slices: text } });
  const { passes = "3", slices = "15" } = values;
  if (!(Number(passes) >= 1) || !(Number(slices) >= 1)) throw new TypeError(USAGE);
  const runtimes = namesIn(values.runtime, isRuntime, "runtime") ?? RUNTIMES;
  await install();
  for (const runtime of runtimes) {
    console.log(`\n${await tableOf(runtime, Number(passes), Number(slices))}`);
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
