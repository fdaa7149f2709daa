/**
 * A long job. The tool reports progress and stops when it is cancelled. It has no code for broken
 * connections: when one breaks, the job runs on, and the client resumes with the id of the last event
 * that it received.
 *
 *     deno task run examples/long_job.ts
 *
 * @module
 */
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type McpHandlerOptions, McpServer, StopError } from "@mooring/mcp";
import { z } from "zod";

/** How many reports are being written, and how many were stopped. */
export const jobs = { running: 0, stopped: 0 };

/** The options of the handler. */
export const options: McpHandlerOptions = {
  // Stop a job without progress for 30 seconds, and any job after 10 minutes.
  requests: { timeoutMs: 30_000, maxTimeoutMs: 600_000 },
  // Store a finished stream for 5 minutes, for clients that reconnect late.
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
      // Pass the signal to everything that takes time.
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
  // An application imports only the one for its runtime.
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
  console.log(
    `Listening at ${url}. Open a session and start a job, break the connection with Ctrl+C,
and resume with the last event id that you saw:

  SESSION=$(curl -si ${url} ${json} -d '${hello}' | sed -n 's/^mcp-session-id: //ip' | tr -d '\\r')
  curl -N ${url} ${json} -H "mcp-session-id: $SESSION" -d '${job}'
  curl -N ${url} -H "mcp-session-id: $SESSION" -H 'last-event-id: …'
`,
  );
}
