/**
 * A Cloudflare Worker. Clients of 2026-07-28 are answered by any isolate; a session of an earlier client is
 * a Durable Object. docs/workers.md has the configuration, and the commands that run and deploy it.
 *
 * @module
 */
import { McpServer } from "@mooring/mcp";
import { mcpWorker } from "@mooring/mcp/workers";
import { z } from "zod";

/** The bindings of the Worker. */
interface Env {
  /** A secret of 32 bytes or more: `npx wrangler secret put STATE_KEY`. */
  readonly STATE_KEY: string;
}

const server = new McpServer({ name: "worker", version: "1.0.0" });

server.registerTool("count", {
  description: "Counts its calls in this session.",
  inputSchema: z.object({ by: z.number().default(1) }),
}, async ({ by }, { session }) => {
  if (session === undefined) return "Clients of 2026-07-28 have no session";
  const count = Number(await session.state.get("count") ?? 0) + by;
  await session.state.set("count", count);
  return String(count);
});

const worker = mcpWorker<Env>(server, (env) => ({
  path: "/mcp",
  requests: { stateKeys: [env.STATE_KEY] },
}));

/** The class of the sessions, under the name in the configuration. */
export const McpSession = worker.McpSession;

export default worker;
