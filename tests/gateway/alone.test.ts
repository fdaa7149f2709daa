/**
 * A server that is served alone, as official clients see it: the same script runs against it behind the
 * transport of its own SDK and behind the gateway, and the clients must see the same.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client";
// @ts-types="@modelcontextprotocol/sdk/client/streamableHttp"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";
import { createMcpHandler, type McpEvent } from "../../mod.ts";
import { gateway, sdk, stdio } from "../../src/gateway/mod.ts";
import { isObject } from "../../src/protocol/jsonrpc.ts";
import { soon } from "../support/wire.ts";
import { aloneServer } from "./alone_server.ts";
import { runs } from "./children.ts";
import { type Handler, sdkHandler } from "./servers.ts";

const Any = z.looseObject({});
const CHILD = fileURLToPath(new URL("./fixtures/alone_child.ts", import.meta.url));

/** An official client, and every message that it has received. */
interface Seen {
  readonly client: Client;
  readonly transport: StreamableHTTPClientTransport;
  readonly received: JSONRPCMessage[];
  /** Waits until so many notifications of a method have come. */
  until(method: string, count: number): Promise<void>;
}

async function connected(handler: Handler, version?: string): Promise<Seen> {
  const client = new Client({ name: "script", version: "4.5.6", title: "Script" }, {
    capabilities: {
      roots: { listChanged: true },
      experimental: { "acme/client": { a: 1 } },
      extensions: { "com.example/ui": { mimeTypes: ["text/html"] } },
    },
  });
  const received: JSONRPCMessage[] = [];
  const waiting = new Set<() => void>();
  const fetch = async (url: string | URL, init?: RequestInit) =>
    await handler(new Request(url, withVersion(init, version)));
  const transport = new StreamableHTTPClientTransport(new URL("http://localhost/mcp"), { fetch });
  client.fallbackRequestHandler = async ({ method, params }) => {
    if (method !== "acme/lookup") throw Object.assign(new Error("Unknown"), { code: -32601 });
    const progressToken = isObject(params) && isObject(params._meta) && params._meta.progressToken;
    if (typeof progressToken === "number" || typeof progressToken === "string") {
      const progress = { progressToken, progress: 1, total: 2 };
      await client.notification({ method: "notifications/progress", params: progress });
      // The progress arrives before the answer.
      await client.ping();
    }
    return { value: "dark", key: isObject(params) ? params.key : undefined };
  };
  client.fallbackNotificationHandler = async () => {};
  await client.connect(transport);
  const { onmessage } = transport;
  transport.onmessage = (message) => {
    received.push(message);
    onmessage?.(message);
    for (const check of waiting) check();
  };
  const until = (method: string, count: number) =>
    soon(
      new Promise<void>((resolve) => {
        const check = () => {
          const found = received.filter((each) => "method" in each && each.method === method);
          if (found.length < count) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),
      method,
    );
  return { client, transport, received, until };
}

/** Makes the client ask for an older version. */
function withVersion(init: RequestInit | undefined, version: string | undefined) {
  if (version === undefined || typeof init?.body !== "string") return init;
  const message = JSON.parse(init.body);
  if (message.method !== "initialize") return init;
  message.params.protocolVersion = version;
  return { ...init, body: JSON.stringify(message) };
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  const error = await promise.then(() => assert.fail("It didn't fail"), (error) => error);
  return { code: error.code, message: error.message, data: error.data };
}

/** What a client does with the server, and what it sees of it. */
async function script(seen: Seen): Promise<Record<string, unknown>> {
  const { client, received, until } = seen;
  const ask = (method: string, params?: Record<string, unknown>) =>
    soon(client.request({ method, ...params && { params } }, Any), method);
  const call = (name: string, _meta?: Record<string, unknown>) =>
    ask("tools/call", { name, arguments: {}, ..._meta && { _meta } });
  const answers: Record<string, unknown> = {
    info: client.getServerVersion(),
    capabilities: client.getServerCapabilities(),
    instructions: client.getInstructions(),
    own: await ask("acme/search", { query: "x", _meta: { "acme/trace": "t1" } }),
    invalid: await failure(ask("acme/search", { query: 1 })),
    unknown: await failure(ask("acme/none")),
    client: await ask("acme/client"),
    pages: [await ask("tools/list"), await ask("tools/list", { cursor: "page two" })],
    ping: await ask("ping"),
    meta: await call("plain", { "acme/trace": ["t2"] }),
    failed: await failure(call("fail")),
    invalidCall: await failure(ask("tools/call", { arguments: {} })),
    asked: await call("ask"),
    unlabelled: await call("notify"),
  };
  await ask("logging/setLevel", { level: "error" });
  answers.labelled = await call("notify");
  await until("acme/tick", 4);
  answers.subscribed = await ask("resources/subscribe", { uri: "test://thing" });
  await until("notifications/resources/updated", 1);
  await client.sendRootsListChanged();
  await client.notification({ method: "acme/beat", params: { n: 1 } });
  await client.notification({ method: "acme/beat", params: { n: 2 } });
  answers.heard = await ask("acme/heard");
  // Tokens and ids are each side's own.
  answers.notifications = received.flatMap((message) =>
    "method" in message && !("id" in message)
      ? [{ method: message.method, params: message.params }]
      : []
  );
  return JSON.parse(JSON.stringify(answers));
}

/** The ways in which the server is served. */
async function direct(use: (handler: Handler) => Promise<unknown>): Promise<void> {
  await use(sdkHandler(aloneServer));
}

async function dispatched(use: (handler: Handler) => Promise<unknown>): Promise<void> {
  const handler = createMcpHandler(sdk(aloneServer));
  await use(handler);
  await handler.close();
}

async function only(use: (handler: Handler) => Promise<unknown>): Promise<void> {
  const gw = gateway({ upstreams: { x: sdk(aloneServer), y: sdk(aloneServer) } });
  const handler = createMcpHandler(gw.only("x"));
  await use(handler);
  await handler.close();
  assert.equal(gw.stats().sessions, 0);
  await gw.close();
}

async function program(use: (handler: Handler) => Promise<unknown>): Promise<void> {
  const gw = gateway({ upstreams: { x: stdio(runs(CHILD)) } });
  const handler = createMcpHandler(gw.only("x"));
  await use(handler);
  await handler.close();
  await gw.close();
}

async function scriptThrough(way: typeof direct): Promise<Record<string, unknown>> {
  let saw: Record<string, unknown> = {};
  await way(async (handler) => {
    const seen = await connected(handler);
    saw = await script(seen);
    await seen.transport.terminateSession();
    await seen.client.close();
  });
  return saw;
}

describe("a server that is served alone", () => {
  let expected: Promise<Record<string, unknown>> | undefined;
  const directly = () => expected ??= scriptThrough(direct);

  test("[GTW-12] the script sees what it is to see", async () => {
    const { info, heard, asked, notifications } = await directly();
    assert.ok(isObject(info) && info.name === "alone");
    assert.ok(isObject(heard) && JSON.stringify(heard).includes("acme/beat"));
    assert.match(JSON.stringify(asked), /dark.*total/);
    const texts = JSON.stringify(notifications);
    assert.equal(texts.match(/no label/g)?.length, 2);
    assert.ok(!texts.includes('"logger"'), texts);
  });

  for (
    const [name, way] of [["a dispatcher", dispatched], ["only() of a gateway", only]] as const
  ) {
    test(`[GTW-12] as ${name} it is seen as behind its own transport`, async () => {
      assert.deepEqual(await scriptThrough(way), await directly());
    });
  }

  test("[GTW-12] a program is seen as the server that it is", async () => {
    const { client: sees, ...saw } = await scriptThrough(program);
    const { client, ...own } = await directly();
    assert.deepEqual(saw, own);
    // Over stdio there are no sessions.
    assert.ok(isObject(client));
    assert.deepEqual(sees, { ...client, hasSession: false });
  });

  for (const version of ["2025-06-18", "2025-03-26"]) {
    test(`[GTW-12] it speaks ${version} with a client of that version`, async () => {
      const asked: unknown[] = [];
      const hosted = sdk(() => {
        const server = aloneServer();
        const { connect } = server;
        server.connect = async (transport) => {
          await connect.call(server, transport);
          const { onmessage } = transport;
          transport.onmessage = (message, extra) => {
            if ("method" in message && message.method === "initialize") asked.push(message.params);
            onmessage?.(message, extra);
          };
        };
        return server;
      });
      const handler = createMcpHandler(hosted);
      const { client } = await connected(handler, version);
      const [init] = asked;
      assert.ok(isObject(init));
      assert.equal(init.protocolVersion, version);
      assert.deepEqual(init.clientInfo, { name: "script", version: "4.5.6", title: "Script" });
      await client.close();
      await handler.close();
    });
  }

  test("[GTW-12] the client gets the version that the server has chosen", async () => {
    const hosted = sdk(() => ({
      connect: async (transport: Bare) => {
        transport.onmessage = ({ id, method }) => {
          if (id === undefined) return;
          const result = method === "initialize"
            ? {
              protocolVersion: "2025-06-18",
              capabilities: {},
              serverInfo: { name: "older", version: "1" },
            }
            : {};
          void transport.send({ jsonrpc: "2.0", id, result });
        };
      },
    }));
    const handler = createMcpHandler(hosted);
    const sent: string[] = [];
    const seen = await connected((request) => {
      sent.push(request.headers.get("mcp-protocol-version") ?? "none");
      return handler(request);
    });
    await seen.client.ping();
    assert.equal(sent.at(-1), "2025-06-18");
    await seen.client.close();
    await handler.close();
  });

  test("[GTW-12] its handlers get the session's id, and close the stream for the client to resume", async () => {
    const events: McpEvent[] = [];
    const handler = createMcpHandler(sdk(aloneServer), {
      onEvent: (event) => void events.push(event),
      streams: { retryMs: 1 },
    });
    const { client, transport } = await connected(handler);
    const call = (name: string) => soon(client.callTool({ name, arguments: {} }), name);
    const { content } = await call("session");
    assert.match(JSON.stringify(content), new RegExp(String(transport.sessionId)));
    assert.match(JSON.stringify(content), /close\\":true/);
    assert.match(JSON.stringify((await call("close")).content), /close/);
    assert.ok(
      events.some((event) => event.type === "stream-closed" && event.reason === "released"),
      "the connection was closed",
    );
    await client.close();
    await handler.close();
  });

  test("[GTW-12] its handlers close the server's stream, which the client resumes", async () => {
    const events: McpEvent[] = [];
    const handler = createMcpHandler(sdk(aloneServer), {
      onEvent: (event) => void events.push(event),
      streams: { retryMs: 1 },
    });
    const resumedAfter: (string | null)[] = [];
    const { client, until } = await connected((request) => {
      if (request.method === "GET") resumedAfter.push(request.headers.get("last-event-id"));
      return handler(request);
    });
    const call = (name: string) => soon(client.callTool({ name, arguments: {} }), name);
    const streams = (type: McpEvent["type"]) => events.filter((event) => event.type === type);
    while (streams("stream-opened").length === 0) await call("plain");
    await call("close server stream");
    const [closed] = streams("stream-closed");
    assert.ok(closed?.type === "stream-closed" && closed.reason === "released");
    // What is sent meanwhile is not lost.
    await call("later");
    await until("acme/later", 1);
    while (resumedAfter.length < 2) await call("plain");
    assert.match(String(resumedAfter[1]), /^s\.\d+$/);
    await client.close();
    await handler.close();
  });

  test("[GTW-12] log messages below the level aren't passed on, even if the server sends them", async () => {
    const handler = createMcpHandler(sdk(aloneServer));
    const seen = await connected(handler);
    const logs = () =>
      seen.received.filter((each) => JSON.stringify(each).includes("too low")).length;
    await seen.client.callTool({ name: "low", arguments: {} });
    assert.equal(logs(), 1, "without a level");
    await seen.client.setLoggingLevel("error");
    await seen.client.callTool({ name: "low", arguments: {} });
    assert.equal(logs(), 1);
    await seen.client.close();
    await handler.close();
  });

  test("[GTW-12] what is hidden looks like what it doesn't have", async () => {
    const handler = createMcpHandler(sdk(aloneServer), {
      authorize: (_principal, { method }) => method !== "acme/search" && method !== "acme/beat",
    });
    const { client } = await connected(handler);
    const ask = (method: string) =>
      failure(client.request({ method, params: { query: "x" } }, Any));
    const text = JSON.stringify(await ask("acme/search"));
    assert.equal(
      text.replaceAll("acme/search", "acme/xxxxxx"),
      JSON.stringify(await ask("acme/xxxxxx")),
    );
    await client.notification({ method: "acme/beat", params: { n: 1 } });
    await client.notification({ method: "acme/other", params: { n: 1 } });
    const { heard } = await client.request({ method: "acme/heard" }, Any);
    assert.deepEqual(heard, [{ method: "acme/other", params: { n: 1 } }]);
    await client.close();
    await handler.close();
  });
});

/** The part of a transport that a bare server uses. */
interface Bare {
  onmessage?: (message: { id?: number; method: string }) => void;
  send(message: unknown): Promise<void>;
}
