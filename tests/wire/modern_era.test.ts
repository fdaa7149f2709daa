import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { MetaKey } from "../../src/protocol/envelope.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import type { ProtocolVersion } from "../../src/protocol/versions.ts";
import { completable } from "../../src/server/schemas/completable.ts";
import { McpServer, type McpServerOptions } from "../../src/server/server.ts";
import { CAPABLE, envelope, headersFor, MODERN, ModernPeer } from "../support/modern.ts";
import { accepted, BOTH, initialize, Peer, refused, Stub, text, textOf } from "../support/wire.ts";

const ALL = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
const INFO = { name: "both", version: "1.2.3", title: "Both eras" };
const POEM = { type: "ref/prompt", name: "poem" };

/** Everything that both eras have, defined once. */
function makeServer(options?: McpServerOptions): McpServer {
  const server = new McpServer(INFO, { instructions: "Use it well", ...options });
  server.registerTool("add", {
    inputSchema: z.object({ a: z.number(), b: z.number() }),
    outputSchema: z.object({ sum: z.number() }),
  }, ({ a, b }) => ({ structuredContent: { sum: a + b } }));
  server.registerTool("whoami", {}, (_args, ctx) =>
    JSON.stringify({
      version: ctx.protocolVersion,
      session: ctx.session !== undefined,
      client: ctx.client.info?.name,
      roots: ctx.client.capabilities.roots !== undefined,
    }));
  server.registerTool("fail", {}, () => {
    throw new Error("A secret");
  });
  server.registerResource("readme", "test://readme", {}, () => "Read me");
  server.registerResource("note", "test://notes/{id}", {}, (_uri, { id }) => `Note ${id}`);
  server.registerPrompt("poem", {
    argsSchema: z.object({ mood: completable(z.string(), () => ["merry", "sad"]) }),
  }, ({ mood }) => `A ${mood} poem`);
  return server;
}

/** Everything that can be asked of it, with its parameters. */
const REQUESTS: Readonly<Record<string, JsonObject>> = {
  "tools/list": {},
  "tools/call": { name: "add", arguments: { a: 1, b: 2 } },
  "resources/list": {},
  "resources/templates/list": {},
  "resources/read": { uri: "test://notes/7" },
  "prompts/list": {},
  "prompts/get": { name: "poem", arguments: { mood: "sad" } },
  "completion/complete": { ref: POEM, argument: { name: "mood", value: "" } },
};

const CACHEABLE = [
  "server/discover",
  "tools/list",
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "prompts/list",
];

function world(options?: McpHandlerOptions, server: McpServer = makeServer()) {
  const handler = createMcpHandler(server, options);
  return { server, handler, modern: new ModernPeer(handler) };
}

function parsed(result: JsonObject): unknown {
  return JSON.parse(String(textOf(result)));
}

