import { McpServer } from "@mooring/mcp";
import { mcpWorker } from "@mooring/mcp/workers";
import { z } from "zod";

const server = new McpServer({ name: "worker", version: "1.0.0" });
server.registerTool("count", {
  description: "Counts its calls in the session.",
  inputSchema: z.object({ by: z.number() }),
}, async ({ by }, { session }) => {
  const count = Number(await session.state.get("count") ?? 0) + by;
  await session.state.set("count", count);
  return String(count);
});

const worker = mcpWorker(server, (env) => ({
  path: "/mcp",
  requests: { stateKeys: [env.STATE_KEY] },
}));

export const McpSession = worker.McpSession;
export default { fetch: worker.fetch };
