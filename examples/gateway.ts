/**
 * Two servers behind one endpoint: one of this package, and one of the official SDK that is hosted
 * unchanged. Each client's session has its own session with each of them.
 *
 *     deno task run examples/gateway.ts
 *
 * The official SDK is a package for development here, so the first run downloads all of these.
 * Other servers are added the same way: `http({ url })` for a URL, `stdio({ command })` for a program.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { McpServer as SdkServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { McpServer } from "@mooring/mcp";
import { gateway, local, sdk } from "@mooring/mcp/gateway";
import { z } from "zod";

const clock = new McpServer({ name: "clock", version: "1.0.0" }, {
  instructions: "Call the tool for the time; don't guess it.",
});

clock.registerTool("now", {
  description: "Tells the time.",
  inputSchema: z.object({ timeZone: z.string().default("UTC") }),
  annotations: { readOnlyHint: true },
}, ({ timeZone }) => new Date().toLocaleString("en-GB", { timeZone }));

/** Makes a server with state of its own, one for each session. */
function counter(): SdkServer {
  const server = new SdkServer({ name: "counter", version: "1.0.0" });
  let count = 0;
  server.registerTool("up", { description: "Counts the calls of this session." }, () => ({
    content: [{ type: "text", text: `${++count}` }],
  }));
  return server;
}

/** The gateway, with the tools `clock__now` and `counter__up`. */
export const gw = gateway({
  upstreams: { clock: local(clock), counter: sdk(counter) },
});

if (import.meta.main) {
  const { values } = parseArgs({
    options: { port: { type: "string", default: process.env.PORT ?? "8000" } },
  });
  // An application imports only the one for its runtime.
  const { serve } = "Deno" in globalThis
    ? await import("@mooring/mcp/deno")
    : "Bun" in globalThis
    ? await import("@mooring/mcp/bun")
    : await import("@mooring/mcp/node");
  const { url } = await serve(gw, { port: Number(values.port) });
  const inspect = `npx -y @modelcontextprotocol/inspector@2.12.0 --cli ${url} --transport http`;
  const hello = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":' +
    '"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1.0.0"}}}';
  console.log(
    `Listening at ${url}. Try it: it lists the tools of both servers.

  curl -si ${url} -H 'content-type: application/json' -d '${hello}'

  ${inspect} --method tools/list
  ${inspect} --method tools/call --tool-name clock__now --tool-arg timeZone=Europe/Lisbon
`,
  );
}
