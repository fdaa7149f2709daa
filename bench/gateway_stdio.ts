/**
 * How fast Mooring's gateway is with a server over stdio, beside others that serve the same program.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { commandOf, type Runtime } from "../tools/runtimes.ts";
import type { Called, CallLoadInit, CallLoadOrder } from "./call_load.ts";
import type { DirectInit, DirectOrder } from "./direct_load.ts";
import type { GatewayInit, GatewayServing } from "./gateway_server.ts";
import { CALLED } from "./gateway_tools.ts";
import type { Row } from "./network_table.ts";
import { alternate, median, type Pair } from "./pairs.ts";
import { Subordinate } from "./process.ts";
import { Proxy, PROXY_NAMES, type ProxyName } from "./proxies.ts";

/** How many calls at a time. One at a time tells the latency: throughput takes many. */
const LANES = { latency: 1, throughput: 16 };
/** How often everything is started anew, and how many slices there are of each then. */
const PASSES = 3;
const PAIRS = 8;
const SLICE_MS = 200;
const WARM_UP_MS = 1_200;
/**
 * How often both are warmed up with many calls at a time before anything else: large programs need many
 * until they are compiled, and connections that are idle for seconds are closed.
 */
const WARM_UPS = 4;

/** How many times the throughput of the others there should be at least. */
const LEAST = 5;

interface Slice extends Called {
  /** Milliseconds of processor time of the gateway or the proxy, without the program behind it. */
  readonly cpuMs: number;
}

type Pairs = readonly Pair<Slice>[];

/** What came of one pass. */
interface Pass {
  readonly latency: Pairs;
  readonly throughput: Pairs;
  /** The program with nothing in front of it, beside the other gateway, one call at a time. */
  readonly direct: readonly Pair<Called>[];
}

/** Measures beside each of the others. */
export async function measureStdioGateway(runtime: Runtime): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const name of PROXY_NAMES) {
    const passes: Pass[] = [];
    for (let n = 0; n < PASSES; n++) passes.push(await beside(runtime, name));
    for (const what of ["latency", "throughput"] as const) {
      rows.push(...rowsFor(name, LANES[what], passes.flatMap((pass) => pass[what])));
    }
    rows.push(directRow(name, passes.flatMap(({ direct }) => direct)));
  }
  return rows;
}

async function beside(runtime: Runtime, name: ProxyName): Promise<Pass> {
  const path = fileURLToPath(new URL("./gateway_stdio_server.ts", import.meta.url));
  const { program, args } = commandOf("node");
  const init: GatewayInit & DirectInit = { command: program, args: [...args, path] };
  await using gateway = await Subordinate.start(runtime, "gateway_server.ts", init);
  await using proxy = await Proxy.start(name, [program, ...init.args]);
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
  const both = async (lanes: number): Promise<Pairs> => {
    for (const server of [0, 1] as const) await slicer(server, lanes, WARM_UP_MS)();
    return await alternate(slicer(0, lanes, SLICE_MS), slicer(1, lanes, SLICE_MS), PAIRS);
  };
  for (let n = 0; n < WARM_UPS; n++) {
    for (const server of [0, 1] as const) await slicer(server, LANES.throughput, WARM_UP_MS)();
  }
  const latency = await both(LANES.latency);
  const throughput = await both(LANES.throughput);
  await using alone = await Subordinate.start("node", "direct_load.ts", init);
  const directly = (ms: number) => () =>
    alone.order<Called>({ lanes: LANES.latency, ms } satisfies DirectOrder);
  await directly(WARM_UP_MS)();
  const proxied = slicer(1, LANES.latency, SLICE_MS);
  const direct = await alternate<Called>(directly(SLICE_MS), proxied, PAIRS);
  return { latency, throughput, direct };
}

/** What there would be to win for a gateway that took no time at all. */
function directRow(name: ProxyName, pairs: readonly Pair<Called>[]): Row {
  return {
    what: `the program itself, ${LANES.latency} at a time: calls/s, of ${name}'s`,
    value: ratioOf(pairs),
    unit: "times",
  };
}

function ratioOf(pairs: readonly Pair<Called>[]): number {
  return median(pairs.map(({ subject, reference }) => rate(subject) / rate(reference)));
}

function rate({ requests, ms }: Called): number {
  return requests / ms;
}

function rowsFor(name: ProxyName, lanes: number, pairs: Pairs): Row[] {
  const what = `stdio through the gateway, ${lanes} at a time`;
  // Of single slices the processor time is known too roughly.
  const cost = (slices: readonly Slice[]): number => sum(slices, "cpuMs") / sum(slices, "requests");
  const costs = cost(pairs.map((pair) => pair.reference)) / cost(pairs.map((pair) => pair.subject));
  return [
    {
      what: `${what}: calls/s`,
      value: median(pairs.map(({ subject }) => rate(subject) * 1_000)),
      unit: "rate",
    },
    {
      what: `${what}: calls/s, of ${name}'s`,
      value: ratioOf(pairs),
      unit: "times",
      ...lanes === LANES.throughput && { least: LEAST },
    },
    { what: `${what}: calls/CPU second, of ${name}'s`, value: costs, unit: "times" },
  ];
}

function sum(slices: readonly Slice[], key: "cpuMs" | "requests"): number {
  return slices.reduce((all, slice) => all + slice[key], 0);
}
