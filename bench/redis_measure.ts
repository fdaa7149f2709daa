/**
 * What Redis costs, beside the same server that keeps everything in memory.
 *
 * @module
 */
import { randomText } from "../src/internal/random.ts";
import type { Runtime } from "../tools/runtimes.ts";
import type { Row } from "./network_table.ts";
import { alternate, median } from "./pairs.ts";
import { Subordinate } from "./process.ts";
import { deleteKeys } from "./redis_client.ts";
import type { Counts, RedisInit, RedisOrder, Sliced } from "./redis_work.ts";

const WARM_UP_MS = 1_500;
const SLICE_MS = 150;
const PAIRS = 20;
const LANES = 16;
/** How many events are sent at once. */
const EVENT_LANES = 64;

/** Calls at one or more nodes: how fast beside memory, and how often they wait for Redis. */
export function measureCalls(runtime: Runtime, nodes: number): Promise<readonly Row[]> {
  return beside(runtime, nodes, async (redis, memory) => {
    const { commands, waits } = await redis.order<Counts>(
      { do: "count", calls: 500 } satisfies RedisOrder,
    );
    const what = `\`tools/call\` on Redis, ${nodes} ${nodes === 1 ? "node" : "nodes"}`;
    return [
      { what: `${what}: round trips waited for`, value: waits, unit: "number", most: 1 },
      { what: `${what}: commands for each call`, value: commands, unit: "number" },
      ...await rates(what, redis, memory, { do: "calls", ms: SLICE_MS, lanes: LANES }),
    ];
  });
}

/** Events through one stream, sent where the stream is and sent elsewhere. */
export async function measureEvents(runtime: Runtime): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const nodes of [1, 2]) {
    const what = `events on one stream, sent at ${nodes} ${nodes === 1 ? "node" : "nodes"}`;
    rows.push(
      ...await beside(
        runtime,
        nodes,
        (redis, memory) =>
          rates(what, redis, memory, { do: "events", ms: SLICE_MS, lanes: EVENT_LANES }),
      ),
    );
  }
  return rows;
}

async function rates(
  what: string,
  redis: Subordinate,
  memory: Subordinate,
  order: Extract<RedisOrder, { ms: number }>,
): Promise<Row[]> {
  const slicer = (worker: Subordinate, ms: number) => () => worker.order<Sliced>({ ...order, ms });
  for (const worker of [redis, memory]) await slicer(worker, WARM_UP_MS)();
  const pairs = await alternate(slicer(redis, order.ms), slicer(memory, order.ms), PAIRS);
  const share = (rate: (sliced: Sliced) => number): number =>
    median(pairs.map(({ subject, reference }) => rate(subject) / rate(reference)));
  const perSecond = median(pairs.map(({ subject: { ops, ms } }) => ops / ms * 1_000));
  return [
    { what: `${what}: a second`, value: perSecond, unit: "rate" },
    { what: `${what}: a second, of memory's`, value: share((s) => s.ops / s.ms), unit: "share" },
    {
      what: `${what}: a CPU second, of memory's`,
      value: share((s) => s.ops / s.cpuMs),
      unit: "share",
    },
  ];
}

/** Starts nodes on Redis and a server without, and leaves nothing in Redis. */
async function beside<Result>(
  runtime: Runtime,
  nodes: number,
  measure: (redis: Subordinate, memory: Subordinate) => Promise<Result>,
): Promise<Result> {
  const prefix = `bench-${randomText(16)}`;
  const start = (nodes: number) =>
    Subordinate.start(runtime, "redis_work.ts", { nodes, prefix } satisfies RedisInit);
  try {
    await using redis = await start(nodes);
    await using memory = await start(0);
    return await measure(redis, memory);
  } finally {
    await deleteKeys(prefix);
  }
}
