/**
 * The smallest server: one tool, for everybody on this machine.
 *
 *     deno task run examples/smallest.ts
 *
 * On Bun import `serve` from `@mooring/mcp/bun`, on Node from `@mooring/mcp/node`.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { McpServer } from "@mooring/mcp";
import { serve } from "@mooring/mcp/deno";

/** The server. */
export const server = new McpServer({ name: "smallest", version: "1.0.0" });

server.registerTool("hello", { description: "Greets." }, () => "Hello!");

if (import.meta.main) {
  const { values } = parseArgs({
    options: { port: { type: "string", default: process.env.PORT ?? "8000" } },
  });
  const { url } = await serve(server, { port: Number(values.port) });
  const hello = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":' +
    '"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1.0.0"}}}';
  console.log(`Listening at ${url}. Try it:

  curl -si ${url} -H 'content-type: application/json' -d '${hello}'
`);
}
