/**
 * A server of the official SDK that uses what only it and its client know: methods of its own in both
 * directions, capabilities outside the protocol, and `_meta`.
 *
 * @module
 */
import { Server } from "@modelcontextprotocol/sdk/server";
import {
  CallToolRequestSchema,
  ListToolsRequestSchema,
  SubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";

const Custom = z.object({
  method: z.literal("acme/search"),
  params: z.object({ query: z.string() }),
});
const Any = z.looseObject({});

/** Makes it. What it is notified of is told by the method `acme/heard`. */
export function aloneServer(): Server {
  const server = new Server(
    {
      name: "alone",
      version: "1.2.3",
      title: "Alone",
      websiteUrl: "https://alone.example/",
      icons: [{ src: "https://alone.example/icon.png" }],
    },
    {
      instructions: "Ask me. ".repeat(1000),
      capabilities: {
        tools: {},
        logging: {},
        resources: { subscribe: true },
        experimental: { "acme/stream": { depth: 2 } },
        extensions: { "com.example/board": { sizes: [1, 2] } },
      },
    },
  );
  const heard: unknown[] = [];
  server.setRequestHandler(Custom, ({ params }, { _meta }) => ({
    hits: [`1 for ${params.query}`],
    _meta: { "acme/seen": _meta?.["acme/trace"] },
  }));
  server.fallbackNotificationHandler = async ({ method, params }) => {
    heard.push({ method, params });
  };
  server.fallbackRequestHandler = async ({ method }) => {
    if (method === "acme/heard") return { heard };
    if (method === "acme/client") {
      const { sessionId } = server.transport ?? {};
      return {
        info: server.getClientVersion(),
        capabilities: server.getClientCapabilities(),
        hasSession: sessionId !== undefined,
      };
    }
    throw Object.assign(new Error(`No such method here: ${method}`), { code: -32601 });
  };
  server.setRequestHandler(ListToolsRequestSchema, ({ params }) => {
    if (params?.cursor === undefined) return { tools: [tool("one")], nextCursor: "page two" };
    return { tools: [tool(params.cursor)], _meta: { "acme/page": 2 } };
  });
  server.setRequestHandler(SubscribeRequestSchema, async ({ params: { uri } }) => {
    await server.sendResourceUpdated({ uri: `${uri}/part`, _meta: { "acme/why": "new" } });
    return {};
  });
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const { name, _meta } = params;
    const related = { relatedRequestId: extra.requestId };
    if (name === "notify") {
      await extra.sendNotification(notification("acme/tick", { n: 1 }));
      await extra.sendNotification(notification("acme/tick", { n: 1 }));
      const log = { level: "error", data: "no label" } as const;
      await extra.sendNotification({ method: "notifications/message", params: log });
    }
    if (name === "low") {
      const log = { level: "warning", data: "too low" } as const;
      await extra.sendNotification({ method: "notifications/message", params: log });
    }
    if (name === "ask") {
      const steps: unknown[] = [];
      const onprogress = (step: unknown) => void steps.push(step);
      const request = { method: "acme/lookup", params: { key: "theme" } } as const;
      // Types know the methods of the protocol only.
      const found = await server.request(request as never, Any, { ...related, onprogress });
      return said({ found, steps });
    }
    if (name === "close") extra.closeSSEStream?.();
    if (name === "close server stream") extra.closeStandaloneSSEStream?.();
    if (name === "later") await server.notification(notification("acme/later", { n: 1 }));
    if (name === "session") {
      return said({ id: extra.sessionId, close: extra.closeSSEStream !== undefined });
    }
    if (name === "fail") {
      throw Object.assign(new Error("Out of order"), { code: -32050, data: { n: 7 } });
    }
    return { ...said({ name }), _meta: { "acme/echo": _meta?.["acme/trace"] } };
  });
  return server;
}

function tool(name: string) {
  return { name, inputSchema: { type: "object" as const }, "x-acme": { kept: true } };
}

function said(value: unknown) {
  return { content: [{ type: "text" as const, text: JSON.stringify(value) }] };
}

function notification(method: string, params: Record<string, unknown>) {
  // Types know the notifications of the protocol only.
  return { method, params } as never;
}
