import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SdkError } from "@modelcontextprotocol/client";
import { createMcpHandler, type McpHandlerOptions, McpServer } from "../../../mod.ts";
import {
  connect,
  type ConnectOptions,
  McpError,
  RefusedError,
  type TestClient,
} from "../../../src/testing/mod.ts";
import { Blocker, byToken, soon, Stub, textOf } from "../../support/wire.ts";

const protocolVersion = "2026-07-28";
const LEVELS = ["info", "warning"] as const;
const FORM = {
  message: "Who?",
  schema: { type: "object", properties: { name: { type: "string" } } },
} as const;

function demo(): McpServer {
  const server = new McpServer({ name: "demo", version: "1.0.0" }, { instructions: "Use it well" });
  server.registerTool("count", { description: "Counts." }, (_args, ctx) => {
    for (let n = 1; n <= 3; n++) ctx.progress(n, 3);
    return "done";
  });
  server.registerTool("log", { description: "Logs." }, (_args, ctx) => {
    for (const level of LEVELS) ctx.log(level, level);
    return "logged";
  });
  server.registerTool("ask", { description: "Asks three things." }, async (_args, ctx) => {
    const { content } = await ctx.elicit("name", FORM);
    ctx.progress(1, 2);
    const sampled = await ctx.sample("text", { messages: [], maxTokens: 1 });
    const roots = await ctx.roots();
    return JSON.stringify([content, sampled.model, roots]);
  });
  server.registerTool("wait", { description: "Waits." }, (_args, { signal }) => {
    return new Promise<string>((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  });
  server.registerTool("where", {
    description: "Repeats its region.",
    inputSchema: {
      type: "object",
      properties: { region: { type: "string", "x-mcp-header": "Region" } },
      required: ["region"],
    },
  }, (_args, ctx) => ctx.request.headers.get("mcp-param-region") ?? "");
  server.registerResource("thing", "demo://thing", {}, () => "A thing");
  server.registerPrompt("translate", {
    argsSchema: { type: "object", properties: { text: { type: "string" } } },
  }, ({ text }) => `Translate: ${text}`);
  return server;
}

/** Connects to a demo server, does something, and checks that nothing is left. */
async function connected(
  work: (client: TestClient, server: McpServer) => Promise<void>,
  options: ConnectOptions = {},
  handlerOptions: McpHandlerOptions = {},
): Promise<void> {
  const server = demo();
  const handler = createMcpHandler(server, handlerOptions);
  try {
    const client = await connect(handler, { protocolVersion, ...options });
    try {
      await work(client, server);
    } finally {
      await client.close();
    }
    const { listens, requests, streams } = handler.stats();
    assert.deepEqual({ listens, requests, streams }, { listens: 0, requests: 0, streams: 0 });
  } finally {
    await handler.close({ graceMs: 0 });
  }
}

describe("connect() in 2026-07-28", () => {
  test("connect() discovers, listens and closes with nothing left", async () => {
    const handler = createMcpHandler(demo());
    const client = await connect(handler, { protocolVersion });
    assert.equal(client.protocolVersion, protocolVersion);
    assert.equal(client.sessionId, undefined);
    assert.deepEqual(client.serverInfo, { name: "demo", version: "1.0.0" });
    assert.equal(client.instructions, "Use it well");
    assert.equal(client.capabilities.tools?.listChanged, true);
    assert.deepEqual([handler.stats().sessions, handler.stats().listens], [0, 1]);
    await client.ping();
    assert.deepEqual(client.notifications, []);
    await client.close();
    await client.close();
    assert.equal(handler.stats().listens, 0);
    await assert.rejects(client.ping(), { name: "AbortError" });
    const deaf = await connect(handler, { protocolVersion, listen: false });
    assert.equal(handler.stats().listens, 0);
    await deaf.close();
    await handler.close();
  });

  test("connect() rejects with what the server refuses", async () => {
    const handler = createMcpHandler(demo(), { authenticate: byToken });
    await assert.rejects(connect(handler, { protocolVersion }), (error) => {
      assert.ok(error instanceof RefusedError);
      assert.deepEqual([error.status, error.code], [401, -32603]);
      assert.ok(error.headers.has("www-authenticate"));
      return true;
    });
    const headers = { authorization: "Bearer alice" };
    const client = await connect(handler, { protocolVersion, headers });
    await client.ping();
    await client.close();
    await handler.close();
  });

  test("connect() rejects when the server doesn't offer the version", async () => {
    const handler = createMcpHandler(demo(), { versions: ["2025-11-25"] });
    for (const version of [protocolVersion, "2027-01-01"]) {
      await assert.rejects(connect(handler, { protocolVersion: version }), (error) => {
        assert.ok(error instanceof RefusedError);
        assert.equal(error.status, 400);
        return true;
      });
    }
    await handler.close();
  });

  test("connect() rejects when the handshake takes too long", async () => {
    for (const version of [protocolVersion, "2025-11-25"]) {
      const never = () => new Promise<Response>(() => {});
      const connecting = connect(never, { protocolVersion: version, timeoutMs: 10 });
      await assert.rejects(connecting, { name: "TimeoutError" });
    }
  });
});

describe("TestClient in 2026-07-28", () => {
  test("lists, calls, reads, prompts", () =>
    connected(async (client) => {
      const tools = (await client.listTools()).map(({ name }) => name);
      assert.deepEqual(tools, ["count", "log", "ask", "wait", "where"]);
      assert.equal(textOf(await client.callTool("count")), "done");
      assert.equal((await client.listResources())[0]?.uri, "demo://thing");
      assert.deepEqual(await client.listResourceTemplates(), []);
      const { contents: [thing] } = await client.readResource("demo://thing");
      assert.ok(thing && "text" in thing);
      assert.equal(thing.text, "A thing");
      assert.equal((await client.listPrompts())[0]?.name, "translate");
      const { messages } = await client.getPrompt("translate", { text: "Boat" });
      assert.deepEqual(messages[0]?.content, { type: "text", text: "Translate: Boat" });
    }));

  test("arguments are repeated in headers, whether the tools were listed before or not", () =>
    connected(async (client) => {
      assert.equal(textOf(await client.callTool("where", { region: "north" })), "north");
      await client.listTools();
      assert.equal(textOf(await client.callTool("where", { region: "south" })), "south");
    }));

  test("progress goes to its caller", () =>
    connected(async (client) => {
      const seen: unknown[] = [];
      await client.callTool("count", {}, { onProgress: (update) => seen.push(update.progress) });
      assert.deepEqual(seen, [1, 2, 3]);
      assert.deepEqual(client.notifications, []);
    }));

  test("what onProgress throws fails the call", () =>
    connected(async (client) => {
      const wrong = new Error("Wrong progress");
      const onProgress = () => {
        throw wrong;
      };
      await assert.rejects(client.callTool("count", {}, { onProgress }), wrong);
    }));

  test("a log level goes with every request that follows", () =>
    connected(async (client) => {
      await client.callTool("log");
      assert.deepEqual(client.notifications, []);
      await client.setLogLevel("warning");
      await client.callTool("log");
      const { params } = await client.nextNotification("notifications/message");
      assert.deepEqual([params?.level, params?.data], ["warning", "warning"]);
      assert.equal(client.notifications.length, 1);
    }));

  test("questions are answered round by round, and only the tool reports progress", () => {
    const model = { role: "assistant", content: { type: "text", text: "Hi" }, model: "m" } as const;
    return connected(async (client) => {
      const seen: unknown[] = [];
      const result = await client.callTool("ask", {}, {
        onProgress: ({ progress, total }) => seen.push([progress, total]),
      });
      assert.deepEqual(JSON.parse(String(textOf(result))), [
        { name: "Ada" },
        "m",
        [{ uri: "file:///a" }],
      ]);
      assert.ok(seen.every((update) => JSON.stringify(update) === "[1,2]"), JSON.stringify(seen));
    }, {
      onElicit: () => ({ action: "accept", content: { name: "Ada" } }),
      onSample: () => model,
      onRoots: () => [{ uri: "file:///a" }],
    });
  });

  test("a question that nobody answers ends with the call's time limit", () =>
    connected(async (client) => {
      await assert.rejects(client.callTool("ask", {}, { timeoutMs: 20 }), { name: "TimeoutError" });
    }, { onElicit: () => new Promise(() => {}) }));

  test("changes arrive that the client listens for", () =>
    connected(async (client, server) => {
      server.registerTool("late", { description: "Comes late." }, () => "late");
      await client.nextNotification("notifications/tools/list_changed");
      assert.ok((await client.listTools()).some(({ name }) => name === "late"));
      await client.subscribe("demo://thing");
      server.resourceUpdated("demo://thing");
      const { params } = await client.nextNotification("notifications/resources/updated");
      assert.equal(params?.uri, "demo://thing");
      await client.unsubscribe("demo://thing");
    }));

  test("a signal and a time limit cancel the call on the server too", async () => {
    const blocker = new Blocker();
    const discover = () => ({
      supportedVersions: [protocolVersion],
      capabilities: { tools: {} },
      ttlMs: 0,
      cacheScope: "private",
      resultType: "complete",
    });
    const stub = new Stub({ block: blocker.act }, { "server/discover": discover });
    const handler = createMcpHandler(stub, { streams: { sseAfterMs: 1 } });
    const client = await connect(handler, { protocolVersion });
    const controller = new AbortController();
    const call = client.callTool("block", {}, { signal: controller.signal });
    await blocker.running();
    const reason = new Error("Enough");
    controller.abort(reason);
    await assert.rejects(call, reason);
    await assert.rejects(client.callTool("block", {}, { timeoutMs: 10 }), { name: "TimeoutError" });
    while (handler.stats().requests > 0) await soon(new Promise((done) => setTimeout(done, 1)));
    // On a busy machine, the time of the second call may be over before it begins.
    assert.ok(blocker.runs.length >= 1);
    assert.equal(blocker.reasons.length, blocker.runs.length);
    await client.close();
    await handler.close();
  });

  test("close() ends what still waits", () =>
    connected(async (client) => {
      const ended = assert.rejects(client.callTool("wait"), { name: "AbortError" });
      await client.close();
      await ended;
    }));

  test("errors are typed, those of the official client too", () =>
    connected(async (client) => {
      const refused = (error: unknown) => {
        assert.ok(error instanceof RefusedError);
        assert.deepEqual([error.status, error.code], [404, -32601]);
        return true;
      };
      await assert.rejects(client.request("no/such/method"), refused);
      const unknown = client.callTool("none");
      await assert.rejects(unknown, (error) => error instanceof McpError && error.code === -32602);
      await assert.rejects(client.client.callTool({ name: "none" }), McpError);
      await assert.rejects(client.request("ping"), SdkError);
    }));
});
