/**
 * Mooring with the tools of published servers in other languages, to be compared with those.
 *
 * @module
 */
import { z } from "zod";
import { createMcpHandler, McpServer } from "../../mod.ts";
import { textResult } from "../tools.ts";
import { adapter, optionsOf } from "./mooring.ts";
import type { Listening, StackInit, StackModule } from "./types.ts";

/** The call of a tool that a server in another language doesn't have. */
export const MISSING = { name: "missing", arguments: { n: 0 }, varies: "n" } as const;

const UNITS: Readonly<Record<string, number>> = {
  days: 86_400,
  hours: 3_600,
  minutes: 60,
  seconds: 1,
};

function makeServer(): McpServer {
  const server = new McpServer({ name: "bench", version: "1.0.0" });
  server.registerTool("current_time", {
    description: "Returns the current time.",
    inputSchema: z.object({ timezone: z.string().default("UTC") }),
  }, ({ timezone }) => textResult(timeIn(timezone)));
  server.registerTool("compute_duration", {
    description: "Computes the time between two moments.",
    inputSchema: z.object({ start: z.iso.datetime(), end: z.iso.datetime() }),
  }, ({ start, end }) => textResult(durationOf(Date.parse(end) - Date.parse(start))));
  server.registerTool(MISSING.name, {
    description: "Answers as a server does that has no such tool.",
    inputSchema: z.object({ n: z.number() }),
  }, () => ({ ...textResult(`The tool ${MISSING.name} was not found`), isError: true }));
  return server;
}

/** Returns the time in RFC 3339. */
function timeIn(timezone: string): string {
  const now = new Date();
  if (timezone === "UTC") return `${now.toISOString().slice(0, 19)}Z`;
  return new Intl.DateTimeFormat("sv", {
    timeZone: timezone,
    dateStyle: "short",
    timeStyle: "long",
  })
    .format(now);
}

function durationOf(ms: number): string {
  const total = Math.floor(ms / 1000);
  const parts: Record<string, number | string> = { total_seconds: total };
  const words: string[] = [];
  let rest = total;
  for (const [unit, seconds] of Object.entries(UNITS)) {
    const count = Math.floor(rest / seconds);
    rest -= count * seconds;
    parts[unit] = count;
    if (count > 0) words.push(`${count} ${count === 1 ? unit.slice(0, -1) : unit}`);
  }
  parts.human_readable = words.join(" ");
  return JSON.stringify(parts, null, 2);
}

async function listen(init: StackInit): Promise<Listening> {
  const { serve } = await adapter();
  return await serve(makeServer(), { ...optionsOf(init), port: 0, signals: false });
}

/** Mooring, with the tools of others. */
export const timeTools: StackModule = {
  title: "Mooring",
  kinds: [],
  make: (init) => ({ answer: createMcpHandler(makeServer(), optionsOf(init)) }),
  listen,
};
