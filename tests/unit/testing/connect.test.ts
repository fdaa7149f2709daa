import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../../src/handler/handler.ts";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { connect, McpError, RefusedError } from "../../../src/testing/mod.ts";
import { Blocker, byToken, logMessage, soon, Stub, text, textOf } from "../../support/wire.ts";

const ECHO = { echo: ({ params }: { params: JsonObject }) => text(JSON.stringify(params)) };

describe("connect()", () => {
  test("connect() shakes hands, listens and closes with nothing left", async () => {
    const handler = createMcpHandler(new Stub());
    const client = await connect(handler);
    assert.equal(client.protocolVersion, "2025-11-25");
    assert.deepEqual(client.serverInfo, { name: "stub", version: "1.0.0" });
    assert.deepEqual(client.capabilities, { tools: {} });
    assert.match(client.sessionId ?? "", /^[\w-]{32}$/);
    assert.deepEqual(handler.stats(), {
      sessions: 1,
      streams: 1,
      requests: 0,
      questions: 0,
      listens: 0,
    });
    await client.close();
    await client.close();
    assert.equal(handler.stats().sessions, 0);
    assert.equal(handler.stats().streams, 0);
    await assert.rejects(client.ping(), { name: "AbortError" });
    await handler.close();
  });

  test("connect() proposes the version it is given and goes by the server's", async () => {
    const handler = createMcpHandler(new Stub(), { versions: ["2025-06-18", "2025-03-26"] });
    const older = await connect(handler, { protocolVersion: "2025-03-26" });
    assert.equal(older.protocolVersion, "2025-03-26");
    const other = await connect(handler, { protocolVersion: "1999-01-01" });
    assert.equal(other.protocolVersion, "2025-06-18");
    await other.ping();
    await Promise.all([older.close(), other.close()]);
    await handler.close();
  });

  test("connect() rejects with what the server refuses", async () => {
    const handler = createMcpHandler(new Stub(), { authenticate: byToken });
    await assert.rejects(connect(handler), (error) => {
      assert.ok(error instanceof RefusedError);
      assert.equal(error.status, 401);
      assert.equal(error.code, -32001);
      assert.ok(error.headers.has("www-authenticate"));
      return true;
    });
    const client = await connect(handler, { headers: { authorization: "Bearer alice" } });
    await client.ping();
    await client.close();
    await handler.close();
  });

  test("connect() does without a session where the server keeps none", async () => {
    const handler = createMcpHandler(new Stub(ECHO), { sessions: false });
    const client = await connect(handler);
    assert.equal(client.sessionId, undefined);
    assert.equal(textOf(await client.callTool("echo")), '{"name":"echo"}');
    await client.close();
    await handler.close();
  });

  test("connect() does without a stream where `accept` or `listen` says so", async () => {
    const handler = createMcpHandler(new Stub(ECHO));
    const json = await connect(handler, { accept: "application/json" });
    const deaf = await connect(handler, { listen: false });
    assert.equal(handler.stats().streams, 0);
    assert.equal(
      textOf(await json.callTool("echo", { a: 1 })),
      '{"name":"echo","arguments":{"a":1}}',
    );
    await Promise.all([json.close(), deaf.close()]);
    await handler.close();
  });
});