describe("ERA: both on one endpoint", () => {
  test("[ERA-1] one handler and one definition serve a client of each era, turn by turn", async () => {
    const { handler, modern } = world();
    const old = await initialize(handler, { capabilities: { roots: {} } });
    for (let turn = 0; turn < 3; turn++) {
      const theirs = parsed(await old.result(await old.call(turn, "whoami")));
      assert.deepEqual(theirs, {
        version: "2025-11-25",
        session: true,
        client: "wire-test",
        roots: true,
      });
      assert.deepEqual(parsed(await modern.say("whoami")), {
        version: MODERN,
        session: false,
        client: "modern-test",
        roots: false,
      });
    }
    assert.equal(handler.stats().sessions, 1);
    await handler.close();
  });

  for (const [method, params] of Object.entries(REQUESTS)) {
    test(`[ERA-1] [ERA-2] ${method} has the same result in both, but for what the newer adds`, async () => {
      const { handler, modern } = world();
      const old = await initialize(handler);
      const before = await old.result(await old.request(1, method, params));
      const { resultType, _meta, ttlMs, cacheScope, ...same } = await modern.ask(method, params);
      assert.deepEqual(same, before);
      assert.equal(resultType, "complete");
      assert.deepEqual(_meta, { [MetaKey.ServerInfo]: INFO });
      const hints = CACHEABLE.includes(method) ? [0, "private"] : [undefined, undefined];
      assert.deepEqual([ttlMs, cacheScope], hints);
      for (const key of ["resultType", "ttlMs", "cacheScope", "_meta"]) {
        assert.equal(Object.hasOwn(before, key), false, `${key} is of the newer era`);
      }
      await handler.close();
    });
  }

  test("[ERA-1] nothing is remembered from one request to the next", async () => {
    const { handler, modern } = world();
    assert.deepEqual(parsed(await modern.with({ capabilities: CAPABLE }).say("whoami")), {
      version: MODERN,
      session: false,
      client: "modern-test",
      roots: true,
    });
    const bare = modern.message("tools/call", { name: "whoami" });
    const _meta = { ...envelope(), [MetaKey.ClientInfo]: undefined };
    const response = await modern.post({ ...bare, params: { name: "whoami", _meta } });
    assert.deepEqual(parsed(await modern.result(response)), {
      version: MODERN,
      session: false,
      roots: false,
    });
    assert.deepEqual(handler.stats(), {
      sessions: 0,
      streams: 0,
      requests: 0,
      questions: 0,
      listens: 0,
    });
    await handler.close();
  });

  test("[ERA-1] requests of both eras under one id, at the same time, don't mix", async () => {
    const { handler, modern } = world();
    const old = await initialize(handler);
    const message = modern.message("tools/call", { name: "add", arguments: { a: 1, b: 1 } }, 7);
    const [theirs, ours] = await Promise.all([
      old.call(7, "add", { a: 2, b: 2 }),
      modern.post(message),
    ]);
    assert.deepEqual((await old.result(theirs)).structuredContent, { sum: 4 });
    assert.deepEqual((await modern.result(ours)).structuredContent, { sum: 2 });
    await handler.close();
  });

  test("[ERA-1] without sessions, both eras are served side by side all the same", async () => {
    const { handler, modern } = world({ sessions: false });
    const old = new Peer(handler);
    const version = { "mcp-protocol-version": "2025-11-25" };
    const result = await old.result(await old.call(1, "add", { a: 1, b: 2 }, version));
    assert.deepEqual(result.structuredContent, { sum: 3 });
    // Without a header the version is 2025-03-26, which has no structured content
    const assumed = await old.result(await old.call(2, "add", { a: 1, b: 2 }));
    assert.deepEqual(assumed, { content: [{ type: "text", text: '{"sum":3}' }] });
    assert.deepEqual((await modern.say("add", { a: 1, b: 2 })).structuredContent, { sum: 3 });
    await handler.close();
  });
});

describe("ERA: what is of which", () => {
  test("[ERA-1] a handshake shakes hands, whatever version its header or its body names", async () => {
    const { handler } = world();
    for (const protocolVersion of [MODERN, "2025-11-25"]) {
      for (const header of [undefined, MODERN, "2025-11-25"]) {
        const peer = new Peer(handler, { version: protocolVersion });
        const response = await peer.post(peer.initializeRequest(), {
          "mcp-protocol-version": header,
        });
        assert.ok(response.headers.get("mcp-session-id"));
        peer.version = "2025-11-25";
        assert.equal((await peer.result(response)).protocolVersion, "2025-11-25");
      }
    }
    await handler.close();
  });

  test("[ERA-1] [ERA-6] with the envelope there is no handshake", async () => {
    const { handler, modern } = world();
    const { params } = new Peer(handler).initializeRequest();
    const response = await modern.request("initialize", params as JsonObject);
    await refused(response, 404, -32601, 1);
    assert.equal(handler.stats().sessions, 0);
    await handler.close();
  });

  const parts = {
    "an envelope": { params: {} },
    "parameters": { params: undefined },
    "an envelope that is an object": { params: { _meta: "2026-07-28" } },
    "a version": { params: { _meta: envelope({}, { [MetaKey.ProtocolVersion]: undefined }) } },
    "a version that is a text": {
      params: { _meta: envelope({}, { [MetaKey.ProtocolVersion]: 1 }) },
    },
    "capabilities": {
      params: { _meta: envelope({}, { [MetaKey.ClientCapabilities]: undefined }) },
    },
    "capabilities that are an object": {
      params: { _meta: envelope({}, { [MetaKey.ClientCapabilities]: [] }) },
    },
    "a whole client": { params: { _meta: envelope({}, { [MetaKey.ClientInfo]: { name: "x" } }) } },
    "a level that exists": { params: { _meta: envelope({}, { [MetaKey.LogLevel]: "loud" }) } },
  };
  for (const [what, part] of Object.entries(parts)) {
    test(`[ERA-1] the newer version's header without ${what} → 400 / -32602`, async () => {
      const stub = new Stub();
      const handler = createMcpHandler(stub);
      const response = await new ModernPeer(handler).post({
        jsonrpc: "2.0",
        id: "m",
        method: "tools/list",
        ...part,
      });
      const { message } = await refused(response, 400, -32602, "m");
      assert.match(message, /_meta/);
      assert.equal(stub.exchanges.length, 0);
      await handler.close();
    });
  }

  test("[STR-16] [ERA-1] a client's description has at most 16 KiB, as in a handshake", async () => {
    const handler = createMcpHandler(makeServer());
    const peer = new ModernPeer(handler);
    const described = (pad: string) => {
      const meta = { [MetaKey.ClientInfo]: { name: "long", version: "1", title: pad } };
      return peer.message("tools/list", { _meta: meta }, 5);
    };
    const client = { info: { name: "long", version: "1", title: "" }, capabilities: {} };
    const room = 16 * 1024 - JSON.stringify(client).length;
    assert.equal((await peer.post(described("x".repeat(room)))).status, 200);
    for (const pad of ["x".repeat(room + 1), "é".repeat(room / 2 + 1), "x".repeat(1_000_000)]) {
      const response = await peer.post(described(pad));
      await refused(response, 400, -32602, 5);
    }
    await handler.close();
  });

  test("[ERA-1] a notification with the envelope or the header is accepted and means nothing", async () => {
    const stub = new Stub();
    const handler = createMcpHandler(stub);
    const peer = new ModernPeer(handler);
    for (const params of [undefined, {}, { _meta: envelope() }]) {
      for (const header of [MODERN, undefined]) {
        if (header === undefined && params?._meta === undefined) continue;
        const message = { jsonrpc: "2.0", method: "notifications/cancelled", params };
        const headers = { "mcp-protocol-version": header, "mcp-method": undefined };
        await accepted(await peer.post(message, { headers }));
      }
    }
    assert.deepEqual(stub.notifications, []);
    await handler.close();
  });
});

