/**
 * One server on all cores, on Deno: `deno serve --parallel` runs this module in a thread for each core, all
 * behind one port. They share a Redis, so that any thread answers any request.
 *
 *     export STATE_KEY=$(openssl rand -base64 32)
 *     deno serve --parallel --allow-net --allow-env examples/parallel.ts
 *
 * On Node and Bun, see `processes.ts`.
 *
 * @module
 */
import process from "node:process";
import { createMcpHandler, type McpHandler, McpServer } from "@mooring/mcp";
import { redisStore } from "@mooring/mcp/redis";
import { createClient } from "redis";

const thread = crypto.randomUUID().slice(0, 8);
const server = new McpServer({ name: "parallel", version: "1.0.0" });

server.registerTool("visit", {
  description: "Counts the visits of this session, and says which thread counted.",
}, async (_args, ctx) => {
  const visits = Number(await ctx.session?.state.get("visits") ?? 0) + 1;
  await ctx.session?.state.set("visits", visits);
  return `Visit ${visits}, in thread ${thread}`;
});

const { REDIS_URL: url = "redis://127.0.0.1:6379", STATE_KEY: key, PREFIX: prefix } = process.env;
if (key === undefined) throw new Error("Set STATE_KEY to a secret of 32 bytes or more");
const client = createClient({ url });
client.on("error", (error: Error) => console.error(`Redis: ${error.message}`));
await client.connect();

const handler: McpHandler = createMcpHandler(server, {
  store: redisStore({ client, prefix }),
  requests: { stateKeys: [key] },
  path: "/mcp",
  allowedHosts: ["127.0.0.1", "localhost"],
});

export default { fetch: (request: Request) => handler(request) };
