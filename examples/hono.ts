/**
 * An endpoint in a Hono app that has its own routes and authenticates its own users.
 *
 *     deno task run examples/hono.ts
 *
 * It listens with `node:http`, which Deno, Bun and Node have. On Deno you can use
 * `Deno.serve(app.fetch)` instead, on Bun `export default app`.
 *
 * @module
 */
import { createServer } from "node:http";
import process from "node:process";
import { parseArgs } from "node:util";
import { createMcpHandler, McpServer, type Principal } from "@mooring/mcp";
import { fromHono, mcp } from "@mooring/mcp/hono";
import { toNodeHandler } from "@mooring/mcp/node";
import { Hono } from "hono";

const keys = new Map([[process.env.API_KEY ?? "demo-key", "ada"]]);

const server = new McpServer({ name: "hono", version: "1.0.0" });
server.registerTool("whoami", {
  description: "Says who you are.",
}, (_args, ctx) => `You are ${ctx.principal.id}`);

/** The endpoint. */
export const handler = createMcpHandler(server, {
  authenticate: fromHono(),
  allowedHosts: ["127.0.0.1", "localhost"],
});

/** The app. */
export const app = new Hono<{ Variables: { principal: Principal } }>();

app.get("/", (c) => c.text("The endpoint is at /mcp"));

app.use("/mcp", async (c, next) => {
  const id = keys.get(c.req.header("x-api-key") ?? "");
  if (id !== undefined) c.set("principal", { id });
  await next();
});
app.all("/mcp", mcp(handler));

if (import.meta.main) {
  const { values } = parseArgs({
    options: { port: { type: "string", default: process.env.PORT ?? "8000" } },
  });
  const listener = createServer(toNodeHandler(async (request) => await app.fetch(request)));
  listener.listen(Number(values.port), "127.0.0.1", () => {
    const address = listener.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const [key] = keys.keys();
    const url = `http://127.0.0.1:${port}/mcp`;
    console.log(`Listening at ${url}. Try it without a key, and with one:

  curl -si ${url} -H 'content-type: application/json' -d '{"jsonrpc":"2.0","id":1,"method":"ping"}'

  npx -y @modelcontextprotocol/inspector@2.12.0 --cli ${url} --transport http \\
    --header 'X-Api-Key: ${key}' --method tools/call --tool-name whoami
`);
  });
  process.once("SIGTERM", async () => {
    await handler.close();
    listener.close();
  });
}
