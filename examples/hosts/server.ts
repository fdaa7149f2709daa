/**
 * The server of the examples in this folder. Each of them puts it into another host.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import { McpServer } from "@mooring/mcp";
import { z } from "zod";

/** The server. */
export const server = new McpServer({ name: "hosted", version: "1.0.0" });

server.registerTool("add", {
  description: "Adds two numbers.",
  inputSchema: z.object({ a: z.number(), b: z.number() }),
  outputSchema: z.object({ sum: z.number() }),
}, ({ a, b }) => ({ structuredContent: { sum: a + b } }));

const counts = new Set<string>();

server.registerTool("count", {
  description: "Counts and reports progress. Can be cancelled.",
  inputSchema: z.object({
    name: z.string(),
    to: z.number().int().min(1).max(10_000).default(3),
    ms: z.number().int().min(1).max(5_000).default(500),
  }),
}, async ({ name, to, ms }, ctx) => {
  counts.add(name);
  try {
    for (let n = 1; n <= to; n++) {
      await pause(ms, undefined, { signal: ctx.signal });
      ctx.progress(n, to, `Counted to ${n}`);
    }
    return `Counted to ${to}`;
  } finally {
    counts.delete(name);
  }
});

server.registerTool("running", {
  description: "Lists the counts that run.",
}, () => JSON.stringify([...counts]));

server.registerTool("whoami", {
  description: "Says who you are.",
}, (_args, ctx) => `You are ${ctx.principal.id}`);
