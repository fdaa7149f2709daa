/**
 * Requests per second over HTTP, beside the floor's: two servers that listen side by side, and one
 * process that sends requests to the one and the other in turn.
 *
 * @module
 */
import type { Runtime } from "../tools/runtimes.ts";
import type { Loaded, LoadInit, LoadOrder, Served } from "./http_load.ts";
import type { ServerInit, Serving } from "./http_server.ts";
import type { Effort, Target } from "./measure.ts";
import { alternate, median, spreadOf } from "./pairs.ts";
import { Subordinate } from "./process.ts";
import { loadStack, type StackName } from "./stacks/mod.ts";

const CONNECTIONS = 64;

/** Over the network a slice must be longer, or its begin and end are most of it. */
const LONGER = 3;

/** Servers without sessions. */
const BARE: ReadonlySet<StackName> = new Set(["floor", "node-http"]);

/** What a stack does over HTTP, compared with the floor. */
export interface HttpFigure {
  /** Requests per second, as a share. */
  readonly value: number;
  /** How far the middle half of the pairs lies from it, as a share of it. */
  readonly spread: number;
  /** Requests per CPU second of the server's JavaScript thread, as a share. */
  readonly perCpu: number;
  /** The 99th percentile of the latency, as a multiple. */
  readonly p99: number;
}

/** Measures a stack on its runtime. */
export async function measureHttp(
  { runtime, stack }: Target,
  { passes, pairs, sliceMs, warmUpMs }: Effort,
): Promise<HttpFigure> {
  const rates: number[] = [];
  const costs: number[] = [];
  const latencies: number[] = [];
  for (let pass = 0; pass < passes; pass++) {
    await using subject = await start(runtime, { stack });
    await using floor = await start(runtime, { stack: "floor" });
    const init: LoadInit = {
      connections: CONNECTIONS,
      headers: "usual",
      servers: [
        await servedBy(stack, await portOf(subject)),
        await servedBy("floor", await portOf(floor)),
      ],
    };
    // Whoever sends costs as little as possible, and the same for all.
    await using load = await Subordinate.start("node", "http_load.ts", init);
    const slicer = (server: number, ms: number) => async (): Promise<Slice> => {
      const serving = server === 0 ? subject : floor;
      const { cpuMs } = await serving.order<Serving>({});
      const loaded = await load.order<Loaded>({ server, ms } satisfies LoadOrder);
      return { ...loaded, cpuMs: (await serving.order<Serving>({})).cpuMs - cpuMs };
    };
    for (const server of [0, 1]) await slicer(server, warmUpMs)();
    const slices = await alternate(slicer(0, sliceMs * LONGER), slicer(1, sliceMs * LONGER), pairs);
    for (const { subject, reference } of slices) {
      rates.push(rate(subject) / rate(reference));
      costs.push(subject.requests / subject.cpuMs / (reference.requests / reference.cpuMs));
      latencies.push(subject.p99 / reference.p99);
    }
  }
  return {
    value: median(rates),
    spread: spreadOf(rates),
    perCpu: median(costs),
    p99: median(latencies),
  };
}

/** What came of a slice, with what it cost the server. */
interface Slice extends Loaded {
  /** Milliseconds of processor time of the server's JavaScript thread. */
  readonly cpuMs: number;
}

/** Returns how a server of the benchmark is to be called, which listens at a port. */
export async function servedBy(
  stack: StackName,
  port: number,
  as: Served["as"] = BARE.has(stack) ? "floor" : "session",
): Promise<Served> {
  const { acceptJson } = await loadStack(stack);
  const call = { name: "add", arguments: { a: 2, b: 3 }, varies: "a" };
  return {
    port,
    as,
    call,
    expected: "^\\d+$",
    ...acceptJson !== undefined && { accept: acceptJson },
  };
}

function start(runtime: Runtime, init: ServerInit): Promise<Subordinate> {
  return Subordinate.start(runtime, "http_server.ts", init);
}

async function portOf(server: Subordinate): Promise<number> {
  return (await server.order<Serving>({})).port;
}

function rate({ requests, ms }: Loaded): number {
  return requests / ms;
}
