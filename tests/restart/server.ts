/**
 * A server whose store is a SQLite file, in a process that tests kill and start again. Arguments: the file,
 * the port, and a file that gets a line for each call that has run.
 *
 * @module
 */
import { appendFileSync, readFileSync } from "node:fs";
import process from "node:process";
import { McpServer } from "../../mod.ts";
import { sqliteStore } from "../../src/sql/mod.ts";
import { tasks } from "../../src/tasks/mod.ts";
import { serve } from "../runtimes/runtime.ts";

const [path = "", port = "0", effects = ""] = process.argv.slice(2);

// Without a file everything is in memory
const store = path === "" ? undefined : sqliteStore({ path });
const server = new McpServer({ name: "restarted", version: "1.0.0" });
server.use(tasks());
server.registerTool("count", {
  inputSchema: { type: "object", properties: { key: { type: "string" } } },
}, async (
  { key },
  ctx,
) => {
  const count = Number(await ctx.session?.state.get("count") ?? 0) + 1;
  await ctx.session?.state.set("count", count);
  appendFileSync(effects, `${key}\n`);
  return `${count} ${ctx.principal.id}`;
});
server.registerTool("version", {}, (_args, ctx) => ctx.protocolVersion);
server.registerTool("slow", {}, async (_args, ctx) => {
  appendFileSync(effects, "slow\n");
  await ctx.progress(1, 2);
  await new Promise((_, reject) =>
    ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason))
  );
  return "never";
});

server.registerTool("again", {
  inputSchema: { type: "object", properties: { key: { type: "string" } } },
  annotations: { idempotentHint: true },
  retryOnNodeLoss: true,
}, async ({ key }, ctx) => {
  appendFileSync(effects, `${key}\n`);
  const runs = readFileSync(effects, "utf8").split("\n").filter((line) => line === key).length;
  await ctx.progress(runs * 2 - 1, 10);
  // Its stream has begun: what is needed to begin it again is sealed and stored meanwhile.
  await new Promise((resolve) => setTimeout(resolve, 300));
  await ctx.progress(runs * 2, 10);
  // One that is to be killed twice never ends.
  if (runs > 1 && key !== "twice") return `run ${runs}`;
  await new Promise((_, reject) =>
    ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason))
  );
  return "never";
});

const running = await serve(server, {
  port: Number(port),
  ...store !== undefined && { store },
  authenticate: (request: Request) => ({ id: request.headers.get("x-user") ?? "nobody" }),
});
console.log(`port ${running.port}`);
await running.finished;
store?.close();
