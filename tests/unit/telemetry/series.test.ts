import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateway } from "../../../src/gateway/mod.ts";
import { createMcpHandler } from "../../../src/handler/handler.ts";
import { McpError } from "../../../src/protocol/errors.ts";
import { metrics, type MetricsOptions } from "../../../src/telemetry/metrics.ts";
import { FakeUpstream } from "../../gateway/core_support.ts";
import { initialize } from "../../support/wire.ts";

/** Counts the lines of a scrape, and reads one of them. */
async function scraped(counted: ReturnType<typeof metrics>) {
  const text = await counted.text();
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return {
    lines: lines.length,
    text,
    valueOf: (name: string) =>
      lines.filter((line) => line.startsWith(name)).map((line) => Number(line.split(" ").at(-1))),
  };
}

async function flooded(
  options: MetricsOptions,
  calls: number,
  nameOf: (call: number) => string,
  codeOf: (call: number) => number,
) {
  const counted = metrics(options);
  const names = Array.from({ length: calls }, (_, call) => nameOf(call));
  const upstream = new FakeUpstream({
    answers: {
      "tools/list": () => ({
        tools: [...new Set(names)].map((name) => ({ name, inputSchema: { type: "object" } })),
      }),
      "tools/call": ({ params }) => {
        throw new McpError(codeOf(names.indexOf(String(params.name))), "Failed");
      },
    },
  });
  let code = 0;
  const failing = new FakeUpstream({
    answers: {
      "tools/list": () => ({ tools: [{ name: "fail", inputSchema: { type: "object" } }] }),
      "tools/call": () => {
        throw new McpError(codeOf(code++), "Failed");
      },
    },
  });
  const gw = gateway({ upstreams: { up: upstream, failing }, middleware: [counted.upstream] });
  const handler = createMcpHandler(gw, { onEvent: counted.onEvent });
  const peer = await initialize(handler);
  await peer.result(await peer.request(1, "tools/list"));
  for (const [index, name] of names.entries()) {
    await (await peer.call(index + 2, `up__${name}`)).text();
    await (await peer.call(index + 2 + calls, "failing__fail")).text();
  }
  const seen = await scraped(counted);
  await handler.close();
  await gw.close();
  return seen;
}

describe("the series of metrics", () => {
  test("[TEL-8] an upstream's error codes make no series of their own", async () => {
    const few = await flooded({}, 3, () => "one", (call) => 5_000 + call);
    const many = await flooded({}, 300, () => "one", (call) => 5_000 + call);
    assert.equal(many.lines, few.lines);
    assert.match(many.text, /rpc_response_status_code="_OTHER"/);
    assert.doesNotMatch(many.text, /="5\d\d\d"/);
  });

  test("[TEL-8] codes of the protocol keep theirs", async () => {
    const { text } = await flooded({}, 1, () => "one", () => -32602);
    assert.match(text, /rpc_response_status_code="-32602"/);
  });

  test("[TEL-8] a metric has a bound on its series, and what is folded is counted", async () => {
    const names = (call: number) => `tool${call}`;
    const { text, valueOf } = await flooded({ series: 20 }, 100, names, () => -32602);
    const series = text.split("\n").filter((line) =>
      line.startsWith("mcp_server_operation_duration_seconds_count")
    );
    assert.equal(series.length, 21);
    assert.ok(series.some((line) => !/="(?!_OTHER")/.test(line)));
    const [folded = 0] = valueOf(
      'mooring_series_folded_total{metric="mcp_server_operation_duration_seconds"}',
    );
    assert.ok(folded > 50, String(folded));
    const total = series.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
    assert.ok(total >= 202, String(total));
  });
});
