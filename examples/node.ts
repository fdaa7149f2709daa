/**
 * An endpoint in a Node server that has other routes too.
 *
 *     npm install --omit=dev
 *     node examples/node.ts
 *
 * For a server with this endpoint only, use `serve` of `@mooring/mcp/node`.
 *
 * @module
 */
import { createServer } from "node:http";
import process from "node:process";
import { parseArgs } from "node:util";
import { createMcpHandler, McpServer } from "@mooring/mcp";
import { toNodeHandler } from "@mooring/mcp/node";

const server = new McpServer({ name: "node", version: "1.0.0" });

server.registerTool("hello", { description: "Greets." }, () => "Hello from Node!");

/** The endpoint. */
export const handler = createMcpHandler(server, { allowedHosts: ["127.0.0.1", "localhost"] });

if (import.meta.main) {
  const { values } = parseArgs({
    options: { port: { type: "string", default: process.env.PORT ?? "8000" } },
  });
  const mcp = toNodeHandler(handler);
  const listener = createServer((request, response) => {
    if (request.url === "/mcp") return mcp(request, response);
    response.end("The endpoint is at /mcp");
  });
  listener.listen(Number(values.port), "127.0.0.1", () => {
    const address = listener.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const url = `http://127.0.0.1:${port}/mcp`;
    const hello = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":' +
      '"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1.0.0"}}}';
    console.log(`Listening at ${url}. Try it:

  curl -si ${url} -H 'content-type: application/json' -d '${hello}'
`);
  });
  process.once("SIGTERM", async () => {
    await handler.close();
    listener.close();
  });
}
