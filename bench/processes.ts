/**
 * What a second process brings and costs: a server with two processes beside the same with one, both on
 * Redis, called in turn in one run.
 *
 *     deno task bench:processes --runtime node
 *
 * @module
 */
import { parseArgs } from "node:util";
import { install, isRuntime, type Runtime } from "../tools/runtimes.ts";
import { OwnServer, uniquePrefix } from "../tests/support/redis.ts";
import type { Loaded, LoadInit, LoadOrder } from "./http_load.ts";
import { alternate, median, spreadOf } from "./pairs.ts";
import { Subordinate } from "./process.ts";
import { type ProcessesInit, type ProcessesState, WORK_MS } from "./processes_work.ts";

const PASSES = 3;
const PAIRS = 10;
const SLICE_MS = 1_000;
const WARM_UP_MS = 3_000;
const CONNECTIONS = 16;

interface Slice extends Loaded {
  readonly cpuMs: number;
}

/** The figures of one tool: two processes as multiples of one. */
interface Figures {
  readonly rates: number[];
  readonly costs: number[];
}

const TOOLS = ["work", "idle"] as const;

/** Measures both tools once, with fresh processes. */
async function pass(
  runtime: Runtime,
  redis: string,
  count: number,
  figures: Readonly<Record<(typeof TOOLS)[number], Figures>>,
): Promise<void> {
  const start = (processes: number) => {
    const init: ProcessesInit = { processes, redis, prefix: uniquePrefix() };
    return Subordinate.start(runtime, "processes_work.ts", init);
  };
  await using several = await start(count);
  await using one = await start(1);
  for (const tool of TOOLS) {
    const servers = [];
    for (const server of [several, one]) {
      const { port } = await server.order<ProcessesState>({});
      const call = { name: tool, arguments: {} };
      servers.push({ port, as: "session", call, expected: "Done" } as const);
    }
    const init: LoadInit = { connections: CONNECTIONS, headers: "usual", servers };
    // Whoever sends costs as little as possible, and the same for all.
    await using load = await Subordinate.start("node", "http_load.ts", init);
    const slicer = (server: number, ms: number) => async (): Promise<Slice> => {
      const serving = server === 0 ? several : one;
      const { cpuMs } = await serving.order<ProcessesState>({});
      const loaded = await load.order<Loaded>({ server, ms } satisfies LoadOrder);
      return { ...loaded, cpuMs: (await serving.order<ProcessesState>({})).cpuMs - cpuMs };
    };
    for (const server of [0, 1]) await slicer(server, WARM_UP_MS)();
    for (
      const { subject, reference } of await alternate(
        slicer(0, SLICE_MS),
        slicer(1, SLICE_MS),
        PAIRS,
      )
    ) {
      const { rates, costs } = figures[tool];
      rates.push(subject.requests / subject.ms / (reference.requests / reference.ms));
      costs.push(subject.cpuMs / subject.requests / (reference.cpuMs / reference.requests));
    }
  }
}

function shown(numbers: readonly number[]): string {
  return `× ${median(numbers).toFixed(2)} ± ${(100 * spreadOf(numbers)).toFixed(0)} %`;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      runtime: { type: "string", default: "node,bun" },
      processes: { type: "string", default: "2" },
      passes: { type: "string", default: String(PASSES) },
    },
  });
  const count = Number(values.processes);
  await install();
  const redis = await OwnServer.start();
  await using _stopped = { [Symbol.asyncDispose]: () => redis.close() };
  console.log(
    `${count} processes, as a multiple of one          calls per second   processor time of a call`,
  );
  for (const runtime of values.runtime.split(",").filter(isRuntime)) {
    const figures = {
      work: { rates: [], costs: [] },
      idle: { rates: [], costs: [] },
    };
    for (let n = 0; n < Number(values.passes); n++) await pass(runtime, redis.url, count, figures);
    const names = { work: `a tool that works ${WORK_MS} ms`, idle: "a tool that does nothing" };
    for (const tool of TOOLS) {
      const { rates, costs } = figures[tool];
      console.log(
        `${runtime.padEnd(5)} ${names[tool].padEnd(36)} ${shown(rates).padEnd(18)} ${shown(costs)}`,
      );
    }
  }
}
