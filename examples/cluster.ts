/**
 * One of several nodes with the same Redis and the same secret, behind any proxy. Each node can answer
 * any request.
 *
 *     export STATE_KEY=$(openssl rand -base64 32)
 *     deno task run examples/cluster.ts --port 8001 &
 *     deno task run examples/cluster.ts --port 8002
 *
 * `examples/cluster/` has a compose file for three nodes, Redis and a proxy.
 *
 * @module
 */
import { hostname } from "node:os";
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type McpHandlerOptions, McpServer } from "@mooring/mcp";
import { redisStore } from "@mooring/mcp/redis";
import { createClient } from "redis";
import { z } from "zod";

/** Makes the server of a node. It stores nothing in its process, so any node can serve any session. */
export function serverOf(node: string): McpServer {
  const server = new McpServer({ name: "cluster", version: "1.0.0" });

  server.registerTool("visit", {
    description: "Counts the visits of this session, and says which node counted.",
  }, async (_args, ctx) => {
    // Stored in Redis, with the session.
    const visits = Number(await ctx.session?.state.get("visits") ?? 0) + 1;
    await ctx.session?.state.set("visits", visits);
    return `Visit ${visits}, at ${node}`;
  });

  server.registerTool("count", {
    description: "Counts slowly: stop the node that streams, and resume at another node.",
    inputSchema: z.object({
      to: z.number().int().min(1).max(100).default(20),
      everyMs: z.number().int().min(1).max(5_000).default(500),
    }),
  }, async ({ to, everyMs }, ctx) => {
    for (let n = 1; n <= to; n++) {
      await pause(everyMs, undefined, { signal: ctx.signal });
      ctx.progress(n, to);
    }
    return `Counted to ${to} at ${node}`;
  });

  return server;
}

/** Makes what all nodes share: a Redis, and the secret with which they sign their messages. */
export async function common(env: Readonly<Record<string, string | undefined>>) {
  const { REDIS_URL: url = "redis://127.0.0.1:6379", STATE_KEY: key, PREFIX: prefix } = env;
  if (key === undefined) {
    throw new Error("Set STATE_KEY to a secret of 32 bytes or more, the same for all nodes");
  }
  const client = createClient({ url });
  // The client reconnects by itself; until then requests get 503.
  client.on("error", (error: Error) => console.error(`Redis: ${error.message}`));
  await client.connect();
  const options: McpHandlerOptions = {
    store: redisStore({ client, prefix }),
    requests: { stateKeys: [key] },
    healthPath: "/health",
  };
  return { client, options };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: process.env.PORT ?? "8000" },
      hostname: { type: "string", default: process.env.BIND ?? "127.0.0.1" },
    },
  });
  const { client, options } = await common(process.env);
  // An application imports only the one for its runtime.
  const { serve } = "Deno" in globalThis
    ? await import("@mooring/mcp/deno")
    : "Bun" in globalThis
    ? await import("@mooring/mcp/bun")
    : await import("@mooring/mcp/node");
  const { port, hostname: bound } = { port: Number(values.port), hostname: values.hostname };
  const node = `${hostname()}:${process.pid}`;
  const { url, finished } = await serve(serverOf(node), { ...options, port, hostname: bound });
  console.log(`Listening at ${url}. Start another with --port, and send both the same session id:

  curl -si ${url} -H 'content-type: application/json' -d '${hello()}'
`);
  await finished;
  client.destroy();
}

function hello(): string {
  return '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":' +
    '"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1.0.0"}}}';
}
