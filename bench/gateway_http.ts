/**
 * What Mooring's gateway costs, beside the same upstream called directly.
 *
 * @module
 */
import type { Runtime } from "../tools/runtimes.ts";
import type { Called, CallLoadInit, CallLoadOrder } from "./call_load.ts";
import type { GatewayInit } from "./gateway_server.ts";
import { CALLED, WORK_MS } from "./gateway_tools.ts";
import type { Serving } from "./http_server.ts";
import type { Row } from "./network_table.ts";
import { alternate, median } from "./pairs.ts";
import { Subordinate } from "./process.ts";

const LANES = 16;
const PAIRS = 14;
const SLICE_MS = 150;
const WARM_UP_MS = 1_500;

/** What a call through the gateway may take of one without, at the median. */
const MOST = 1.15;

/** What the calls are like. */
const TOOLS = [
  { tool: CALLED.work, like: `a tool that waits ${WORK_MS} ms`, most: MOST },
  { tool: CALLED.nothing, like: "a tool that does nothing" },
] as const;

interface Slice extends Called {
  /** Milliseconds of processor time of the JavaScript thread of the gateway and of the upstream. */
  readonly gatewayMs: number;
  readonly upstreamMs: number;
}

/** Measures. */
export async function measureHttpGateway(runtime: Runtime): Promise<readonly Row[]> {
  await using upstream = await Subordinate.start("node", "gateway_upstream.ts", {});
  const direct = await upstream.order<Serving>({});
  const init: GatewayInit = { url: `http://127.0.0.1:${direct.port}/mcp` };
  await using gateway = await Subordinate.start(runtime, "gateway_server.ts", init);
  const through = await gateway.order<Serving>({});
  const ports = [through.port, direct.port];
  await using load = await Subordinate.start(
    "node",
    "call_load.ts",
    { ports } satisfies CallLoadInit,
  );
  const slicer = (server: 0 | 1, tool: string, lanes: number, ms: number) => async () => {
    const before = [await gateway.order<Serving>({}), await upstream.order<Serving>({})] as const;
    const name = server === 0 ? `up__${tool}` : tool;
    const order: CallLoadOrder = { server, tool: name, lanes, ms };
    const called = await load.order<Called>(order);
    const after = [await gateway.order<Serving>({}), await upstream.order<Serving>({})] as const;
    return {
      ...called,
      gatewayMs: after[0].cpuMs - before[0].cpuMs,
      upstreamMs: after[1].cpuMs - before[1].cpuMs,
    };
  };
  const rows: Row[] = [];
  for (const { tool, like, ...asked } of TOOLS) {
    for (const server of [0, 1] as const) await slicer(server, tool, LANES, WARM_UP_MS)();
    const pairs = (lanes: number) =>
      alternate(slicer(0, tool, lanes, SLICE_MS), slicer(1, tool, lanes, SLICE_MS), PAIRS);
    rows.push(...rowsFor(like, await pairs(1), await pairs(LANES), asked));
  }
  return rows;
}

type Pairs = Awaited<ReturnType<typeof alternate<Slice>>>;

function rowsFor(like: string, single: Pairs, many: Pairs, asked: Pick<Row, "most">): Row[] {
  const what = `through the gateway, ${like}`;
  const rate = ({ requests, ms }: Slice): number => requests / ms;
  const ratio = (pairs: Pairs, of: (slice: Slice) => number): number =>
    median(pairs.map(({ subject, reference }) => of(subject) / of(reference)));
  const added = single.map(({ subject, reference }) => subject.p50 - reference.p50);
  const cpu = many.map(({ subject: { gatewayMs, requests }, reference }) =>
    gatewayMs / requests / (reference.upstreamMs / reference.requests)
  );
  return [
    { what: `${what}: latency`, value: ratio(single, ({ p50 }) => p50), unit: "times", ...asked },
    { what: `${what}: latency added`, value: median(added), unit: "ms" },
    { what: `${what}: calls/s, ${LANES} at a time`, value: ratio(many, rate), unit: "share" },
    { what: `${what}: CPU of the gateway, of the upstream's`, value: median(cpu), unit: "times" },
  ];
}
