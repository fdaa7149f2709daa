/**
 * Hosts other than a server: the runtime of Vercel's edge, and AWS Lambda.
 *
 * @module
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { EdgeRuntime } from "edge-runtime";
import { Hono } from "hono";
import { createMcpHandler, McpServer } from "../../mod.ts";
import { mcp } from "../../src/adapters/hono.ts";
import { bundle } from "../../tools/workerd.ts";

const HEADERS = {
  "content-type": "application/json",
  accept: "application/json, text/event-stream",
};
const INITIALIZE = JSON.stringify({
  jsonrpc: "2.0",
  id: 0,
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "test", version: "1.0.0" },
  },
});
const CALL = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "tools/call",
  params: { name: "steps", arguments: {}, _meta: { progressToken: "p" } },
});

/** The messages of a stream, as JSON. */
function messagesOf(text: string): { readonly method?: string; readonly result?: unknown }[] {
  return text.split("\n").filter((line) => line.startsWith("data: {"))
    .map((line) => JSON.parse(line.slice("data: ".length)));
}

function assertSteps(text: string): void {
  const [first, second, last, ...more] = messagesOf(text);
  const method = "notifications/progress";
  assert.deepEqual([first?.method, second?.method], [method, method]);
  assert.deepEqual(last?.result, { content: [{ type: "text", text: "Done" }] });
  assert.deepEqual(more, []);
}

function makeApp(): Hono {
  const server = new McpServer({ name: "lambda", version: "1.0.0" });
  server.registerTool("steps", {}, async (_args, ctx) => {
    ctx.progress(1, 2);
    await new Promise((resolve) => setTimeout(resolve, 5));
    ctx.progress(2, 2);
    return "Done";
  });
  const app = new Hono();
  app.all("/mcp", mcp(createMcpHandler(server)));
  return app;
}

/** An event of a Lambda function URL, which has the form of API Gateway's version 2. */
function lambdaEvent(body: string, headers: Record<string, string> = {}) {
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath: "/mcp",
    rawQueryString: "",
    headers: { ...HEADERS, ...headers },
    body,
    isBase64Encoded: false,
    requestContext: {
      accountId: "anonymous",
      apiId: "api",
      authentication: null,
      authorizer: {},
      domainName: "id.lambda-url.example",
      domainPrefix: "id",
      http: { method: "POST", path: "/mcp", protocol: "HTTP/1.1", sourceIp: "::1", userAgent: "" },
      requestId: "request",
      routeKey: "$default",
      stage: "$default",
      time: "",
      timeEpoch: 0,
    },
  };
}

describe("edge-runtime", () => {
  test("[WRK-7] serves a bundle: a session, and a streamed response", async () => {
    const host = new EdgeRuntime();
    // A bundle is a module; without imports and exports it is a script too.
    host.evaluate(await bundle("tests/fixtures/workers/edge.ts"));
    const post = (body: string, headers: Record<string, string> = {}) =>
      host.dispatchFetch("http://localhost/mcp", {
        method: "POST",
        headers: { ...HEADERS, ...headers },
        body,
      });
    const begun = await post(INITIALIZE);
    const session = begun.headers.get("mcp-session-id");
    assert.ok(session);
    const response = await post(CALL, { "mcp-session-id": session });
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    assertSteps(await response.text());
    await (await host.dispatchFetch("http://localhost/close")).text();
  });
});

describe("hono/aws-lambda", () => {
  test("[WRK-7] serves buffered responses: a session, and a stream as a whole", async () => {
    const { handle } = await import("hono/aws-lambda");
    const lambda = handle(makeApp());
    const begun = await lambda(lambdaEvent(INITIALIZE));
    const session = begun.headers?.["mcp-session-id"];
    assert.ok(typeof session === "string");
    const { statusCode, body, isBase64Encoded } = await lambda(
      lambdaEvent(CALL, { "mcp-session-id": session }),
    );
    assert.equal(statusCode, 200);
    // The Hono adapter decides by the media type.
    assertSteps(isBase64Encoded ? atob(body) : body);
  });

  test("[WRK-7] streams responses as they come", async () => {
    /** What has been written to the client, in pieces, and the response's head. */
    const chunks: string[] = [];
    let head: { statusCode?: number; headers?: Record<string, string> } = {};
    const awslambda = {
      streamifyResponse: (run: unknown) => run,
      HttpResponseStream: {
        from(stream: Writable, given: typeof head) {
          head = given;
          return stream;
        },
      },
    };
    Object.assign(globalThis, { awslambda });
    try {
      const { streamHandle } = await import("hono/aws-lambda");
      // What `streamifyResponse` above returns
      const lambda = streamHandle(makeApp()) as unknown as (
        event: unknown,
        stream: Writable,
        context: object,
      ) => Promise<void>;
      const send = async (event: unknown) => {
        chunks.length = 0;
        const write = (chunk: Uint8Array, _encoding: string, done: () => void) => {
          chunks.push(new TextDecoder().decode(chunk));
          done();
        };
        await lambda(event, new Writable({ write }), {});
      };
      await send(lambdaEvent(INITIALIZE));
      const session = head.headers?.["mcp-session-id"];
      assert.ok(session);
      await send(lambdaEvent(CALL, { "mcp-session-id": session }));
      assert.equal(head.statusCode, 200);
      assert.equal(head.headers?.["content-type"], "text/event-stream");
      assertSteps(chunks.join(""));
      assert.ok(chunks.length > 1, "The response came as a whole");
    } finally {
      Reflect.deleteProperty(globalThis, "awslambda");
    }
  });
});
