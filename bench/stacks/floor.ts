/**
 * The least that can be done with a request: parse it, look one thing up, write the answer. Everything
 * else is measured against it.
 *
 * @module
 */
import { z } from "zod";
import type { KindName } from "../kinds.ts";
import { KIND_NAMES } from "../kinds.ts";
import { textResult, type Tool, toolsFor } from "../tools.ts";
import type { Stack, StackInit, StackModule } from "./types.ts";

/** Kinds whose answers are streams. */
const STREAMED: ReadonlySet<KindName> = new Set(["sse", "progress"]);
/** Kinds whose clients have sessions that somebody must know. */
const KNOWN: ReadonlySet<KindName> = new Set(["notify", "session-heap", "stream-heap"]);

interface Message {
  readonly id: number;
  readonly method: string;
  readonly params: {
    readonly name: string;
    readonly arguments: unknown;
    readonly _meta?: { readonly progressToken?: unknown };
  };
}

const encoder = new TextEncoder();
const SSE: ResponseInit = { headers: { "content-type": "text/event-stream" } };

function frame(message: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
}

function make({ kind, tools: count }: StackInit): Stack {
  const tools = new Map(toolsFor(count).map((tool) => [tool.name, tool]));
  if (KNOWN.has(kind)) return withSessions();
  return STREAMED.has(kind) ? streaming(tools) : json(tools);
}

function json(tools: ReadonlyMap<string, Tool>): Stack {
  const introduction = {
    protocolVersion: "2025-11-25",
    capabilities: { tools: { listChanged: true } },
    serverInfo: { name: "bench", version: "1.0.0" },
  };
  const list = {
    tools: [...tools.values()].map(({ name, description, input }) => ({
      name,
      description,
      inputSchema: z.toJSONSchema(input),
    })),
  };
  const methods = new Map<string, (params: Message["params"]) => unknown>([
    ["initialize", () => introduction],
    ["tools/list", () => list],
    ["tools/call", (params) => {
      return textResult(tools.get(params.name)?.run(params.arguments, () => {}) as string);
    }],
  ]);
  return {
    async answer(request) {
      const { id, method, params }: Message = JSON.parse(await request.text());
      const result = methods.get(method)?.(params);
      return new Response(JSON.stringify({ jsonrpc: "2.0", id, result }));
    },
  };
}

function streaming(tools: ReadonlyMap<string, Tool>): Stack {
  return {
    async answer(request) {
      const { id, params }: Message = JSON.parse(await request.text());
      const tool = tools.get(params.name);
      const progressToken = params._meta?.progressToken;
      const body = new ReadableStream({
        async start(controller) {
          const text = await tool?.run(params.arguments, (progress, total) => {
            const sent = { progressToken, progress, total };
            const method = "notifications/progress";
            controller.enqueue(frame({ jsonrpc: "2.0", method, params: sent }));
          });
          controller.enqueue(frame({ jsonrpc: "2.0", id, result: textResult(text ?? "") }));
          controller.close();
        },
      });
      return new Response(body, SSE);
    },
  };
}

/** What it takes at the very least to know a session, and to have its stream at hand. */
function withSessions(): Stack {
  const streams = new Map<string, ReadableStreamDefaultController | undefined>();
  return {
    async answer(request) {
      if (request.method === "GET") {
        const id = request.headers.get("mcp-session-id") ?? "";
        const body = new ReadableStream({
          start: (controller) => void streams.set(id, controller),
        });
        return new Response(body, SSE);
      }
      const { id, method }: Message = JSON.parse(await request.text());
      if (method !== "initialize") return new Response(null, { status: 202 });
      const session = crypto.randomUUID();
      streams.set(session, undefined);
      const result = { protocolVersion: "2025-11-25", serverInfo: { name: "bench" } };
      const headers = { "mcp-session-id": session };
      return new Response(JSON.stringify({ jsonrpc: "2.0", id, result }), { headers });
    },
    notify(session) {
      const params = { level: "info", data: "News" };
      streams.get(session)?.enqueue(
        frame({ jsonrpc: "2.0", method: "notifications/message", params }),
      );
    },
  };
}

/** The floor. */
export const floor: StackModule = {
  title: "floor",
  kinds: KIND_NAMES,
  make,
};
