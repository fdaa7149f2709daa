/**
 * Requests per second over HTTP, beside the floor's: two servers that listen side by side, and one
 * process that sends requests to the one and the other in turn.
 *
 * @module
 */
import type { Runtime } from "../tools/runtimes.ts";
import type { Loaded, LoadInit, LoadOrder } from "./http_load.ts";
import type { ServerInit, Serving } from "./http_server.ts";
import type { Effort, Target } from "./measure.ts";
import { alternate, median } from "./pairs.ts";
import { Subordinate } from "./process.ts";

const CONNECTIONS = 64;

/** Over the network a slice must be longer, or its begin and end are most of it. */
const LONGER = 3;

/** What a stack does over HTTP, compared with the floor. */
export interface HttpFigure {
  /** Requests per second, as a share. */
  readonly value: number;
  /** The 99th percentile of the latency, as a multiple. */
  readonly p99: number;
}

/** Measures a stack on its runtime. */
export async function measureHttp(
  { runtime, stack }: Target,
  { passes, pairs, sliceMs, warmUpMs }: Effort,
): Promise<HttpFigure> {
  const rates: number[] = [];
  const latencies: number[] = [];
  for (let pass = 0; pass < passes; pass++) {
    await using subject = await start(runtime, { stack });
    await using floor = await start(runtime, { stack: "floor" });
    const init: LoadInit = {
      connections: CONNECTIONS,
      servers: [{ stack, port: await portOf(subject) }, {
        stack: "floor",
        port: await portOf(floor),
      }],
    };
    // Whoever sends costs as little as possible, and the same for all.
    await using load = await Subordinate.start("node", "http_load.ts", init);
    const slicer = (server: number, ms: number) => () =>
      load.order<Loaded>({ server, ms } satisfies LoadOrder);
    for (const server of [0, 1]) await slicer(server, warmUpMs * LONGER)();
    const slices = await alternate(slicer(0, sliceMs * LONGER), slicer(1, sliceMs * LONGER), pairs);
    for (const { subject, reference } of slices) {
      rates.push(rate(subject) / rate(reference));
      latencies.push(subject.p99 / reference.p99);
    }
  }
  return { value: median(rates), p99: median(latencies) };
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
