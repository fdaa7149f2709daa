import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { createMcpHandler, McpServer } from "../../mod.ts";
import { http } from "../../src/gateway/upstreams/http.ts";
import { UpstreamError } from "../../src/gateway/shared/upstream_error.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import type { ProtocolVersion } from "../../src/protocol/versions.ts";
import { McpError } from "../../src/protocol/errors.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { Session, textOf } from "./session.ts";

const VERSION = "io.modelcontextprotocol/protocolVersion";
const SUBSCRIPTION = "io.modelcontextprotocol/subscriptionId";

interface Got {
  readonly headers: Headers;
  readonly message: JsonObject;
  readonly signal: AbortSignal;
  readonly method: string;
}

/** A handler as a `fetch`, and what it got. */
function recording(handler: (request: Request) => Promise<Response>) {
  const got: Got[] = [];
  const fetch = async (url: string, init: RequestInit) => {
    const body = typeof init.body === "string" ? init.body : "{}";
    const signal = init.signal ?? new AbortController().signal;
    const { method = "GET" } = init;
    got.push({ headers: new Headers(init.headers), message: JSON.parse(body), signal, method });
    return await handler(new Request(url, init));
  };
  return { got, fetch };
}

function demo(): McpServer {
  const server = new McpServer({ name: "demo", version: "1.0.0" });
  const inputSchema = z.object({ region: z.string().meta({ "x-mcp-header": "Region" }) });
  server.registerTool("where", { inputSchema }, ({ region }) => region);
  server.registerTool("plain", {}, () => "fine");
  server.registerResource("thing", "test://thing", {}, () => "A thing");
  return server;
}

const OLDER: ProtocolVersion[] = ["2025-11-25", "2025-06-18", "2025-03-26"];
const url = "https://upstream.example/mcp";

test("[GTW-10] the newest version that both speak is agreed on, in either era", async () => {
  const all: ProtocolVersion[] = ["2026-07-28", ...OLDER, "2024-11-05"];
  const cases: [ProtocolVersion[], ProtocolVersion[], ProtocolVersion][] = [
    [all, all, "2026-07-28"],
    [all, OLDER, "2025-11-25"],
    [OLDER, all, "2025-11-25"],
    [["2026-07-28"], all, "2026-07-28"],
    [all, ["2026-07-28"], "2026-07-28"],
    [all, ["2025-06-18"], "2025-06-18"],
    [["2025-03-26"], all, "2025-03-26"],
  ];
  for (const [ours, theirs, agreed] of cases) {
    const handler = createMcpHandler(demo(), { versions: theirs });
    const session = await Session.open(
      http({ url, versions: ours, fetch: recording(handler).fetch }),
    );
    assert.equal(session.session.facts.protocolVersion, agreed);
    assert.equal(session.session.facts.serverInfo.name, "demo");
    assert.equal(textOf(await session.call("plain")), "fine");
    await session.session.close();
    await handler.close();
  }
});

test("[GTW-10] without a common version opening fails", async () => {
  const handler = createMcpHandler(demo(), { versions: ["2026-07-28"] });
  const { fetch } = recording(handler);
  for (const versions of [["2025-11-25"], ["2025-03-26"]] as ProtocolVersion[][]) {
    await assert.rejects(Session.open(http({ url, versions, fetch })), UpstreamError);
  }
  const older = createMcpHandler(demo(), { versions: OLDER });
  const newer = http({ url, versions: ["2026-07-28"], fetch: recording(older).fetch });
  await assert.rejects(Session.open(newer), UpstreamError);
  await handler.close();
  await older.close();
});

const LEGACY: readonly (readonly [string, () => Response])[] = [
  ["400 and text", () => new Response("Bad Request: no session", { status: 400 })],
  [
    "400 and an error",
    () =>
      Response.json({
        jsonrpc: "2.0",
        id: null,
        error: { code: -32000, message: "Not initialized" },
      }, {
        status: 400,
      }),
  ],
  ["404", () => new Response(null, { status: 404 })],
  ["405", () => new Response(null, { status: 405 })],
  ["406", () => new Response(null, { status: 406 })],
  [
    "200 and an error",
    () =>
      Response.json({
        jsonrpc: "2.0",
        id: 1,
        error: { code: -32601, message: "Method not found" },
      }),
  ],
];

for (const [how, refuse] of LEGACY) {
  test(`[GTW-10] an upstream that answers the newer era with ${how} is of the older`, async () => {
    const handler = createMcpHandler(demo(), { versions: OLDER });
    const { fetch } = recording(async (request) => {
      const { method } = JSON.parse(await request.clone().text() || "{}");
      return method === "server/discover" ? refuse() : await handler(request);
    });
    const session = await Session.open(http({ url, fetch }));
    assert.equal(session.session.facts.protocolVersion, "2025-11-25");
    await session.session.close();
    await handler.close();
  });
}

