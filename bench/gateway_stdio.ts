/**
 * How fast Mooring's gateway is with a server over stdio, beside others that serve the same program.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { commandOf, type Runtime } from "../tools/runtimes.ts";
import type { Called, CallLoadInit, CallLoadOrder } from "./call_load.ts";
import type { GatewayInit, GatewayServing } from "./gateway_server.ts";
import { CALLED } from "./gateway_tools.ts";
import type { Row } from "./network_table.ts";
import { alternate, median, type Pair } from "./pairs.ts";
import { Subordinate } from "./process.ts";
import { Proxy, PROXY_NAMES, type ProxyName } from "./proxies.ts";

const LANES = [1, 16];
const PAIRS = 14;
const SLICE_MS = 200;
const WARM_UP_MS = 1_200;
/**
 * How often both are warmed up with many calls at a time before anything else: large programs need many
 * until they are compiled, and connections that are idle for seconds are closed.
 */
const WARM_UPS = 4;

/** How many times the throughput of the others there should be. */
const LEAST = 5;

interface Slice extends Called {
  /** Milliseconds of processor time of the gateway or the proxy, without the program behind it. */
  readonly cpuMs: number;
}

/** Measures beside each of the others. */
export async function measureStdioGateway(runtime: Runtime): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const name of PROXY_NAMES) rows.push(...await beside(runtime, name));
  return rows;
}

async function beside(runtime: Runtime, name: ProxyName): Promise<Row[]> {
  const path = fileURLToPath(new URL("./gateway_stdio_server.ts", import.meta.url));
  const { program, args } = commandOf("node");
  const command = [program, ...args, path];
  const init: GatewayInit = { command: program, args: [...args, path] };
  await using gateway = await Subordinate.start(runtime, "gateway_server.ts", init);
  await using proxy = await Proxy.start(name, command);
  const ports = [(await gateway.order<GatewayServing>({})).port, proxy.port];
  await using load = await Subordinate.start(
    "node",
    "call_load.ts",
    { ports } satisfies CallLoadInit,
  );
  const used = async (server: 0 | 1): Promise<number> =>
    server === 1 ? proxy.cpuMs : (await gateway.order<GatewayServing>({})).wholeMs;
  const slicer = (server: 0 | 1, lanes: number, ms: number) => async (): Promise<Slice> => {
    const tool = server === 0 ? `up__${CALLED.nothing}` : CALLED.nothing;
    const before = await used(server);
    const called = await load.order<Called>({ server, tool, lanes, ms } satisfies CallLoadOrder);
    return { ...called, cpuMs: await used(server) - before };
  };
  const rows: Row[] = [];
  for (let n = 0; n < WARM_UPS; n++) {
    for (const server of [0, 1] as const) await slicer(server, Math.max(...LANES), WARM_UP_MS)();
  }
  for (const lanes of LANES) {
    for (const server of [0, 1] as const) await slicer(server, lanes, WARM_UP_MS)();
    const pairs = await alternate(
      slicer(0, lanes, SLICE_MS),
      slicer(1, lanes, SLICE_MS),
      PAIRS,
    );
    rows.push(...rowsFor(name, lanes, pairs));
  }
  return rows;
}

function rowsFor(name: ProxyName, lanes: number, pairs: readonly Pair<Slice>[]): Row[] {
  const rate = ({ requests, ms }: Called): number => requests / ms;
  const what = `stdio through the gateway, ${lanes} at a time`;
  const ratios = pairs.map(({ subject, reference }) => rate(subject) / rate(reference));
  // Of single slices the processor time is known too roughly.
  const cost = (slices: readonly Slice[]): number => sum(slices, "cpuMs") / sum(slices, "requests");
  const costs = cost(pairs.map((pair) => pair.reference)) / cost(pairs.map((pair) => pair.subject));
  return [
    {
      what: `${what}: calls/s`,
      value: median(pairs.map(({ subject }) => rate(subject) * 1_000)),
      unit: "rate",
    },
    { what: `${what}: calls/s, of ${name}'s`, value: median(ratios), unit: "times", least: LEAST },
    { what: `${what}: calls/CPU second, of ${name}'s`, value: costs, unit: "times" },
  ];
}

function sum(slices: readonly Slice[], key: "cpuMs" | "requests"): number {
  return slices.reduce((all, slice) => all + slice[key], 0);
}
