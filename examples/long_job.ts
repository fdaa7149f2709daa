/**
 * A job that takes its time. The tool reports progress and stops when it is cancelled. Nothing in it
 * is about broken connections: when one breaks the job runs on, and the client comes back for the rest
 * with the id of the last event that it got.
 *
 *     deno run -A examples/long_job.ts
 *
 * @module
 */
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type McpHandlerOptions, McpServer, StopError } from "@mooring/mcp";
import { z } from "zod";

/** How many reports are being written, and how many were given up. */
export const jobs = { running: 0, stopped: 0 };

/** How it is served. */
export const options: McpHandlerOptions = {
  // A job that reports no progress for 30 seconds is stuck, one that takes 10 minutes is lost.
  requests: { timeoutMs: 30_000, maxTimeoutMs: 600_000 },
  // A client that was away may come back for a result this long after it got there.
  streams: { retainMs: 300_000 },
};

/** The server. */
export const server = new McpServer({ name: "long-job", version: "1.0.0" });

server.registerTool("write_report", {
  description: "Writes a report, page by page.",
  inputSchema: z.object({
    pages: z.number().int().min(1).max(1_000).default(10),
    msPerPage: z.number().int().min(1).max(10_000).default(1_000),
  }),
}, async ({ pages, msPerPage }, ctx) => {
  jobs.running++;
  try {
    for (let page = 1; page <= pages; page++) {
      // Whatever takes time gets the signal, and stops with it.
      await pause(msPerPage, undefined, { signal: ctx.signal });
      ctx.progress(page, pages, `Page ${page} is written`);
    }
    return `A report of ${pages} pages`;
  } catch (error) {
    // Cancelled, timed out, the session ended, or the server is closing.
    if (ctx.signal.reason instanceof StopError) jobs.stopped++;
    throw error;
  } finally {
    jobs.running--;
  }
});

if (import.meta.main) {
  const { values } = parseArgs({
    options: { port: { type: "string", default: process.env.PORT ?? "8000" } },
  });
  // An application needs only the one of its runtime.
  const { serve } = "Deno" in globalThis
    ? await import("@mooring/mcp/deno")
    : "Bun" in globalThis
    ? await import("@mooring/mcp/bun")
    : await import("@mooring/mcp/node");
  const { url } = await serve(server, { ...options, port: Number(values.port) });
  const hello = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":' +
    '"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1.0.0"}}}';
  const job = JSON.stringify({
    jsonrpc: "2.0",
    id: 2,
    method: "tools/call",
    params: { name: "write_report", arguments: {}, _meta: { progressToken: "report" } },
  });
  const json = "-H 'content-type: application/json'";
  console.log(`Listening at ${url}. Open a session and start a job, break it off with Ctrl+C, and
come back for the rest with the last id that you saw:

  SESSION=$(curl -si ${url} ${json} -d '${hello}' | sed -n 's/^mcp-session-id: //ip' | tr -d '\\r')
  curl -N ${url} ${json} -H "mcp-session-id: $SESSION" -d '${job}'
  curl -N ${url} -H "mcp-session-id: $SESSION" -H 'last-event-id: …'
`);
}