describe("ERA: versions narrows what is served", () => {
  const newest: readonly ProtocolVersion[] = ["2026-07-28"];
  const older: readonly ProtocolVersion[] = ["2025-06-18", "2025-03-26"];

  test("[ERA-1] [ERA-2] discover tells what is served, newest first", async () => {
    const cases: [readonly ProtocolVersion[] | undefined, readonly string[]][] = [
      [undefined, ALL],
      [newest, newest],
      [["2025-06-18", "2026-07-28"], ["2026-07-28", "2025-06-18"]],
    ];
    for (const [versions, supportedVersions] of cases) {
      const { handler, modern } = world({ versions });
      const result = await modern.ask("server/discover");
      assert.deepEqual(result.supportedVersions, supportedVersions);
      await handler.close();
    }
  });

  test("[ERA-1] with one version of each era, both are served", async () => {
    const { handler, modern } = world({ versions: ["2026-07-28", "2025-06-18"] });
    const old = await initialize(handler, { version: "2025-11-25" });
    assert.equal(old.version, "2025-06-18");
    assert.equal(parsed(await old.result(await old.call(1, "whoami"))) !== undefined, true);
    assert.deepEqual((await modern.say("add", { a: 1, b: 2 })).structuredContent, { sum: 3 });
    await handler.close();
  });

  test("[ERA-1] the newer era alone: a handshake is told what is spoken instead", async () => {
    const { handler, modern } = world({ versions: newest });
    const old = new Peer(handler);
    const { message, data } = await refused(
      await old.post(old.initializeRequest("i")),
      400,
      -32022,
      "i",
    );
    assert.match(message, /2026-07-28/);
    assert.deepEqual(data, { supported: newest, requested: "2025-11-25" });
    assert.deepEqual((await modern.say("add", { a: 1, b: 2 })).structuredContent, { sum: 3 });
    await handler.close();
  });

  test("[ERA-1] the newer era alone: GET and DELETE → 405, since there is nothing to get", async () => {
    const { handler } = world({ versions: newest });
    const peer = new Peer(handler);
    peer.sessionId = "A".repeat(43);
    for (const response of [await peer.get(), await peer.delete()]) {
      assert.equal(response.headers.get("allow"), "POST");
      await refused(response, 405, -32000);
    }
    await handler.close();
  });

  test("[ERA-1] the newer era alone: what has no envelope is malformed", async () => {
    const { handler } = world({ versions: newest });
    const peer = new Peer(handler);
    for (const header of [undefined, "2025-11-25"]) {
      const response = await peer.request(1, "tools/list", {}, { "mcp-protocol-version": header });
      await refused(response, 400, -32602, 1);
    }
    await handler.close();
  });

  test("[ERA-1] the older era alone: the newer one's header is as wrong as any other", async () => {
    const { handler } = world({ versions: older });
    const peer = await initialize(handler, { version: "2025-06-18" });
    const headers = { "mcp-protocol-version": MODERN };
    const { data } = await refused(await peer.request(1, "ping", {}, headers), 400, -32000, 1);
    assert.deepEqual(data, { supported: older });
    const notified = await peer.post({ jsonrpc: "2.0", method: "notifications/x" }, headers);
    await refused(notified, 400, -32000);
    await peer.result(await peer.request(2, "ping"));
    await handler.close();
  });

  test("[ERA-1] the older era alone: the newer one's envelope is refused with the list", async () => {
    const { handler, modern } = world({ versions: older });
    const response = await modern.request("server/discover");
    const { data } = await refused(response, 400, -32022, 1);
    assert.deepEqual(data, { supported: older, requested: MODERN });
    const params = { _meta: envelope() };
    const notified = await modern.post({ jsonrpc: "2.0", method: "notifications/x", params });
    await refused(notified, 400, -32022);
    await handler.close();
  });
});

