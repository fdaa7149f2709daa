/**
 * A gateway in front of a server of its own endpoint, and in front of one in the process.
 *
 * @module
 */
import { trace } from "@opentelemetry/api";
import assert from "node:assert/strict";
import {
  createMcpHandler,
  ErrorCode,
  McpError,
  type McpHandler,
  McpServer,
  ToolError,
} from "../../mod.ts";
import { type Gateway, gateway, http, local } from "../../src/gateway/mod.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { telemetry, type TelemetryOptions } from "../../src/telemetry/mod.ts";
import { serve } from "../runtimes/runtime.ts";
import { z } from "zod";

/** Creates the server that is called. Its tool "add" makes a span of its own. */
export function calculator(): McpServer {
  const server = new McpServer({ name: "calculator", version: "1.0.0" });
  server.registerTool(
    "add",
    { inputSchema: z.object({ a: z.number(), b: z.number() }) },
    async ({ a, b }) => {
      const span = trace.getTracer("application").startSpan("adding");
      await Promise.resolve();
      span.end();
      return `${a + b}`;
    },
  );
  server.registerTool("now", {}, () => "noon");
  server.registerTool("fail", {}, () => {
    throw new ToolError("Not today");
  });
  server.registerTool("refuse", {}, () => {
    throw new McpError(-32_050, "Not for you");
  });
  server.registerTool("invalid", {}, () => {
    throw new McpError(ErrorCode.InvalidParams, "Give a date");
  });
  server.registerTool("hang", {}, () => new Promise<string>(() => {}));
  server.registerPrompt("greet", {}, () => "Hello");
  server.registerPrompt("crash", {}, () => {
    throw new Error("The password is hunter2");
  });
  server.registerResource("note", "note://notes/1", {}, () => ({
    contents: [{ uri: "note://notes/1", text: "A note" }],
  }));
  return server;
}

/** A client, an endpoint with a gateway, and the endpoint of one of its upstreams. */
export interface Chain extends AsyncDisposable {
  readonly handler: McpHandler;
  readonly gateway: Gateway;
}

/** Starts them: "far" has an endpoint of its own, on a socket; "near" is in the process. */
export async function chain(options?: TelemetryOptions): Promise<Chain> {
  const far = telemetry(options);
  const farServer = await serve(calculator(), {
    port: 0,
    signals: false,
    middleware: [far.middleware],
    onEvent: far.onEvent,
  });
  const own = telemetry(options);
  const gw = gateway({
    upstreams: { far: http({ url: farServer.url }), near: local(calculator()) },
    middleware: [own.upstream],
  });
  const handler = createMcpHandler(gw, { middleware: [own.middleware], onEvent: own.onEvent });
  return {
    handler,
    gateway: gw,
    async [Symbol.asyncDispose]() {
      await handler.close({ graceMs: 0 });
      await gw.close();
      await farServer.close();
    },
  };
}

/** Sends messages to a handler within one session of 2025-11-25. */
export class Caller {
  readonly #handler: Pick<McpHandler, "fetch">;
  #session: string | undefined;
  #id = 0;

  constructor(handler: Pick<McpHandler, "fetch">) {
    this.#handler = handler;
  }

  get session(): string {
    return this.#session ?? assert.fail("Call open() first");
  }

  /** Begins the session. */
  async open(): Promise<this> {
    await this.request("initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "test", version: "1.0.0" },
    });
    await this.send({ jsonrpc: "2.0", method: "notifications/initialized" });
    return this;
  }

  /** Sends a request, and returns its result or its error. */
  async request(
    method: string,
    params: JsonObject = {},
    headers: Record<string, string> = {},
  ): Promise<JsonObject> {
    const response = await this.send({ jsonrpc: "2.0", id: ++this.#id, method, params }, headers);
    this.#session ??= response.headers.get("mcp-session-id") ?? undefined;
    const text = await response.text();
    const json = text.startsWith("{") ? text : /^data: (\{.*)$/m.exec(text)?.[1] ?? "";
    const { result, error } = JSON.parse(json);
    const answer: unknown = result ?? error;
    assert.ok(isObject(answer), text);
    return answer;
  }

  /** Calls a tool. */
  call(name: string, args: JsonObject = {}, meta?: JsonObject): Promise<JsonObject> {
    const params = { name, arguments: args, ...meta && { _meta: meta } };
    return this.request("tools/call", params);
  }

  /** Sends any message. */
  async send(message: JsonObject, headers: Record<string, string> = {}): Promise<Response> {
    return await this.#handler.fetch(
      new Request("http://localhost/mcp", {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "accept": "application/json, text/event-stream",
          ...this.#session !== undefined && { "mcp-session-id": this.#session },
          ...headers,
        },
        body: JSON.stringify(message),
      }),
    );
  }

  /** Ends the session. */
  async close(): Promise<void> {
    const response = await this.#handler.fetch(
      new Request("http://localhost/mcp", {
        method: "DELETE",
        headers: { "mcp-session-id": this.session },
      }),
    );
    assert.equal(response.status, 204);
  }

  /** The id of the latest request. */
  get latest(): number {
    return this.#id;
  }
}