test("[GTW-10] silence about the newer era means the older, after a while", async () => {
  const handler = createMcpHandler(demo(), { versions: OLDER });
  const clock = new FakeClock();
  const { fetch, got } = recording(async (request) => {
    const { method } = JSON.parse(await request.clone().text() || "{}");
    if (method !== "server/discover") return await handler(request);
    return await new Promise<Response>((_, reject) => {
      request.signal.addEventListener("abort", () => reject(request.signal.reason));
    });
  });
  const opening = Session.open(http({ url, fetch, probeTimeoutMs: 3000 }), { clock });
  while (got.length === 0) await flush();
  await clock.advance(3000);
  const session = await opening;
  assert.equal(session.session.facts.protocolVersion, "2025-11-25");
  await session.session.close();
  await handler.close();
});

test("[GTW-10] requests of the newer era say everything, in the body and in headers", async () => {
  const handler = createMcpHandler(demo(), { versions: ["2026-07-28"] });
  const { fetch, got } = recording(handler);
  const session = await Session.open(http({ url, fetch, forwardHeaders: ["x-trace"] }));
  const logLevel = "io.modelcontextprotocol/logLevel";
  await session.call("plain", {}, { own: "kept", [logLevel]: "error" });
  const last = got.at(-1) ?? assert.fail();
  assert.equal(last.headers.get("mcp-protocol-version"), "2026-07-28");
  assert.equal(last.headers.get("mcp-method"), "tools/call");
  assert.equal(last.headers.get("mcp-name"), "plain");
  assert.equal(last.headers.get("mcp-session-id"), null);
  const { _meta } = last.message.params as { _meta: JsonObject };
  assert.equal(_meta.own, "kept");
  assert.equal(_meta[logLevel], "error");
  assert.equal(_meta[VERSION], "2026-07-28");
  assert.deepEqual(_meta["io.modelcontextprotocol/clientInfo"], {
    name: "gateway-test",
    version: "1.0.0",
  });
  await session.request("resources/read", { uri: "test://thing" });
  assert.equal(got.at(-1)?.headers.get("mcp-name"), "test://thing");
  assert.deepEqual(await session.request("ping"), {});
  await session.session.notify({ method: "notifications/roots/list_changed" });
  await session.session.close();
  assert.ok(got.every(({ method }) => method === "POST"));
  await handler.close();
});

test("[GTW-10] arguments that a tool wants in headers are repeated there, learned when need be", async () => {
  const handler = createMcpHandler(demo(), { versions: ["2026-07-28"] });
  const { fetch, got } = recording(handler);
  const session = await Session.open(http({ url, fetch }));
  // Nothing is known of the tool yet: the first try is refused, and made again with the header.
  assert.equal(textOf(await session.call("where", { region: "Zürich" })), "Zürich");
  const tries = got.filter(({ message }) => message.method === "tools/call");
  assert.deepEqual(tries.map(({ headers }) => headers.get("mcp-param-region")), [
    null,
    "=?base64?WsO8cmljaA==?=",
  ]);
  assert.equal(textOf(await session.call("where", { region: "us-west1" })), "us-west1");
  assert.equal(got.at(-1)?.headers.get("mcp-param-region"), "us-west1");
  await session.session.close();
  await handler.close();
});

test("[GTW-10] tools whose marks break the rules are left out of the list", async () => {
  const mark = (header: unknown) => ({
    inputSchema: { type: "object", properties: { a: { type: "string", "x-mcp-header": header } } },
  });
  const { fetch } = modern(({ message }) =>
    message.method === "tools/list"
      ? {
        tools: [{ name: "good", ...mark("A") }, { name: "bad", ...mark("a b") }, { name: "none" }],
      }
      : undefined
  );
  const session = await Session.open(http({ url, fetch, versions: ["2026-07-28"] }));
  const { tools } = await session.request("tools/list") as { tools: { name: string }[] };
  assert.deepEqual(tools.map(({ name }) => name), ["good", "none"]);
  await session.session.close();
});

/** A server of the newer era, with its subscriptions. */
function modern(answer: (got: Got) => JsonObject | undefined = () => undefined) {
  const encoder = new TextEncoder();
  const streams: { filter: JsonObject; id: unknown; say(message: object): void; end(): void }[] =
    [];
  const settings = { refuse: false };
  const recorded = recording(async () => {
    const got = recorded.got.at(-1) ?? assert.fail();
    const { id, method, params } = got.message as {
      id: number;
      method: string;
      params: JsonObject;
    };
    const own = answer(got);
    if (own !== undefined) return Response.json({ jsonrpc: "2.0", id, result: own });
    if (method === "server/discover") {
      const capabilities = { tools: { listChanged: true }, prompts: { listChanged: true } };
      const result = { supportedVersions: ["2026-07-28"], capabilities };
      return Response.json({ jsonrpc: "2.0", id, result });
    }
    if (method !== "subscriptions/listen" || settings.refuse) {
      const error = { code: -32601, message: "Method not found" };
      return Response.json({ jsonrpc: "2.0", id, error }, { status: 404 });
    }
    const { prompts: _, ...filter } = params.notifications as JsonObject;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        const say = (message: object) => {
          const text = JSON.stringify({ jsonrpc: "2.0", ...message });
          controller.enqueue(encoder.encode(`data: ${text}\n\n`));
        };
        streams.push({ filter, id, say, end: () => controller.close() });
        got.signal.addEventListener("abort", () => controller.error(got.signal.reason));
        const { promptsListChanged: _none, ...agreed } = filter;
        const _meta = { [SUBSCRIPTION]: id };
        say({
          method: "notifications/subscriptions/acknowledged",
          params: { _meta, notifications: agreed },
        });
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  });
  return { ...recorded, streams, settings };
}