describe("TestClient", () => {
  test("a JSON-RPC error rejects with code, message and data", async () => {
    const failing = () => {
      throw new McpError(-32602, "Give a number", { path: "a" });
    };
    const handler = createMcpHandler(new Stub({ failing }));
    const client = await connect(handler);
    await assert.rejects(client.callTool("failing"), (error) => {
      assert.ok(error instanceof McpError);
      assert.equal(error.code, -32602);
      assert.equal(error.message, "Give a number");
      assert.deepEqual(error.data, { path: "a" });
      return true;
    });
    await client.close();
    await handler.close();
  });

  test("an error arrives as it was sent, where the official client has a class for it too", async () => {
    const data = { uri: "a://b", hint: "c" };
    const read = () => {
      throw new McpError(-32002, "No such resource", data);
    };
    const handler = createMcpHandler(new Stub({}, { "resources/read": read }));
    const client = await connect(handler);
    await assert.rejects(client.readResource("a://b"), { name: "McpError", code: -32002, data });
    await client.close();
    await handler.close();
  });

  test("a session that has ended refuses requests, and lets the client close", async () => {
    const handler = createMcpHandler(new Stub());
    const client = await connect(handler);
    await handler.sessions.end(client.sessionId ?? "");
    await assert.rejects(client.ping(), (error) => {
      assert.ok(error instanceof RefusedError);
      assert.equal(error.status, 404);
      return true;
    });
    await client.close();
    await handler.close();
  });

  test("progress goes to its caller, other notifications to the inbox", async () => {
    const handler = createMcpHandler(
      new Stub({
        async count(exchange) {
          const meta = exchange.params._meta as JsonObject;
          for (const progress of [1, 2]) {
            const params = { progressToken: meta.progressToken, progress, total: 2 };
            exchange.notify({ method: "notifications/progress", params });
          }
          exchange.notify(logMessage("between"));
          await Promise.resolve();
          return text("done");
        },
      }),
    );
    const heard: string[] = [];
    const client = await connect(handler, { onNotification: ({ method }) => heard.push(method) });
    const seen: unknown[] = [];
    const result = await client.callTool("count", {}, {
      onProgress: ({ progress, total }) => seen.push([progress, total]),
    });
    assert.equal(textOf(result), "done");
    assert.deepEqual(seen, [[1, 2], [2, 2]]);
    assert.deepEqual(heard, ["notifications/message"]);
    assert.equal(client.notifications.length, 1);
    assert.deepEqual(
      await client.nextNotification("notifications/message"),
      logMessage("between"),
    );
    await assert.rejects(
      client.nextNotification("notifications/message", { timeoutMs: 10 }),
      { name: "TimeoutError" },
    );
    await client.close();
    await handler.close();
  });

  test("notifications outside of any call arrive on the server's stream, also after it broke", async () => {
    const handler = createMcpHandler(new Stub(), { streams: { retryMs: 1 } });
    const client = await connect(handler);
    const id = client.sessionId ?? "";
    await handler.notify(id, logMessage(1));
    assert.deepEqual(await client.nextNotification("notifications/message"), logMessage(1));
    // Somebody else takes the stream over and leaves: the client comes back.
    const { body } = await handler(
      new Request("http://localhost/mcp", {
        headers: { "accept": "text/event-stream", "mcp-session-id": id },
      }),
    );
    await body?.cancel();
    await handler.notify(id, logMessage(2));
    assert.deepEqual(await client.nextNotification("notifications/message"), logMessage(2));
    await client.close();
    await handler.close();
  });

  test("questions are answered by the options, in the middle of a call", async () => {
    const handler = createMcpHandler(
      new Stub({
        async questions(exchange) {
          const params = { message: "?", requestedSchema: { type: "object", properties: {} } };
          const elicited = await exchange.ask("elicitation/create", params);
          const sampled = await exchange.ask("sampling/createMessage", {
            messages: [],
            maxTokens: 1,
          });
          const rooted = await exchange.ask("roots/list", {});
          return text(JSON.stringify([elicited, sampled, rooted]));
        },
        async unanswered(exchange) {
          try {
            await exchange.ask("tasks/list", {});
          } catch (error) {
            return text(error instanceof McpError ? `${error.code}` : "?");
          }
          return text("answered");
        },
      }),
    );
    const sample = {
      role: "assistant",
      content: { type: "text", text: "Hi" },
      model: "m",
    } as const;
    const client = await connect(handler, {
      onElicit: ({ message }) => ({ action: "accept", content: { message } }),
      onSample: () => sample,
      onRoots: async () => [{ uri: "file:///a" }],
    });
    assert.deepEqual(JSON.parse(String(textOf(await client.callTool("questions")))), [
      { action: "accept", content: { message: "?" } },
      sample,
      { roots: [{ uri: "file:///a" }] },
    ]);
    assert.equal(textOf(await client.callTool("unanswered")), "-32601");
    await client.close();
    await handler.close();
  });

  test("a call whose connection is released is polled back", async () => {
    const handler = createMcpHandler(
      new Stub({
        async release(exchange) {
          exchange.closeStream({ retryMs: 1 });
          exchange.notify(logMessage("while away"));
          await new Promise((resolve) => setTimeout(resolve, 30));
          return text("back");
        },
      }),
    );
    const client = await connect(handler);
    assert.equal(textOf(await client.callTool("release")), "back");
    assert.deepEqual(client.notifications, [logMessage("while away")]);
    await client.close();
    await handler.close();
  });

  test("`maxRetryMs` bounds the pause that the server asks for", async () => {
    const handler = createMcpHandler(
      new Stub({
        async release(exchange) {
          exchange.closeStream({ retryMs: 60_000 });
          await new Promise((resolve) => setTimeout(resolve, 5));
          return text("back");
        },
      }),
    );
    const client = await connect(handler, { maxRetryMs: 10, timeoutMs: 2_000 });
    assert.equal(textOf(await client.callTool("release")), "back");
    await client.close();
    await handler.close();
  });

  test("the official client is there for everything else, with the same errors", async () => {
    const handler = createMcpHandler(new Stub(ECHO));
    const client = await connect(handler);
    assert.equal(client.client.getNegotiatedProtocolVersion(), "2025-11-25");
    assert.equal(textOf(await client.client.callTool({ name: "echo" })), '{"name":"echo"}');
    await assert.rejects(client.client.callTool({ name: "none" }), McpError);
    await client.client.close();
    await client.close();
    await handler.close();
  });

  test("a signal cancels the call on the server too", async () => {
    const blocker = new Blocker();
    const handler = createMcpHandler(new Stub({ block: blocker.act }));
    const client = await connect(handler);
    const controller = new AbortController();
    const call = client.callTool("block", {}, { signal: controller.signal });
    await blocker.running();
    const reason = new Error("Enough");
    controller.abort(reason);
    await assert.rejects(call, reason);
    while (handler.stats().requests > 0) await soon(new Promise((done) => setTimeout(done, 1)));
    assert.match(String(blocker.reasons[0]), /cancelled the request: Enough/);
    await client.close();
    await handler.close();
  });

  test("a wait that is too long ends with a TimeoutError and a cancelled call", async () => {
    const blocker = new Blocker();
    const handler = createMcpHandler(new Stub({ block: blocker.act }));
    const client = await connect(handler);
    const call = client.callTool("block", {}, { timeoutMs: 10 });
    await assert.rejects(call, { name: "TimeoutError" });
    while (handler.stats().requests > 0) await soon(new Promise((done) => setTimeout(done, 1)));
    await client.close();
    await handler.close();
  });

  test("close() ends what still waits", async () => {
    const blocker = new Blocker();
    const handler = createMcpHandler(new Stub({ block: blocker.act }));
    const client = await connect(handler);
    const call = client.callTool("block");
    const ended = assert.rejects(call, { name: "AbortError" });
    await blocker.running();
    await client.close();
    await ended;
    assert.equal(handler.stats().requests, 0);
    await handler.close();
  });

  test("lists are followed to their last page", async () => {
    const tools = [1, 2, 3].map((n) => ({ name: `t${n}`, inputSchema: { type: "object" } }));
    const page = ({ params }: { params: JsonObject }): JsonObject => {
      const at = Number(params.cursor ?? 0);
      const next = at + 1 < tools.length ? { nextCursor: `${at + 1}` } : {};
      return { tools: tools.slice(at, at + 1), ...next };
    };
    const handler = createMcpHandler(new Stub({}, { "tools/list": page }));
    const client = await connect(handler);
    assert.deepEqual((await client.listTools()).map(({ name }) => name), ["t1", "t2", "t3"]);
    await client.close();
    await handler.close();
  });

  test("a list without end is given up", async () => {
    const endless = () => ({ tools: [], nextCursor: "again" });
    const handler = createMcpHandler(new Stub({}, { "tools/list": endless }));
    const client = await connect(handler, { listen: false });
    await assert.rejects(client.listTools(), RangeError);
    await client.close();
    await handler.close();
  });
});

