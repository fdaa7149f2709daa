/**
 * Spans and histograms as OpenTelemetry's SDK exports them.
 *
 * @module
 */
import { context, propagation, ROOT_CONTEXT, SpanKind, trace } from "@opentelemetry/api";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, beforeEach, describe, test } from "node:test";
import { createMcpHandler, type McpHandler, McpServer } from "../../mod.ts";
import { cached, gateway, local } from "../../src/gateway/mod.ts";
import { shortHash } from "../../src/internal/random.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { tasks } from "../../src/tasks/mod.ts";
import { telemetry, type TelemetryOptions } from "../../src/telemetry/mod.ts";
import type { ReceivedSpan } from "../support/otlp.ts";
import { CAPABLE, ModernPeer } from "../support/modern.ts";
import { routing } from "../support/routes.ts";
import { type Sdk, startSdk } from "./sdk.ts";
import { calculator, Caller, chain } from "./traced_servers.ts";

const model = JSON.parse(
  await readFile(new URL("../fixtures/mcp_conventions.json", import.meta.url), "utf8"),
);
const SCOPE = "@mooring/mcp";
let sdk: Sdk;

before(async () => {
  sdk = await startSdk();
});
after(() => sdk[Symbol.asyncDispose]());
beforeEach(() => void sdk.received.spans.splice(0));

async function spans(): Promise<ReceivedSpan[]> {
  await sdk.flush();
  assert.deepEqual(sdk.received.problems, []);
  return sdk.received.spans;
}

/** The only span of Mooring with a name. */
async function only(name: string): Promise<ReceivedSpan> {
  const found = (await spans()).filter((span) => span.name === name && span.scope === SCOPE);
  assert.equal(found.length, 1, JSON.stringify((await spans()).map(({ name }) => name)));
  return found[0] ?? assert.fail();
}

function endpoint(options?: TelemetryOptions): McpHandler {
  const { middleware, onEvent } = telemetry(options);
  return createMcpHandler(calculator(), { middleware: [middleware], onEvent });
}

/** Runs a function in a new span, as an instrumented client or an HTTP library does. */
async function inSpan<T>(name: string, run: (meta: JsonObject) => Promise<T>): Promise<T> {
  const span = trace.getTracer("test").startSpan(name, { kind: SpanKind.CLIENT }, ROOT_CONTEXT);
  const baggage = propagation.createBaggage({ tenant: { value: "blue" } });
  const here = propagation.setBaggage(trace.setSpan(ROOT_CONTEXT, span), baggage);
  const meta: Record<string, string> = {};
  propagation.inject(here, meta);
  try {
    return await run(meta);
  } finally {
    span.end();
  }
}