test("[GTW-10] changes of lists are listened to, and promised only as far as agreed", async () => {
  const { fetch, streams } = modern();
  const session = await Session.open(http({ url, fetch }));
  const { capabilities } = session.session.facts;
  assert.deepEqual(capabilities, { tools: { listChanged: true }, prompts: {} });
  assert.deepEqual(streams[0]?.filter, { toolsListChanged: true, promptsListChanged: true });
  const _meta = { [SUBSCRIPTION]: streams[0]?.id };
  streams[0]?.say({ method: "notifications/tools/list_changed", params: { _meta, own: 1 } });
  await session.recorder.until(() => session.recorder.notifications.length === 1, "the message");
  assert.deepEqual(session.recorder.notifications, [
    { method: "notifications/tools/list_changed", params: { own: 1 } },
  ]);
  await session.session.close();
});

test("[GTW-10] subscriptions to resources are made by listening, one stream at a time", async () => {
  const { fetch, streams, got } = modern();
  const session = await Session.open(http({ url, fetch }));
  await Promise.all(["a:1", "a:2"].map((uri) => session.request("resources/subscribe", { uri })));
  const open = () =>
    got.filter(({ message, signal }) =>
      message.method === "subscriptions/listen" && !signal.aborted
    );
  assert.deepEqual(streams.at(-1)?.filter.resourceSubscriptions, ["a:1", "a:2"]);
  assert.equal(open().length, 1);
  await session.request("resources/subscribe", { uri: "a:1" });
  await session.request("resources/unsubscribe", { uri: "a:1" });
  assert.deepEqual(streams.at(-1)?.filter.resourceSubscriptions, ["a:2"]);
  const params = { uri: "a:2", _meta: { [SUBSCRIPTION]: streams.at(-1)?.id } };
  streams.at(-1)?.say({ method: "notifications/resources/updated", params });
  await session.recorder.until(() => session.recorder.notifications.length > 0, "the update");
  assert.deepEqual(session.recorder.notifications.at(-1)?.params, { uri: "a:2" });
  await session.session.close();
  assert.equal(open().length, 0);
});

test("[GTW-10] a subscription that ends is made anew, and what was missed is told", async () => {
  const clock = new FakeClock();
  const { fetch, streams } = modern();
  const session = await Session.open(http({ url, fetch }), { clock });
  streams[0]?.end();
  await flush();
  await clock.advance(1000);
  assert.equal(streams.length, 2);
  assert.deepEqual(session.recorder.notifications.map(({ method }) => method), [
    "notifications/tools/list_changed",
    "notifications/prompts/list_changed",
  ]);
  assert.deepEqual(session.recorder.ends, []);
  await session.session.close();
  assert.equal(clock.pending, 0);
});

test("[GTW-2] a subscription that can't be made anew ends the session, after some tries", async () => {
  const clock = new FakeClock();
  const { fetch, streams, settings, got } = modern();
  const session = await Session.open(http({ url, fetch }), { clock });
  settings.refuse = true;
  streams[0]?.end();
  await flush();
  const before = got.length;
  await clock.advance(200_000);
  assert.equal(session.recorder.ends.length, 1);
  assert.equal(got.length - before, 6);
  await session.session.close();
  assert.equal(clock.pending, 0);
});

test("[GTW-10] an upstream without subscriptions serves all the same", async () => {
  const { fetch, settings } = modern(({ message }) =>
    message.method === "tools/call" ? { content: [], resultType: "input_required" } : undefined
  );
  settings.refuse = true;
  const session = await Session.open(http({ url, fetch }));
  assert.deepEqual(session.session.facts.capabilities, { tools: {}, prompts: {} });
  await assert.rejects(session.request("resources/subscribe", { uri: "a:1" }), McpError);
  assert.equal((await session.call("a")).resultType, "input_required");
  await session.session.close();
});

test("[GTW-10] an aborted call of the newer era is cancelled by letting go of it", async () => {
  const { fetch, got } = recording(async (request) => {
    const { id, method } = await request.clone().json();
    if (method === "server/discover") {
      const result = { supportedVersions: ["2026-07-28"], capabilities: {} };
      return Response.json({ jsonrpc: "2.0", id, result });
    }
    return await new Promise<Response>((_, reject) => {
      request.signal.addEventListener("abort", () => reject(request.signal.reason));
    });
  });
  const session = await Session.open(http({ url, fetch }));
  const stop = new AbortController();
  const call = session.call("a", {}, undefined, { signal: stop.signal });
  await flush();
  stop.abort(new Error("Enough"));
  await assert.rejects(call, /Enough/);
  assert.ok(got.at(-1)?.signal.aborted);
  assert.ok(got.every(({ message }) => message.method !== "notifications/cancelled"));
  assert.deepEqual(session.recorder.ends, []);
  await session.session.close();
});
