/**
 * The server behind gateways: one of the official SDK, for one session.
 *
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { z } from "zod";

/** How long the tool works that has something to wait for, in milliseconds. */
export const WORK_MS = 10;

/** Its tools that are called, by what they are like. */
export const CALLED = { nothing: "add", work: "look_up" } as const;

interface Numbers {
  readonly a: number;
  readonly b: number;
}

/** Makes one. */
export function upstreamServer(): McpServer {
  const server = new McpServer({ name: "bench", version: "1.0.0" });
  const inputSchema = { a: z.number(), b: z.number() };
  const sum = ({ a, b }: Numbers) => ({ content: [{ type: "text" as const, text: `${a + b}` }] });
  server.registerTool(CALLED.nothing, { inputSchema }, sum);
  server.registerTool(CALLED.work, { inputSchema }, async (numbers: Numbers) => {
    await sleep(WORK_MS);
    return sum(numbers);
  });
  return server;
}