describe("ERA: discover", () => {
  test("[ERA-2] it introduces the server: what it can do, and how it is to be used", async () => {
    const { handler, modern } = world();
    assert.deepEqual(await modern.ask("server/discover"), {
      resultType: "complete",
      supportedVersions: ALL,
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        completions: {},
        logging: {},
      },
      instructions: "Use it well",
      ttlMs: 0,
      cacheScope: "private",
      _meta: { [MetaKey.ServerInfo]: INFO },
    });
    await handler.close();
  });

  test("[ERA-2] it promises nothing that isn't there", async () => {
    const server = new McpServer(INFO, { logging: false });
    const { handler, modern } = world({}, server);
    const before = await modern.ask("server/discover");
    assert.deepEqual(before.capabilities, {});
    assert.equal(Object.hasOwn(before, "instructions"), false);
    server.registerTool("late", {}, () => "");
    const after = await modern.ask("server/discover");
    assert.deepEqual(after.capabilities, { tools: { listChanged: true } });
    await handler.close();
  });

  test("[ERA-2] to the older era it is as unknown as any other method", async () => {
    const { handler } = world();
    const old = await initialize(handler);
    const { error } = await old.json(await old.request(1, "server/discover"));
    assert.equal((error as JsonObject).code, -32601);
    await handler.close();
  });
});

describe("ERA: how long results may be kept", () => {
  const cache = { ttlMs: 60_000, cacheScope: "public" } as const;

  test("[ERA-2] the server's option is for everything that may be kept", async () => {
    const { handler, modern } = world({}, makeServer({ cache }));
    for (const method of CACHEABLE) {
      const { ttlMs, cacheScope } = await modern.ask(method, REQUESTS[method]);
      assert.deepEqual({ ttlMs, cacheScope }, cache, method);
    }
    await handler.close();
  });

  test("[ERA-2] every page of a list says so, and the same scope", async () => {
    const { handler, modern } = world({ limits: { page: 1 } }, makeServer({ cache }));
    let cursor: unknown;
    let pages = 0;
    do {
      const result = await modern.ask("tools/list", cursor === undefined ? {} : { cursor });
      assert.deepEqual([result.ttlMs, result.cacheScope], [60_000, "public"]);
      cursor = result.nextCursor;
      pages++;
    } while (cursor !== undefined);
    assert.equal(pages, 3);
    await handler.close();
  });

  test("[ERA-2] a resource's option is for its own contents", async () => {
    const server = makeServer({ cache });
    const own = { ttlMs: 5, cacheScope: "private" } as const;
    server.registerResource("diary", "test://diary", { cache: own }, () => "Dear diary");
    server.registerResource("pages", "test://pages/{n}", { cache: own }, () => "A page");
    const { handler, modern } = world({}, server);
    for (const uri of ["test://diary", "test://pages/1"]) {
      const { ttlMs, cacheScope } = await modern.ask("resources/read", { uri });
      assert.deepEqual({ ttlMs, cacheScope }, own);
    }
    const { ttlMs } = await modern.ask("resources/read", { uri: "test://readme" });
    assert.equal(ttlMs, 60_000);
    await handler.close();
  });

  test("[ERA-2] [ASK-5] a result that the client had to be asked for is kept by nobody", async () => {
    const server = makeServer({ cache });
    server.registerResource("roots", "test://roots", { cache }, async (_uri, ctx) => {
      return JSON.stringify(await ctx.roots());
    });
    const { handler, modern } = world({}, server);
    const peer = modern.with({ capabilities: CAPABLE });
    const uri = "test://roots";
    const asked = await peer.ask("resources/read", { uri });
    assert.equal(asked.resultType, "input_required");
    assert.deepEqual([asked.ttlMs, asked.cacheScope], [undefined, undefined]);
    const inputResponses = { roots: { roots: [] } };
    for (const requestState of [asked.requestState, undefined]) {
      const read = await peer.ask("resources/read", { uri, inputResponses, requestState });
      assert.deepEqual([read.resultType, read.ttlMs, read.cacheScope], ["complete", 0, "private"]);
    }
    await handler.close();
  });
});