describe("spans", () => {
  test("[TEL-2] a tool's call has the name, kind and attributes of the conventions", async () => {
    await using handler = endpoint();
    const caller = await new Caller(handler).open();
    await caller.call("add", { a: 1, b: 2 });
    const span = await only("tools/call add");
    assert.equal(span.kind, "server");
    assert.deepEqual(span.attributes, {
      "mcp.method.name": "tools/call",
      "mcp.protocol.version": "2025-11-25",
      "mcp.session.id": shortHash(caller.session),
      "gen_ai.tool.name": "add",
      "gen_ai.operation.name": "execute_tool",
      "jsonrpc.request.id": String(caller.latest),
      "network.transport": "tcp",
      "network.protocol.name": "http",
    });
    assert.deepEqual(span.status, { code: "unset" });
    for (const name of Object.keys(span.attributes)) assert.ok(model.spans.server.includes(name));
    const inner = (await spans()).find(({ name }) => name === "adding");
    assert.equal(inner?.parentSpanId, span.spanId, "the handler runs in the span");
  });

  test("[TEL-2] prompts, resources and unknown names", async () => {
    await using handler = endpoint();
    const caller = await new Caller(handler).open();
    await caller.request("prompts/get", { name: "greet" });
    assert.equal((await only("prompts/get greet")).attributes["gen_ai.prompt.name"], "greet");
    await caller.request("resources/read", { uri: "note://ada:secret@notes/1?token=secret" });
    const { attributes } = await only("resources/read");
    assert.equal(attributes["mcp.resource.uri"], "note://notes/1");
    await caller.call("made-up-by-the-client");
    await caller.request("made/up", {});
    const names = new Set((await spans()).map(({ name }) => name));
    assert.ok(names.has("tools/call") && names.has("_OTHER"), [...names].join());
    assert.ok(
      !JSON.stringify((await spans()).map(({ name, attributes }) => [name, attributes]))
        .includes("made"),
    );
  });

  test("[TEL-2] errors: a tool's, the server's and those that the caller made", async () => {
    await using handler = endpoint();
    const caller = await new Caller(handler).open();
    const endings: Record<string, unknown> = {};
    for (const tool of ["now", "fail", "refuse", "invalid"]) {
      await caller.call(tool);
      const { attributes, status } = await only(`tools/call ${tool}`);
      const { "error.type": type, "rpc.response.status_code": code } = attributes;
      endings[tool] = [status.code, status.message, type, code];
    }
    await caller.request("prompts/get", { name: "crash" });
    const { attributes, status } = await only("prompts/get crash");
    assert.equal(attributes["error.type"], "-32603");
    assert.equal(attributes["rpc.response.status_code"], "-32603");
    assert.deepEqual(status, { code: "error", message: "Internal error" });
    assert.deepEqual(endings, {
      now: ["unset", undefined, undefined, undefined],
      fail: ["error", undefined, "tool_error", undefined],
      refuse: ["error", "Not for you", "-32050", "-32050"],
      invalid: ["unset", undefined, undefined, "-32602"],
    });
    assert.ok(!JSON.stringify(await spans()).includes("hunter2"));
  });

  test("[TEL-2] a request of 2026-07-28 has no session", async () => {
    await using handler = endpoint({ sessionId: "id" });
    const peer = new ModernPeer(handler);
    await peer.request("tools/call", { name: "now", arguments: {} });
    const { attributes } = await only("tools/call now");
    assert.equal(attributes["mcp.protocol.version"], "2026-07-28");
    assert.equal("mcp.session.id" in attributes, false);
  });

  test("[TEL-3] a session id, arguments and results are there only on request", async () => {
    await using plain = endpoint();
    const one = await new Caller(plain).open();
    await one.call("add", { a: 12345, b: 2 });
    const text = JSON.stringify(await spans());
    assert.ok(!text.includes(one.session) && !text.includes("12345") && !text.includes("12347"));

    sdk.received.spans.splice(0);
    const asked = { recordArguments: true, recordResults: true, recordedChars: 20 };
    await using open = endpoint({ sessionId: "id", ...asked });
    const two = await new Caller(open).open();
    await two.call("add", { a: 12345, b: 2 });
    const { attributes } = await only("tools/call add");
    assert.equal(attributes["mcp.session.id"], two.session);
    assert.equal(attributes["gen_ai.tool.call.arguments"], '{"a":12345,"b":2}');
    assert.match(String(attributes["gen_ai.tool.call.result"]), /^\{"content":.{9}…$/);
  });

  test("[TEL-2] the span of a stopped request ends with the request, not with its handler", async () => {
    await using handler = endpoint();
    const caller = await new Caller(handler).open();
    const call = caller.send({
      jsonrpc: "2.0",
      id: "long",
      method: "tools/call",
      params: { name: "hang" },
    });
    await caller.send({
      jsonrpc: "2.0",
      method: "notifications/cancelled",
      params: { requestId: "long" },
    });
    await (await call).text();
    const { attributes, status } = await only("tools/call hang");
    assert.equal(attributes["error.type"], "cancelled");
    assert.equal(status.code, "error");
  });

  test("[TEL-2] an error of a dispatcher is shown as clients see it", async () => {
    const { middleware, onEvent } = telemetry();
    const error = new Error("The password is hunter2");
    const dispatchers = [
      { route: routing(() => Promise.reject(error)) },
      {
        route: routing(() => {
          throw error;
        }),
      },
    ];
    for (const dispatcher of dispatchers) {
      sdk.received.spans.splice(0);
      await using handler = createMcpHandler(dispatcher, { middleware: [middleware], onEvent });
      await (await new ModernPeer(handler).request("tools/list")).text();
      const { attributes, status } = await only("tools/list");
      assert.equal(attributes["error.type"], "-32603");
      assert.deepEqual(status, { code: "error", message: "Internal error" });
    }
  });

  test("[TEL-2] a round that asks the client ends without an error", async () => {
    const { middleware, onEvent } = telemetry();
    const server = calculator();
    server.registerTool("ask", {}, async (_args, ctx) => {
      const requestedSchema = { type: "object", properties: {} } as const;
      const { action } = await ctx.elicit("sure", { message: "Sure?", schema: requestedSchema });
      return action;
    });
    // With and without the events, which tell of it first
    for (const events of [{ onEvent }, {}]) {
      sdk.received.spans.splice(0);
      await using handler = createMcpHandler(server, { middleware: [middleware], ...events });
      const peer = new ModernPeer(handler, { capabilities: CAPABLE });
      await (await peer.call("ask")).text();
      const { attributes, status } = await only("tools/call ask");
      assert.equal("error.type" in attributes, false);
      assert.equal(status.code, "unset");
    }
  });

  test("[TEL-2] the run of a task has a span below that of its call", async () => {
    const { middleware, onEvent } = telemetry();
    const server = calculator();
    server.use(tasks());
    const ran = Promise.withResolvers<void>();
    server.registerTool("slow", { task: "optional" }, async () => {
      await Promise.resolve();
      setTimeout(ran.resolve);
      return "done";
    });
    await using handler = createMcpHandler(server, { middleware: [middleware], onEvent });
    const capabilities = { extensions: { "io.modelcontextprotocol/tasks": {} } };
    await (await new ModernPeer(handler, { capabilities }).call("slow")).text();
    await ran.promise;
    const call = await only("tools/call slow");
    const run = await only("execute_tool slow");
    assert.equal(run.kind, "internal");
    assert.equal(run.parentSpanId, call.spanId);
  });

  test("[TEL-2] without an SDK handlers run all the same, and one may be registered late", async () => {
    await sdk[Symbol.asyncDispose]();
    await using handler = endpoint();
    const caller = await new Caller(handler).open();
    const { content } = await caller.call("add", { a: 1, b: 2 });
    assert.deepEqual(content, [{ type: "text", text: "3" }]);
    sdk = await startSdk();
    await caller.call("add", { a: 1, b: 2 });
    assert.equal((await only("tools/call add")).kind, "server");
  });
});

describe("one trace", () => {
  test("[TEL-4] crosses client, gateway and upstream, and exports nothing twice", async () => {
    await using servers = await chain();
    const caller = await new Caller(servers.handler).open();
    await caller.request("tools/list");
    await spans();
    sdk.received.spans.splice(0);
    await inSpan("client", (meta) => caller.call("far__add", { a: 1, b: 2 }, meta));
    const all = await spans();
    const byId = new Map(all.map((span) => [span.spanId, span]));
    const adding = all.find(({ name }) => name === "adding") ?? assert.fail("no handler's span");
    const way: unknown[] = [];
    for (let span: ReceivedSpan | undefined = adding; span; span = byId.get(span.parentSpanId)) {
      way.push([span.name, span.kind]);
    }
    assert.deepEqual(way.reverse(), [
      ["client", "client"],
      ["tools/call far__add", "server"],
      ["tools/call add", "client"],
      ["tools/call add", "server"],
      ["adding", "internal"],
    ]);
    const calls = all.filter(({ attributes }) => attributes["mcp.method.name"] === "tools/call");
    assert.equal(calls.length, 3);
    assert.equal(new Set([...calls, adding].map(({ traceId }) => traceId)).size, 1);
    const client = calls.find(({ kind }) => kind === "client") ?? assert.fail();
    const { "mooring.upstream": upstream, ...attributes } = client.attributes;
    assert.equal(upstream, "far");
    for (const name of Object.keys(attributes)) assert.ok(model.spans.client.includes(name), name);
  });

  test("[CACHE-10] says which result was kept, and measures no request for it", async () => {
    const observed = telemetry();
    const server = new McpServer({ name: "near", version: "1.0.0" });
    server.registerTool("look", { annotations: { readOnlyHint: true } }, () => "seen");
    await using gw = gateway({
      upstreams: { near: cached(local(server), { tools: ["look"], ttlMs: 600_000 }) },
      middleware: [observed.upstream],
    });
    await using handler = createMcpHandler(gw, {
      authenticate: () => ({ id: "ada" }),
      middleware: [observed.middleware],
      onEvent: observed.onEvent,
    });
    const caller = await new Caller(handler).open();
    await caller.request("tools/list");
    for (let call = 0; call < 3; call++) await caller.call("near__look");
    const clients = (await spans()).filter(({ name, kind }) =>
      name === "tools/call look" && kind === "client"
    );
    assert.deepEqual(clients.map(({ attributes }) => attributes["mooring.cached"]), [
      undefined,
      true,
      true,
    ]);
  });

  test("[ONCE-21] says which call got the answer of an earlier one", async () => {
    const observed = telemetry();
    const server = new McpServer({ name: "near", version: "1.0.0" });
    server.registerTool("pay", { answerOnce: true }, () => "paid");
    await using handler = createMcpHandler(server, {
      authenticate: () => ({ id: "ada" }),
      middleware: [observed.middleware],
      onEvent: observed.onEvent,
    });
    const caller = await new Caller(handler).open();
    const params = { name: "pay", arguments: {}, _meta: { "mooring/callKey": "k" } };
    for (let call = 0; call < 2; call++) await caller.request("tools/call", params);
    const calls = (await spans()).filter(({ name }) => name === "tools/call pay");
    assert.deepEqual(calls.map(({ attributes }) => attributes["mooring.repeated"]), [
      undefined,
      true,
    ]);
  });

  test("[TEL-2] behind a gateway a tool has its name before anybody has read its list", async () => {
    await using servers = await chain();
    const caller = await new Caller(servers.handler).open();
    await caller.call("near__add", { a: 1, b: 2 });
    await caller.request("prompts/get", { name: "near__greet" });
    const span = await only("tools/call near__add");
    assert.equal(span.kind, "server");
    assert.equal(span.attributes["gen_ai.tool.name"], "near__add");
    assert.equal(
      (await only("prompts/get near__greet")).attributes["gen_ai.prompt.name"],
      "near__greet",
    );
    // What fails has one too, also in the first call of all; what is nowhere stays without.
    await caller.call("far__fail");
    const failed = await only("tools/call far__fail");
    assert.equal(failed.attributes["error.type"], "tool_error");
    await caller.call("near__made-up");
    await caller.call("nowhere__made-up");
    assert.ok((await spans()).every(({ name }) => !name.includes("made-up")));
  });

  test("[TEL-4] a server in the process has the gateway's span, and none of its own", async () => {
    await using servers = await chain();
    const caller = await new Caller(servers.handler).open();
    await caller.request("tools/list");
    await spans();
    sdk.received.spans.splice(0);
    await caller.call("near__add", { a: 1, b: 2 });
    const all = await spans();
    assert.deepEqual(all.map(({ name, kind }) => `${kind} ${name}`).toSorted(), [
      "client tools/call add",
      "internal adding",
      "server tools/call near__add",
    ]);
    const client = all.find(({ kind }) => kind === "client");
    assert.equal("network.transport" in (client?.attributes ?? {}), false);
  });

  test("[TEL-4] the context in _meta is the parent, the HTTP span a link", async () => {
    await using handler = endpoint();
    const caller = await new Caller(handler).open();
    const tracer = trace.getTracer("http");
    const http = tracer.startSpan("POST", { kind: SpanKind.SERVER });
    await inSpan(
      "client",
      (meta) => context.with(trace.setSpan(ROOT_CONTEXT, http), () => caller.call("now", {}, meta)),
    );
    http.end();
    const span = await only("tools/call now");
    const client = (await spans()).find(({ name }) => name === "client");
    assert.equal(span.parentSpanId, client?.spanId);
    assert.equal(span.traceId, client?.traceId);
    assert.deepEqual(span.links.map(({ spanId }) => spanId), [http.spanContext().spanId]);
  });

  test("[TEL-4] without one the HTTP span is the parent, or what the headers name", async () => {
    await using handler = endpoint();
    const caller = await new Caller(handler).open();
    const http = trace.getTracer("http").startSpan("POST", { kind: SpanKind.SERVER });
    await context.with(trace.setSpan(ROOT_CONTEXT, http), () => caller.call("now"));
    http.end();
    assert.equal((await only("tools/call now")).parentSpanId, http.spanContext().spanId);
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await caller.request("prompts/get", { name: "greet" }, { traceparent });
    assert.equal((await only("prompts/get greet")).parentSpanId, "b7ad6b7169203331");
  });

  test("[TEL-4] a client's context can be a link, or ignored; a malformed one is", async () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const found: Record<string, unknown> = {};
    for (const remoteContext of ["link", "ignore"] as const) {
      sdk.received.spans.splice(0);
      await using handler = endpoint({ remoteContext });
      const caller = await new Caller(handler).open();
      await caller.call("now", {}, { traceparent });
      const { parentSpanId, links } = await only("tools/call now");
      found[remoteContext] = [parentSpanId, links.map(({ spanId }) => spanId)];
    }
    assert.deepEqual(found, { link: ["", ["b7ad6b7169203331"]], ignore: ["", []] });

    const hostile = [
      "",
      "00-0-0-01",
      7,
      { a: 1 },
      "x".repeat(100_000),
      traceparent.replace("0a", "zz"),
    ];
    for (const traceparent of hostile) {
      sdk.received.spans.splice(0);
      await using handler = endpoint();
      const caller = await new Caller(handler).open();
      const meta = { traceparent, tracestate: { a: 1 }, baggage: ["x"] };
      assert.deepEqual((await caller.call("now", {}, meta)).isError, undefined);
      assert.equal((await only("tools/call now")).parentSpanId, "");
    }
  });
});

