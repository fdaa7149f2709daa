// Uses every entry point with types, as an application does.
import { introspection, jwt } from "@mooring/mcp/auth";
import { serve as serveBun } from "@mooring/mcp/bun";
import { main } from "@mooring/mcp/cli";
import { createDashboard, oneTimeLinks } from "@mooring/mcp/dashboard";
import { serve as serveDeno } from "@mooring/mcp/deno";
import { gateway, http } from "@mooring/mcp/gateway";
import { type HonoContext, mcp } from "@mooring/mcp/hono";
import { serve as serveNode, toNodeHandler } from "@mooring/mcp/node";
import { redisStore } from "@mooring/mcp/redis";
import { metrics } from "@mooring/mcp/metrics";
import { skills } from "@mooring/mcp/skills";
import { memoryStore } from "@mooring/mcp/store";
import { serveStdio } from "@mooring/mcp/stdio";
import { tasks } from "@mooring/mcp/tasks";
import { telemetry } from "@mooring/mcp/telemetry";
import { connect } from "@mooring/mcp/testing";
import { createMcpHandler, type McpHandler, McpServer } from "@mooring/mcp";
import { z } from "zod";

const server = new McpServer({ name: "demo", version: "1.0.0" });
server.registerTool("add", {
  inputSchema: z.object({ a: z.number(), b: z.number() }),
  outputSchema: z.object({ sum: z.number() }),
}, ({ a, b }) => {
  const sum: number = a + b;
  return { structuredContent: { sum } };
});
// @ts-expect-error: The types of arguments arrive
server.registerTool("wrong", { inputSchema: z.object({ a: z.number() }) }, ({ a }) => a.length);
const handler: McpHandler = createMcpHandler(server, { store: memoryStore() });
const answered: Promise<Response> = handler(new Request("http://localhost/mcp"));

const { middleware, onEvent, upstream } = telemetry({ sessionId: "none" });
const observed = createMcpHandler(server, { middleware: [middleware], onEvent });

export const used = [
  answered,
  metrics().watch({ handler: observed }),
  gateway({ middleware: [upstream] }),
  connect,
  createDashboard(handler, { authenticate: oneTimeLinks() }),
  gateway({ upstreams: { one: http({ url: "https://example.com/mcp" }) } }),
  introspection,
  jwt,
  main,
  mcp(handler),
  redisStore,
  serveBun,
  serveDeno,
  serveNode,
  serveStdio,
  skills,
  tasks,
  toNodeHandler(handler),
] as const;
export type Context = HonoContext;
