/**
 * A tool that asks the user before it runs. Without an explicit yes (a no, no answer, or a client that
 * can't ask its user) it does not run.
 *
 *     deno task run examples/approval.ts
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { McpServer, ToolError } from "@mooring/mcp";
import { z } from "zod";

const files = new Map([
  ["todo.txt", "Buy bread"],
  ["thesis.txt", "Three years of work"],
  ["cache.tmp", ""],
]);

/** The server. */
export const server = new McpServer({ name: "approval", version: "1.0.0" });

server.registerTool("list_files", {
  description: "Lists the files.",
  annotations: { readOnlyHint: true },
}, () => ({ structuredContent: { files: [...files.keys()] } }));

server.registerTool("delete_file", {
  description: "Deletes a file for good.",
  inputSchema: z.object({ name: z.string() }),
  annotations: { destructiveHint: true },
  // The question, or false to run without one. The client shows the arguments below it.
  approval: ({ name }) => name.endsWith(".tmp") ? false : `Delete "${name}" for good?`,
}, ({ name }) => {
  if (!files.delete(name)) throw new ToolError(`No such file: ${name}`);
  return `Deleted ${name}`;
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
  const { url } = await serve(server, { port: Number(values.port) });
  const inspect = `npx -y @modelcontextprotocol/inspector@2.12.0 --cli ${url} --transport http`;
  const hello = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":' +
    '"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1.0.0"}}}';
  console.log(
    `Listening at ${url}. Try it: the first file is deleted, the second is kept, because this client can't be asked.

  curl -si ${url} -H 'content-type: application/json' -d '${hello}'

  ${inspect} --method tools/call --tool-name delete_file --tool-arg name=cache.tmp
  ${inspect} --method tools/call --tool-name delete_file --tool-arg name=thesis.txt
`,
  );
}