describe("histograms", () => {
  test("[TEL-5] have the names, units, buckets and attributes of the model", async () => {
    {
      await using servers = await chain();
      const caller = await new Caller(servers.handler).open();
      await caller.request("tools/list");
      await caller.call("far__add", { a: 1, b: 2 });
      await caller.call("near__fail");
      await caller.close();
    }
    await sdk.flush();
    for (const { name, unit, buckets, attributes } of model.metrics) {
      const metric = sdk.received.metrics.get(name) ?? assert.fail(`${name} is missing`);
      assert.equal(metric.unit, unit);
      assert.ok(metric.points.length > 0);
      const allowed = [...model.metricAttributes[attributes], "mooring.upstream"];
      for (const point of metric.points) {
        assert.deepEqual(point.bounds, buckets);
        assert.ok(point.count > 0 && point.sum >= 0 && point.sum < 60, "seconds");
        for (const key of Object.keys(point.attributes)) assert.ok(allowed.includes(key), key);
      }
    }
    const server = sdk.received.metrics.get("mcp.server.operation.duration")?.points ?? [];
    const client = sdk.received.metrics.get("mcp.client.operation.duration")?.points ?? [];
    const counts = (points: typeof server, tool: string) =>
      points.filter(({ attributes }) => attributes["gen_ai.tool.name"] === tool)
        .map(({ count, attributes }) => [count, attributes["error.type"]]);
    assert.deepEqual(counts(server, "near__fail"), [[1, "tool_error"]]);
    assert.deepEqual(counts(client, "fail"), [[1, "tool_error"]]);
    const { attributes } =
      client.find(({ attributes }) => attributes["gen_ai.tool.name"] === "fail") ??
        assert.fail();
    assert.equal(attributes["mooring.upstream"], "near");
  });
});
