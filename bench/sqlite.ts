/**
 * What a SQLite file costs: a handler with one beside the same with its store in memory, in one process and in
 * turn, called over HTTP and as a function. `docs/sqlite.md` has the figures.
 *
 *     deno task bench:sqlite --runtime node
 *
 * @module
 */
import { parseArgs } from "node:util";
import { install, isRuntime, type Runtime, RUNTIMES } from "../tools/runtimes.ts";
import type { Loaded, LoadInit, LoadOrder } from "./http_load.ts";
import { alternate, median, spreadOf } from "./pairs.ts";
import { Subordinate } from "./process.ts";
import type { SqliteOrder, SqlitePorts, SqliteSlice, SqliteWork } from "./sqlite_work.ts";

const PAIRS = 15;
const SLICE_MS = 300;
const WARM_UP_MS = 1_000;
const CONNECTIONS = 16;

const WORKS: Readonly<Record<SqliteWork, { readonly title: string; readonly expected: string }>> = {
  add: { title: "JSON", expected: "5" },
  count: { title: "20 of progress in one turn", expected: "Counted" },
  turns: { title: "20 of progress, a turn each", expected: "Counted" },
};

/** The ways to call. */
const WAYS = ["HTTP, 16 connections", "function, 16 at a time", "function, one at a time"] as const;
type Way = (typeof WAYS)[number];
const STORES = ["memory", "file"] as const;
type Slicer = (store: SqliteOrder["store"], ms: number) => () => Promise<SqliteSlice>;

/** Returns what calls the handler as a function. */
function calling(worker: Subordinate, work: SqliteWork, lanes: number): Slicer {
  return (store, ms) => () =>
    worker.order<SqliteSlice>({ work, store, ms, lanes } satisfies SqliteOrder);
}

/** Returns what sends requests to the servers. */
function sending(worker: Subordinate, load: Subordinate, work: SqliteWork): Slicer {
  return (store, ms) => async () => {
    const look: SqliteOrder = { work, store, lanes: CONNECTIONS };
    const before = await worker.order<SqliteSlice>(look);
    const order: LoadOrder = { server: STORES.indexOf(store), ms };
    const loaded = await load.order<Loaded>(order);
    const after = await worker.order<SqliteSlice>(look);
    return { ops: loaded.requests, ms: loaded.ms, cpuMs: after.cpuMs - before.cpuMs };
  };
}

/** Starts what sends requests to both servers. */
async function loadOf(worker: Subordinate, work: SqliteWork): Promise<Subordinate> {
  const ports = await worker.order<SqlitePorts>("ports");
  const args = work === "add" ? { a: 2, b: 3 } : {};
  const init: LoadInit = {
    connections: CONNECTIONS,
    headers: "usual",
    servers: STORES.map((store) => ({
      port: ports[store],
      as: "session",
      call: { name: work, arguments: args, ...work !== "add" && { progress: true } },
      expected: WORKS[work].expected,
    })),
  };
  return await Subordinate.start("node", "http_load.ts", init);
}

const percent = (ratios: readonly number[]): string =>
  `${(100 * median(ratios)).toFixed(0)} % ± ${(100 * spreadOf(ratios)).toFixed(0)} %`;

/** Lets both work in turn, and writes the figures. */
async function measure(
  runtime: Runtime,
  work: SqliteWork,
  way: Way,
  slicer: Slicer,
  count: number,
): Promise<void> {
  for (const store of STORES) await slicer(store, WARM_UP_MS)();
  const pairs = await alternate(slicer("file", SLICE_MS), slicer("memory", SLICE_MS), count);
  const rates = pairs.map(({ subject, reference }) =>
    subject.ops / subject.ms / (reference.ops / reference.ms)
  );
  const costs = pairs.map(({ subject, reference }) =>
    reference.cpuMs / reference.ops / (subject.cpuMs / subject.ops)
  );
  const more = pairs.map(({ subject, reference }) =>
    1_000 * (subject.cpuMs / subject.ops - reference.cpuMs / reference.ops)
  );
  console.log([
    runtime.padEnd(5),
    WORKS[work].title.padEnd(28),
    way.padEnd(24),
    percent(rates).padEnd(17),
    percent(costs).padEnd(17),
    median(more).toFixed(0),
  ].join(" "));
}

const { values } = parseArgs({
  options: {
    runtime: { type: "string", default: RUNTIMES.join(",") },
    pairs: { type: "string", default: String(PAIRS) },
  },
});
await install();
console.log(
  "A file as a share of memory: calls a second, the same by processor time, µs more of it",
);
for (const runtime of values.runtime.split(",").filter(isRuntime)) {
  await using worker = await Subordinate.start(runtime, "sqlite_work.ts", {});
  for (const work of Object.keys(WORKS) as SqliteWork[]) { // they are its keys
    await using load = await loadOf(worker, work);
    const slicers = [
      sending(worker, load, work),
      calling(worker, work, 16),
      calling(worker, work, 1),
    ];
    for (const [index, way] of WAYS.entries()) {
      const slicer = slicers[index] ?? calling(worker, work, 1);
      await measure(runtime, work, way, slicer, Number(values.pairs));
    }
  }
}