describe("TestClient against servers that misbehave", () => {
  const result = (id: unknown) => ({
    jsonrpc: "2.0",
    id,
    result: {
      protocolVersion: "2025-11-25",
      capabilities: {},
      serverInfo: { name: "bad", version: "0" },
    },
  });

  function fake(answer: (message: JsonObject) => Response | Promise<Response>) {
    return async (request: Request): Promise<Response> => {
      if (request.method !== "POST") return new Response(null, { status: 405 });
      const message = await request.json();
      if (message.method === "initialize") return Response.json(result(message.id));
      if (message.id === undefined) return new Response(null, { status: 202 });
      return await answer(message);
    };
  }

  test("a handler that never answers", async () => {
    const client = await connect(fake(() => new Promise(() => {})), { timeoutMs: 20 });
    await assert.rejects(client.ping(), { name: "TimeoutError" });
    await client.close();
  });

  test("a handler that throws", async () => {
    const handler = fake(() => {
      throw new RangeError("Boom");
    });
    const client = await connect(handler);
    await assert.rejects(client.ping(), /Boom/);
    await client.close();
  });

  test("a stream that ends without an answer", async () => {
    const headers = { "content-type": "text/event-stream" };
    const client = await connect(fake(() => new Response(": bye\n\n", { headers })));
    await assert.rejects(client.ping(), /ended without an answer to ping/);
    await client.close();
  });

  test("a stream that never gets anywhere", async () => {
    const headers = { "content-type": "text/event-stream" };
    const stuck = fake(() => new Response("id: a.0\nretry: 0\ndata: \n\n", { headers }));
    let returns = 0;
    const client = await connect(async (request) => {
      if (request.headers.get("last-event-id") === null) return await stuck(request);
      returns++;
      return new Response("id: a.0\ndata: \n\n", { headers });
    }, { listen: false });
    await assert.rejects(client.ping(), /ended without an answer to ping/);
    assert.ok(returns > 1 && returns < 50, `${returns} returns`);
    await client.close();
  });

  test("an answer to something else", async () => {
    const client = await connect(fake(() => Response.json(result(4711))));
    await assert.rejects(client.ping(), TypeError);
    await client.close();
  });

  test("no JSON-RPC at all, with a status or without", async () => {
    const client = await connect(fake(() => Response.json(["?"])));
    await assert.rejects(client.ping(), TypeError);
    await client.close();
    const broken = await connect(fake(() => new Response("oops", { status: 502 })));
    await assert.rejects(broken.ping(), (error) => {
      assert.ok(error instanceof RefusedError);
      assert.equal(error.status, 502);
      return true;
    });
    await broken.close();
  });
});
