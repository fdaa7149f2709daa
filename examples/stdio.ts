/**
 * A server that a client starts as a program: it speaks on stdin and stdout.
 *
 *     deno task run examples/stdio.ts
 *
 * The same file runs with `bun` and `node`. Started by hand it waits for messages on stdin; give it to a
 * client instead, such as the inspector:
 *
 *     npx -y @modelcontextprotocol/inspector@2.12.0 --cli deno task run examples/stdio.ts \
 *       --method tools/call --tool-name add --tool-arg a=2 b=3
 *
 * @module
 */
import { McpServer } from "@mooring/mcp";
import { serveStdio } from "@mooring/mcp/stdio";
import { z } from "zod";

/** The server. */
export const server = new McpServer({ name: "stdio", version: "1.0.0" });

server.registerTool("add", {
  description: "Adds two numbers.",
  inputSchema: z.object({ a: z.number(), b: z.number() }),
}, ({ a, b }) => {
  // This goes to stderr, where clients keep it in a log: stdout is for messages.
  console.log(`Adding ${a} and ${b}`);
  return String(a + b);
});

if (import.meta.main) serveStdio(server);
