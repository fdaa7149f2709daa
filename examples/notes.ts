/**
 * Notes that only their user sees. A bearer token says who sends a request. The session of one user does
 * not exist for any other user.
 *
 *     deno task run examples/notes.ts
 *
 * The tokens here are for a demo. A real `authenticate` checks them: see `@mooring/mcp/auth`.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { type McpHandlerOptions, McpServer, ToolError, Unauthorized } from "@mooring/mcp";
import { z } from "zod";

/** The maximum number of notes of one user. */
const MOST = 100;

const users = new Map([
  [process.env.ADA_TOKEN ?? "demo-token-of-ada", "ada"],
  [process.env.BEN_TOKEN ?? "demo-token-of-ben", "ben"],
]);
const notes = new Map<string, string[]>();

/** The options of the handler. */
export const options: McpHandlerOptions = {
  authenticate(request) {
    const [, token = ""] = request.headers.get("authorization")?.match(/^Bearer (.+)$/i) ?? [];
    const id = users.get(token);
    if (id === undefined) throw new Unauthorized("Send a token that you were given");
    return { id };
  },
};

/** The server. */
export const server = new McpServer({ name: "notes", version: "1.0.0" });

server.registerTool("add_note", {
  description: "Adds a note.",
  inputSchema: z.object({ text: z.string().min(1).max(1_000) }),
}, ({ text }, ctx) => {
  const own = notes.get(ctx.principal.id) ?? [];
  if (own.length >= MOST) throw new ToolError("Delete a note first");
  notes.set(ctx.principal.id, [...own, text]);
  server.resourceUpdated("notes://mine");
  return `You have ${own.length + 1} notes`;
});

server.registerTool("list_notes", {
  description: "Lists your notes.",
  annotations: { readOnlyHint: true },
}, (_args, ctx) => ({ structuredContent: { notes: notes.get(ctx.principal.id) ?? [] } }));

server.registerTool("delete_note", {
  description: "Deletes a note by its number, which starts at 1.",
  inputSchema: z.object({ number: z.number().int().min(1) }),
}, ({ number }, ctx) => {
  const own = notes.get(ctx.principal.id) ?? [];
  if (number > own.length) throw new ToolError(`No note ${number}`);
  notes.set(ctx.principal.id, own.toSpliced(number - 1, 1));
  server.resourceUpdated("notes://mine");
  return `You have ${own.length - 1} notes`;
});

server.registerResource(
  "my-notes",
  "notes://mine",
  { description: "Your notes.", mimeType: "text/plain" },
  (_uri, ctx) => (notes.get(ctx.principal.id) ?? []).join("\n"),
);

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
  const { url } = await serve(server, { ...options, port: Number(values.port) });
  const [token] = users.keys();
  const inspect = `npx -y @modelcontextprotocol/inspector@2.12.0 --cli ${url} --transport http`;
  console.log(`Listening at ${url}. Try it without a token, and with one:

  curl -si ${url} -H 'content-type: application/json' -d '{"jsonrpc":"2.0","id":1,"method":"ping"}'

  ${inspect} --header 'Authorization: Bearer ${token}' --method tools/call --tool-name list_notes
`);
}
