/**
 * What a protocol costs a server that does real work: a shop whose tools use Redis and an HTTP API, with fifty
 * clients that begin, list, call and end, beside the same shop without a protocol and with other libraries.
 * All servers of a runtime run at the same time, and are used in turn. Needs Linux and Redis.
 *
 *     deno task bench:work --runtime node
 *
 * @module
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { OwnServer, uniquePrefix } from "../../tests/support/redis.ts";
import { install, isRuntime, type Runtime, RUNTIMES } from "../../tools/runtimes.ts";
import { median, spreadOf } from "../pairs.ts";
import { Subordinate } from "../process.ts";
import type { ShopLoaded, ShopLoadInit, ShopLoadOrder } from "./load.ts";
import { type ShopName, SHOPS, type ShopServerInit, type ShopState } from "./server.ts";
import { fillShop } from "./tools.ts";

const CLIENTS = 50;
const SLICE_MS = 1_000;
const WARM_UP_MS = 3_000;

const TITLES: Readonly<Record<ShopName, string>> = {
  "plain": "without a protocol",
  "mooring": "Mooring",
  "mooring-sqlite": "Mooring on SQLite",
  "mooring-redis": "Mooring on Redis",
  "mooring-processes": "Mooring on Redis, N processes",
  "mcp-lite": "mcp-lite",
  "sdk-v1": "SDK v1, as its examples have it",
};

const USAGE = `Usage: deno task bench:work [options]

  --runtime NAME,…  ${RUNTIMES.join(", ")}: these instead of all
  --server NAME,…   ${SHOPS.join(", ")}: these instead of all, beside plain
  --processes N     the processes of mooring-processes; 2 when left out
  --passes N        how often to begin with fresh processes; 3 when left out
  --slices N        how often each server is used in a pass; 8 when left out
  --json FILE       writes the figures there, too`;

/** What the slices of a server have come to, beside those of the first. */
interface Figures {
  readonly rates: number[];
  readonly costs: number[];
  readonly p50s: number[];
  readonly p99s: number[];
  readonly memories: number[];
}

interface Slice extends ShopLoaded {
  readonly cpuMs: number;
}

/** Uses all servers of a runtime in turn, with fresh processes. */
async function pass(
  runtime: Runtime,
  names: readonly ShopName[],
  { redis, processes, slices }: { redis: string; processes: number; slices: number },
  figures: ReadonlyMap<ShopName, Figures>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "shop-"));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const carrier = stack.use(await Subordinate.start("node", "shop/api.ts", {}));
  const { port } = await carrier.order<{ port: number }>({});
  const shop = { redis, prefix: uniquePrefix(), api: `http://127.0.0.1:${port}` };
  await fillShop(shop);
  const servers: Subordinate[] = [];
  for (const name of names) {
    const init: ShopServerInit = { ...shop, name, folder, processes };
    servers.push(stack.use(await Subordinate.start(runtime, "shop/server.ts", init)));
  }
  const states = await Promise.all(servers.map((server) => server.order<ShopState>({})));
  const init: ShopLoadInit = {
    clients: CLIENTS,
    servers: names.map((name, i) => ({ name, port: states[i]?.port ?? 0 })),
  };
  // Node sends for all runtimes: the sender costs as little as possible, and the same for each.
  const load = stack.use(await Subordinate.start("node", "shop/load.ts", init));
  const use = async (server: number, ms: number): Promise<Slice> => {
    const before = await servers[server]?.order<ShopState>({});
    const loaded = await load.order<ShopLoaded>({ server, ms } satisfies ShopLoadOrder);
    const after = await servers[server]?.order<ShopState>({});
    return { ...loaded, cpuMs: (after?.cpuMs ?? NaN) - (before?.cpuMs ?? NaN) };
  };
  for (const server of names.keys()) await use(server, WARM_UP_MS);
  for (let n = 0; n < slices; n++) {
    const round: Slice[] = [];
    for (const server of names.keys()) round[server] = await use(server, SLICE_MS);
    const [first] = round;
    if (first === undefined) return;
    for (const [i, name] of names.entries()) {
      const [slice, sums] = [round[i], figures.get(name)];
      if (slice === undefined || sums === undefined) continue;
      sums.rates.push(slice.calls / slice.ms / (first.calls / first.ms));
      sums.costs.push(slice.calls / slice.cpuMs / (first.calls / first.cpuMs));
      sums.p50s.push(slice.p50 / first.p50);
      sums.p99s.push(slice.p99 / first.p99);
    }
  }
  for (const [i, name] of names.entries()) {
    const state = await servers[i]?.order<ShopState>({});
    figures.get(name)?.memories.push(state?.memoryMib ?? NaN);
  }
}

/** Whether a server can run on a runtime: Deno has its own way to several processes. */
function runsOn(runtime: Runtime, name: ShopName): boolean {
  return name !== "mooring-processes" || runtime !== "deno";
}

function line(title: string, { rates, costs, p50s, p99s, memories }: Figures): string {
  const percent = (numbers: readonly number[]) => `${(100 * median(numbers)).toFixed(0)} %`;
  const cells = [
    `${percent(rates)} ± ${(100 * spreadOf(rates)).toFixed(0)}`,
    percent(costs),
    `× ${median(p50s).toFixed(2)}`,
    `× ${median(p99s).toFixed(2)}`,
    `${median(memories).toFixed(0)} MiB`,
  ];
  return `| ${title} | ${cells.join(" | ")} |`;
}

async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: {
      runtime: { ...text, default: RUNTIMES.join() },
      server: { ...text, default: SHOPS.join() },
      processes: { ...text, default: "2" },
      passes: { ...text, default: "3" },
      slices: { ...text, default: "8" },
      json: text,
      help: { type: "boolean" },
    },
  });
  if (values.help) return console.log(USAGE);
  const asked = new Set<string>(["plain", ...values.server.split(",")]);
  await install();
  const redis = await OwnServer.start();
  await using _stopped = { [Symbol.asyncDispose]: () => redis.close() };
  const all: Record<string, Record<string, Figures>> = {};
  for (const runtime of values.runtime.split(",").filter(isRuntime)) {
    const names = SHOPS.filter((name) => asked.has(name) && runsOn(runtime, name));
    const figures = new Map(names.map((name): [ShopName, Figures] => [
      name,
      { rates: [], costs: [], p50s: [], p99s: [], memories: [] },
    ]));
    const options = {
      redis: redis.url,
      processes: Number(values.processes),
      slices: Number(values.slices),
    };
    for (let n = 0; n < Number(values.passes); n++) await pass(runtime, names, options, figures);
    console.log(
      `\n| ${runtime} | Calls per second | Calls per CPU second | Median | 99th percentile | Memory |\n` +
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    );
    for (const [name, sums] of figures) console.log(line(TITLES[name], sums));
    all[runtime] = Object.fromEntries(figures);
    if (values.json !== undefined) await writeFile(values.json, JSON.stringify(all, null, 2));
  }
}

if (import.meta.main) await main();
