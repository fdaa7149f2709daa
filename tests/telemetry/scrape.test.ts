/**
 * What Prometheus reads, parsed by a parser of the text format.
 *
 * @module
 */
import parse from "parse-prometheus-text-format";
import { Counter, Registry } from "prom-client";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { createMcpHandler, McpServer } from "../../mod.ts";
import { gateway, local } from "../../src/gateway/mod.ts";
import { type Metrics, metrics } from "../../src/telemetry/metrics.ts";
import { flush } from "../support/clock.ts";
import { calculator, Caller } from "./traced_servers.ts";

const model = JSON.parse(
  await readFile(new URL("../fixtures/mcp_conventions.json", import.meta.url), "utf8"),
);

interface Parsed {
  readonly name: string;
  readonly type: string;
  readonly metrics: readonly {
    readonly value?: string;
    readonly labels?: Readonly<Record<string, string>>;
  }[];
}

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  value?: number;
  count?: number;
  sum?: number;
  /** Counts by the upper bound of a bucket. */
  readonly buckets: Record<string, number>;
}

interface Family {
  readonly type: string;
  readonly metrics: Sample[];
}

/** Scrapes as Prometheus does. */
async function scrape({ fetch }: Metrics): Promise<Map<string, Family>> {
  const response = await fetch(new Request("http://localhost/metrics"));
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  const parsed: Parsed[] = parse(text);
  const families = new Map<string, Family>();
  for (const { name, type } of parsed) {
    assert.equal(families.has(name), false, `${name} is there twice`);
    families.set(name, { type, metrics: [] });
  }
  // The parser merges the series of a histogram; without its type it gives each line
  const lines: Parsed[] = parse(text.replaceAll(/^# .*\n/gm, ""));
  for (const { name, metrics } of lines) {
    const [, base = "", part] = /^(.*_seconds)_(bucket|sum|count)$/.exec(name) ?? [, name];
    const { metrics: samples } = families.get(base) ?? assert.fail(`${name} has no type`);
    for (const { labels: { le, ...labels } = {}, value } of metrics) {
      let sample = samples.find((other) => isDeepStrictEqual(other.labels, labels));
      if (sample === undefined) samples.push(sample = { labels, buckets: {} });
      if (part === "bucket") sample.buckets[le ?? ""] = Number(value);
      else sample[part === "sum" || part === "count" ? part : "value"] = Number(value);
    }
  }
  return families;
}

/** The value of a sample with some labels. */
function valueOf(families: Map<string, Family>, name: string, labels = {}): number | undefined {
  const sample = families.get(name)?.metrics.find((sample) =>
    Object.entries(labels).every(([key, value]) => sample.labels[key] === value)
  );
  return sample?.value;
}

const OPERATION = "mcp_server_operation_duration_seconds";

test("[TEL-6] a scrape has the conventions' histograms, with their buckets and labels", async () => {
  const counted = metrics();
  {
    await using gw = gateway({
      upstreams: { near: local(calculator()) },
      middleware: [counted.upstream],
    });
    await using handler = createMcpHandler(gw, { onEvent: counted.onEvent });
    const caller = await new Caller(handler).open();
    await caller.request("tools/list");
    await caller.call("near__now");
    await caller.call("near__fail");
    await caller.call("near__refuse");
    await caller.call("near__invalid");
    await caller.close();
  }
  const families = await scrape(counted);
  for (const { name, buckets, attributes } of model.metrics) {
    const family = families.get(`${name.replaceAll(".", "_")}_seconds`) ?? assert.fail(name);
    assert.equal(family.type, "HISTOGRAM");
    const allowed = [...model.metricAttributes[attributes], "mooring.upstream"]
      .map((attribute) => attribute.replaceAll(".", "_"));
    assert.ok(family.metrics.length > 0, name);
    for (const { labels, buckets: found } of family.metrics) {
      const bounds = Object.keys(found).filter((bound) => bound !== "+Inf").map(Number);
      assert.deepEqual(bounds.toSorted((a, b) => a - b), buckets);
      for (const key of Object.keys(labels)) assert.ok(allowed.includes(key), key);
    }
  }
  const endings = (name: string) =>
    families.get(name)?.metrics.flatMap(({ labels, count }) =>
      labels["gen_ai_tool_name"] === undefined ? [] : [[
        labels["gen_ai_tool_name"],
        labels["error_type"],
        labels["rpc_response_status_code"],
        count,
      ]]
    );
  assert.deepEqual(endings(OPERATION), [
    ["near__now", undefined, undefined, 1],
    ["near__fail", "tool_error", undefined, 1],
    ["near__refuse", "_OTHER", "_OTHER", 1],
    ["near__invalid", undefined, "-32602", 1],
  ]);
  assert.deepEqual(endings("mcp_client_operation_duration_seconds"), [
    ["now", undefined, undefined, 1],
    ["fail", "tool_error", undefined, 1],
    ["refuse", "_OTHER", "_OTHER", 1],
    ["invalid", "-32602", "-32602", 1],
  ]);
});

test("[TEL-7] gauges and counts: sessions, requests, refusals, upstreams, node", async () => {
  const counted = metrics();
  const failing = {
    kind: "http",
    identity: "x",
    open: () => Promise.reject(new Error("No")),
  } as const;
  await using gw = gateway({ upstreams: { near: local(calculator()), failing } });
  await using handler = createMcpHandler(gw, { onEvent: counted.onEvent });
  const unwatch = counted.watch({ handler, gateway: gw, endpoint: "all" });
  const caller = await new Caller(handler).open();
  await caller.call("near__now");
  await handler(new Request("http://localhost/mcp", { method: "PUT" }));
  const families = await scrape(counted);
  assert.equal(valueOf(families, "mooring_sessions", { endpoint: "all" }), 1);
  assert.equal(valueOf(families, "mooring_requests", { endpoint: "all" }), 0);
  assert.equal(valueOf(families, "mooring_draining", { endpoint: "all" }), 0);
  assert.equal(valueOf(families, "mooring_upstreams"), 2);
  assert.equal(valueOf(families, "mooring_upstream_sessions"), 1);
  assert.equal(valueOf(families, "mooring_refused_total", { reason: "method", status: "405" }), 1);
  assert.equal(valueOf(families, "mooring_upstream_up", { upstream: "near" }), 1);
  assert.equal(valueOf(families, "mooring_upstream_up", { upstream: "failing" }), 0);
  assert.ok(Number(valueOf(families, "mooring_upstream_failures_total")) > 0);
  assert.equal(families.get("mooring_node_info")?.metrics.length, 1);
  unwatch();
  assert.deepEqual((await scrape(counted)).get("mooring_sessions")?.metrics, []);
});

test("[TEL-7] an upstream is up again when a request to it succeeds", async () => {
  const counted = metrics();
  const failed = { type: "upstream-failed", upstream: "one", during: "ping", error: 1 } as const;
  counted.onEvent(failed);
  // A gateway that is served by two endpoints reports to both
  counted.onEvent(failed);
  const before = await scrape(counted);
  assert.equal(valueOf(before, "mooring_upstream_up", { upstream: "one" }), 0);
  assert.equal(valueOf(before, "mooring_upstream_failures_total"), 1);
  const request = new Request("http://localhost/mcp");
  const { signal } = new AbortController();
  await counted.upstream({
    ...{ upstream: "one", kind: "http", method: "ping", params: {}, facts: undefined },
    ...{ principal: { id: "ada" }, request, signal },
  }, () => Promise.resolve({}));
  const after = await scrape(counted);
  assert.equal(valueOf(after, "mooring_upstream_up", { upstream: "one" }), 1);
});

test("[TEL-8] no client can add series, and many tools share one", async () => {
  const counted = metrics({ names: 6 });
  const server = new McpServer({ name: "many", version: "1.0.0" });
  for (let i = 0; i < 10; i++) server.registerTool(`tool-${i}`, {}, () => "done");
  const unbound = metrics();
  await using gw = gateway({
    upstreams: { near: local(server) },
    middleware: [counted.upstream, unbound.upstream],
  });
  const everybody = (request: Request) => ({ id: request.headers.get("x-user") ?? "nobody" });
  await using handler = createMcpHandler(gw, {
    authenticate: everybody,
    onEvent(event) {
      counted.onEvent(event);
      unbound.onEvent(event);
    },
  });
  const seriesOf = (families: Map<string, Family>): number =>
    [...families.values()].reduce((sum, { metrics }) => sum + metrics.length, 0);
  const caller = await new Caller(handler).open();
  await caller.request("tools/list");
  for (let i = 0; i < 10; i++) await caller.call(`near__tool-${i}`);
  await caller.call("near__made-up");
  await caller.request("made/up");
  const before = await scrape(counted);
  const unboundBefore = await scrape(unbound);
  const tools = new Set(
    before.get(OPERATION)?.metrics.flatMap(({ labels }) => labels["gen_ai_tool_name"] ?? []),
  );
  assert.equal(tools.size, 4, "three of the six here, and _OTHER");
  for (let i = 0; i < 200; i++) {
    await caller.call(`near__made-up-${i}`);
    await caller.request(`made/up-${i}`);
  }
  for (let i = 0; i < 20; i++) {
    const other = new Caller({ fetch: (request) => handler(withUser(request, `user-${i}`)) });
    await other.open();
    await other.call("near__tool-0");
  }
  const after = await scrape(counted);
  assert.equal(seriesOf(after), seriesOf(before));
  assert.equal(seriesOf(await scrape(unbound)), seriesOf(unboundBefore));
  const text = await counted.text() + await unbound.text();
  assert.ok(!text.includes("made") && !text.includes("user-"));
});

function withUser(request: Request, user: string): Request {
  const headers = new Headers(request.headers);
  headers.set("x-user", user);
  return new Request(request, { headers });
}

test("[TEL-6] scrapes under load add up", async () => {
  const counted = metrics();
  await using handler = createMcpHandler(calculator(), { onEvent: counted.onEvent });
  counted.watch({ handler });
  const callers = await Promise.all(
    Array.from({ length: 20 }, () => new Caller(handler).open()),
  );
  const calls = callers.map(async (caller) => {
    for (let i = 0; i < 25; i++) await caller.call("add", { a: i, b: i });
  });
  let latest = 0;
  let done = false;
  const all = Promise.all(calls).then(() => void (done = true));
  do {
    const families = await scrape(counted);
    const sample = families.get(OPERATION)?.metrics.find(({ labels }) =>
      labels["gen_ai_tool_name"] === "add"
    );
    const count = sample?.count ?? 0;
    assert.ok(count >= latest, "a counter never falls");
    if (sample !== undefined) assert.equal(sample.buckets["+Inf"], count);
    latest = count;
    // A scrape alone never ends the turn that calls wait for.
    await flush();
  } while (!done);
  await all;
  const families = await scrape(counted);
  const { count } =
    families.get(OPERATION)?.metrics.find(({ labels }) => labels["gen_ai_tool_name"] === "add") ??
      {};
  assert.equal(count, 500);
});

test("[TEL-6] names that need escaping; another registry; other methods", async () => {
  const registry = new Registry();
  new Counter({ name: "application_orders_total", help: "Orders", registers: [registry] }).inc();
  const counted = metrics({ registry });
  const server = new McpServer({ name: "odd", version: "1.0.0" });
  server.registerPrompt('quote" \\ and\nline', {}, () => "Hello");
  await using handler = createMcpHandler(server, { onEvent: counted.onEvent });
  const caller = await new Caller(handler).open();
  await caller.request("prompts/get", { name: 'quote" \\ and\nline' });
  const families = await scrape(counted);
  assert.equal(valueOf(families, "application_orders_total"), 1);
  const line = (await counted.text()).split("\n").find((text) => text.includes("and"));
  assert.match(line ?? "", /gen_ai_prompt_name="quote\\" \\\\ and\\nline"/);
  assert.throws(() => metrics({ registry }), Error);
  assert.throws(() => metrics({ names: 0 }), RangeError);
  const post = await counted.fetch(new Request("http://localhost/metrics", { method: "POST" }));
  assert.equal(post.status, 405);
  const head = await counted.fetch(new Request("http://localhost/metrics", { method: "HEAD" }));
  assert.equal(await head.text(), "");
});
