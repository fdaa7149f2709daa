/**
 * Tools for principals who use as much as they may.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { McpServer } from "../../../src/server/server.ts";

/** What a principal may have of all nodes: calls with an allowance at each, and tokens without one. */
export const METERED = { requestsPerPrincipal: 20, perSecond: 5, burst: 10 } as const;

/** The principal whose rate is limited. */
export const SPENDER = "spender";

/** Takes down what a tool does, and when, before anything else can happen to the process. */
export type TimedNote = (what: "began" | "ended" | "spent", call: string) => void;

/** Makes the tools of a node. */
export function meteredTools(note: TimedNote): McpServer {
  const server = new McpServer({ name: "metered", version: "1.0.0" });

  // A call that is stopped has given its slot back: it ends in the same turn.
  server.registerTool("hold", {
    inputSchema: z.object({ call: z.string(), ms: z.number() }),
  }, async ({ call, ms }, { signal }) => {
    let running = true;
    const end = () => {
      if (running) note("ended", call);
      running = false;
    };
    note("began", call);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    await pause(ms);
    end();
    return "held";
  });

  server.registerTool("spend", { inputSchema: z.object({ call: z.string() }) }, ({ call }) => {
    note("spent", call);
    return "spent";
  });

  return server;
}