describe("ERA: results that went wrong are results too", () => {
  test("[ERA-2] a tool that fails", async () => {
    const { handler, modern } = world();
    const result = await modern.say("fail");
    assert.equal(result.isError, true);
    assert.doesNotMatch(JSON.stringify(result), /secret/);
    assert.deepEqual(result._meta, { [MetaKey.ServerInfo]: INFO });
    await handler.close();
  });

  test("[ERA-2] a result that is too large", async () => {
    const server = makeServer();
    server.registerTool("much", {}, () => "x".repeat(2_000));
    const { handler, modern } = world({ limits: { resultBytes: 1_000 } }, server);
    const result = await modern.say("much");
    assert.equal(result.isError, true);
    assert.match(String(textOf(result)), /larger than 1000 bytes/);
    assert.deepEqual(result._meta, { [MetaKey.ServerInfo]: INFO });
    await handler.close();
  });

  test("[ERA-2] a dispatcher that says nothing of itself still has valid results", async () => {
    const stub = new Stub({ much: () => text("x".repeat(2_000)) });
    const handler = createMcpHandler(stub, { limits: { resultBytes: 1_000 } });
    const result = await new ModernPeer(handler).say("much");
    assert.deepEqual(result._meta, {});
    await handler.close();
  });

  test("[ERA-2] a client that takes nothing but a stream gets it in one", async () => {
    const { handler, modern } = world();
    const peer = modern.with({ accept: "text/event-stream" });
    const response = await peer.call("add", { a: 1, b: 2 });
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    assert.equal(response.headers.get("cache-control"), "no-cache, no-transform");
    assert.equal(response.headers.get("x-accel-buffering"), "no");
    assert.deepEqual((await peer.result(response)).structuredContent, { sum: 3 });
    assert.equal(handler.stats().streams, 0);
    await handler.close();
  });

  test("[ERA-2] a client that takes nothing but JSON gets that, without what would have streamed", async () => {
    const server = makeServer();
    server.registerTool("talk", {}, async (_args, ctx) => {
      ctx.progress(1, 2);
      ctx.log("info", "Talking");
      await Promise.resolve();
      return "Talked";
    });
    const { handler } = world({}, server);
    const _meta = { progressToken: 1 };
    const peer = new ModernPeer(handler, { accept: "application/json", logLevel: "debug" });
    const json = await peer.call("talk", {}, { _meta });
    assert.equal(json.headers.get("content-type"), "application/json");
    assert.equal(textOf(await peer.result(json)), "Talked");
    const both = await peer.with({ accept: BOTH }).call("talk", {}, { _meta });
    const methods = (await peer.frames(both).messages()).map(({ method }) => method);
    assert.deepEqual(methods, ["notifications/progress", "notifications/message", undefined]);
    await handler.close();
  });
});

test("[ERA-1] the headers that belong to a request are those of its own body", () => {
  // What the other tests build on.
  assert.deepEqual(headersFor("resources/read", { uri: "test://ü" }), {
    "mcp-protocol-version": MODERN,
    "mcp-method": "resources/read",
    "mcp-name": "=?base64?dGVzdDovL8O8?=",
  });
  assert.equal(headersFor("tools/list", { name: "x" })["mcp-name"], undefined);
});
