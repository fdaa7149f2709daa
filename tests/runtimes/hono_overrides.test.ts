/**
 * A handler behind `@hono/node-server` as it comes: it puts classes of its own into the place of Node's
 * `Request` and `Response`, for the whole process, which is why this is a file of its own.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { mcp } from "../../src/adapters/hono.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { McpServer } from "../../src/server/server.ts";
import { as, byToken, initialize, Peer, URL_2025 } from "../support/wire.ts";
import { plainServe, startPlain } from "./plain.ts";
import { runCases } from "./run_cases.ts";
import { runtime } from "./runtime.ts";

const NATIVE = Response;
const HOST = new URL(URL_2025).host;

function greeter(): McpServer {
  const server = new McpServer({ name: "overridden", version: "1.0.0" });
  server.registerTool("hello", {}, () => "Hello");
  server.registerTool("later", {}, async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return "Hello";
  });
  return server;
}

const CALL = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"hello"}}';

/** Everything that refuses a request, by what it refuses. */
const REFUSED: Readonly<
  Record<string, readonly [number, Readonly<Record<string, string>>, string?]>
> = {
  "nobody": [401, { authorization: "" }],
  "another page": [403, { origin: "https://evil.example" }],
  "another host": [403, { host: "evil.example" }],
  "what it can't send": [406, { accept: "text/html" }],
  "another type": [415, { "content-type": "text/plain" }],
  "what is no JSON": [400, {}, "{"],
  "no message": [400, {}, "1"],
  "what is too large": [413, {}, `"${"x".repeat(2_000)}"`],
  "an unknown session": [404, { "mcp-session-id": "x".repeat(32) }],
  "another version": [400, { "mcp-protocol-version": "1999-01-01" }],
};

// Elsewhere a file doesn't have a process of its own.
if (runtime === "node") {
  const listener = getRequestListener(() => new Response("unused"));
  assert.ok(listener);
  assert.notEqual(Response, NATIVE);

  const serve = plainServe((handler) => {
    const app = new Hono();
    app.all("/mcp", mcp(handler));
    return (request, context) => app.fetch(request, context as object);
  }, (answer) => getRequestListener(answer));
  runCases("Hono in the place of Node", serve, ["calls", "streams"]);

  describe("Hono in the place of Node: what is refused stays refused", () => {
    const options = {
      authenticate: byToken,
      allowedOrigins: ["https://app.example"],
      allowedHosts: [HOST],
      limits: { bodyBytes: 1_000 },
    };
    for (const [what, [status, headers, body = CALL]] of Object.entries(REFUSED)) {
      test(`[GATE-8, OWN-2] ${what}: ${status}, and the session is there still`, async () => {
        const handler = createMcpHandler(greeter(), options);
        const peer = await initialize(handler, { headers: as("alice") });
        const request = new Request(URL_2025, {
          method: "POST",
          headers: {
            ...as("alice"),
            "host": HOST,
            "content-type": "application/json",
            "mcp-session-id": peer.sessionId ?? "",
            ...headers,
          },
          body,
        });
        assert.equal((await handler(request)).status, status);
        assert.equal(handler.stats().sessions, 1);
        await handler.close();
      });
    }

    test("[OWN-1, OWN-2] somebody else's session is unknown", async () => {
      const handler = createMcpHandler(greeter(), options);
      const alice = await initialize(handler, { headers: as("alice") });
      const bob = new Peer(handler, { headers: as("bob") });
      bob.sessionId = alice.sessionId;
      const response = await bob.request(1, "tools/call", { name: "hello" });
      assert.equal(response.status, 404);
      await handler.close();
    });
  });

  test("[OWN-2, STR-2] what is done to one response's headers is done to no other's", async () => {
    const handler = createMcpHandler(greeter(), { streams: { sseAfterMs: 1 } });
    const server = await startPlain(async (request) => {
      const response = await handler(request);
      const tenant = request.headers.get("x-tenant");
      if (tenant !== null) response.headers.append("set-cookie", `tenant=${tenant}`);
      return response;
    }, (answer) => getRequestListener(answer));
    const send = async (message: object, headers: Record<string, string> = {}) => {
      const response = await fetch(`http://127.0.0.1:${server.port}/mcp`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, ...message }),
      });
      await response.text();
      return response.headers;
    };
    const params = {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "a", version: "1" },
    };
    const begin = { method: "initialize", params };
    const ids = [];
    for (const tenant of ["one", "two", undefined]) {
      const headers = await send(begin, tenant === undefined ? {} : { "x-tenant": tenant });
      ids.push(headers.get("mcp-session-id"));
      assert.deepEqual(headers.getSetCookie(), tenant === undefined ? [] : [`tenant=${tenant}`]);
    }
    assert.equal(new Set(ids).size, 3);
    assert.ok(ids.every((id) => id !== null && !id.includes(",")));
    const session = { "mcp-session-id": ids[0] ?? "" };
    for (const name of ["hello", "later"]) {
      const call = { method: "tools/call", params: { name } };
      for (const accept of ["application/json", "text/event-stream"]) {
        for (const tenant of ["one", "two", undefined]) {
          const headers = await send(call, {
            ...session,
            accept,
            ...tenant !== undefined && { "x-tenant": tenant },
          });
          assert.equal(headers.get("content-type"), accept);
          assert.equal(headers.get("mcp-session-id"), null);
          assert.deepEqual(
            headers.getSetCookie(),
            tenant === undefined ? [] : [`tenant=${tenant}`],
          );
        }
      }
    }
    await handler.close();
    await server.stop();
  });
} else test("only Node's classes are replaced", { skip: true }, () => {});
