/**
 * A demo: tools that compute, report progress and ask a question, a resource and a prompt.
 *
 *     deno task start
 *
 * After `npm install --omit=dev` it runs on Bun and Node too: `bun examples/demo.ts`,
 * `node examples/demo.ts`.
 *
 * @module
 */
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { completable, McpServer, MissingCapabilityError } from "@mooring/mcp";
import { z } from "zod";

/** The server. */
export const server = new McpServer(
  { name: "demo", version: "1.0.0", title: "Mooring demo" },
  { instructions: "Try the tools: add, brew_tea and greet." },
);

server.registerTool("add", {
  description: "Adds two numbers.",
  inputSchema: z.object({ a: z.number(), b: z.number() }),
  outputSchema: z.object({ sum: z.number() }),
}, ({ a, b }) => ({ structuredContent: { sum: a + b } }));

server.registerTool("brew_tea", {
  description: "Brews tea and reports progress. Can be cancelled.",
  inputSchema: z.object({
    cups: z.number().int().min(1).max(10).default(3),
    msPerCup: z.number().int().min(1).max(5_000).default(500),
  }),
}, async ({ cups, msPerCup }, ctx) => {
  for (let cup = 1; cup <= cups; cup++) {
    await pause(msPerCup, undefined, { signal: ctx.signal });
    ctx.progress(cup, cups, `Cup ${cup} is ready`);
  }
  return `${cups} cups of tea`;
});

server.registerTool("greet", {
  description: "Asks for a name, and greets.",
}, async (_args, ctx) => {
  try {
    const answer = await ctx.elicit("name", {
      message: "What is your name?",
      schema: z.object({ name: z.string().min(1).max(100) }),
    });
    return answer.action === "accept"
      ? `Hello, ${answer.content.name}!`
      : "Hello, whoever you are!";
  } catch (error) {
    if (error instanceof MissingCapabilityError) return "Hello! Your client can't be asked.";
    throw error;
  }
});

server.registerResource(
  "time",
  "demo://time",
  { description: "The current time.", mimeType: "text/plain" },
  () => new Date().toISOString(),
);

const languages = ["Dutch", "English", "French", "German"];
server.registerPrompt("translate", {
  description: "Asks for a translation.",
  argsSchema: z.object({
    text: z.string(),
    language: completable(
      z.string(),
      (typed) => languages.filter((language) => language.startsWith(typed)),
    ),
  }),
}, ({ text, language }) => `Translate into ${language}: ${text}`);

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
  const hello = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":' +
    '"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1.0.0"}}}';
  const inspect = `npx -y @modelcontextprotocol/inspector@2.12.0 --cli ${url} --transport http`;
  console.log(`Listening at ${url}. Try it:

  curl -si ${url} -H 'content-type: application/json' -d '${hello}'

  ${inspect} --method tools/list
  ${inspect} --method tools/call --tool-name add --tool-arg a=2 b=3
`);
}
