/**
 * A node of a cluster whose tools run for minutes, in a process that is killed and started again. Arguments:
 * its name, the port, the URL of Redis, the prefix of the keys there, and how long its tools run, in
 * milliseconds. Writes `port N`, and `began TOOL` for each call.
 *
 * @module
 */
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "redis";
import { McpServer } from "../../mod.ts";
import { redisStore } from "../../src/redis/mod.ts";
import type { RequestContext } from "../../src/server/types.ts";
import { serve } from "../runtimes/runtime.ts";

/** The parts of a run, each of which reports progress. */
const STEPS = 20;

const [name = "", port = "0", url = "", prefix = "", ms = "0"] = process.argv.slice(2);

const client = createClient({ url });
client.on("error", () => {});
await client.connect();

const server = new McpServer({ name: "long", version: "1.0.0" });

function work(tool: string) {
  return async (_args: unknown, ctx: RequestContext) => {
    console.log(`began ${tool}`);
    for (let step = 1; step <= STEPS; step++) {
      await pause(Number(ms) / STEPS, undefined, { signal: ctx.signal });
      ctx.progress(step, STEPS);
    }
    return `Done at ${name}`;
  };
}

server.registerTool("long", {}, work("long"));
// Shows after which time a client gives up by itself.
server.registerTool("whole", { longCalls: false }, work("whole"));

const running = await serve(server, {
  port: Number(port),
  store: redisStore({ client, prefix }),
  requests: { stateKeys: ["0123456789abcdef0123456789abcdef"], timeoutMs: 0, maxTimeoutMs: 0 },
  longCalls: {},
  authenticate: () => ({ id: "ada" }),
});
console.log(`port ${running.port}`);
await running.finished;
client.destroy();
