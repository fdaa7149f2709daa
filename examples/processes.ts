/**
 * One server in as many processes as the machine has cores, on Node and Bun. They share a Redis, so that any
 * process answers any request.
 *
 *     export STATE_KEY=$(openssl rand -base64 32)
 *     npm install --omit=dev
 *     node examples/processes.ts
 *
 * This module runs once here, and once in each process that serves: what stands before `serve` happens in
 * all of them. On Deno, see `parallel.ts`.
 *
 * @module
 */
import cluster from "node:cluster";
import process from "node:process";
import { parseArgs } from "node:util";
import { McpServer } from "@mooring/mcp";
import { redisStore } from "@mooring/mcp/redis";
import { createClient } from "redis";

const server = new McpServer({ name: "processes", version: "1.0.0" });

server.registerTool("visit", {
  description: "Counts the visits of this session, and says which process counted.",
}, async (_args, ctx) => {
  const visits = Number(await ctx.session?.state.get("visits") ?? 0) + 1;
  await ctx.session?.state.set("visits", visits);
  return `Visit ${visits}, in process ${process.pid}`;
});

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: process.env.PORT ?? "8000" },
      processes: { type: "string", default: "auto" },
    },
  });
  const { REDIS_URL: url = "redis://127.0.0.1:6379", STATE_KEY: key, PREFIX: prefix } = process.env;
  if (key === undefined) throw new Error("Set STATE_KEY to a secret of 32 bytes or more");
  const client = createClient({ url });
  client.on("error", (error: Error) => console.error(`Redis: ${error.message}`));
  await client.connect();
  // An application imports only the one for its runtime.
  const { serve } = "Bun" in globalThis
    ? await import("@mooring/mcp/bun")
    : await import("@mooring/mcp/node");
  const running = await serve(server, {
    store: redisStore({ client, prefix }),
    requests: { stateKeys: [key] },
    port: Number(values.port),
    processes: values.processes === "auto" ? "auto" : Number(values.processes),
  });
  if (cluster.isPrimary) console.log(`Listening at ${running.url}`);
  await running.finished;
  client.destroy();
}
