/**
 * A server on Bun.
 *
 *     npm install --omit=dev
 *     bun examples/bun.ts
 *
 * `serve` listens on this machine only, at `/mcp`, and waits for running calls before it stops. Without
 * `serve`, use `Bun.serve({ fetch: handler })` or `export default handler`.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { McpServer } from "@mooring/mcp";
import { serve } from "@mooring/mcp/bun";

/** The server. */
export const server = new McpServer({ name: "bun", version: "1.0.0" });

server.registerTool("hello", { description: "Greets." }, () => "Hello from Bun!");

if (import.meta.main) {
  const { values } = parseArgs({
    options: { port: { type: "string", default: process.env.PORT ?? "8000" } },
  });
  const running = await serve(server, { port: Number(values.port), graceMs: 5_000 });
  const hello = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":' +
    '"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1.0.0"}}}';
  console.log(`Listening at ${running.url}. Try it:

  curl -si ${running.url} -H 'content-type: application/json' -d '${hello}'
`);
  await running.finished;
  console.log("Stopped");
}
