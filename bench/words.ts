/**
 * How servers and figures are called.
 *
 * @module
 */
import type { Unit } from "./kinds.ts";
import type { StackName } from "./stacks/mod.ts";

/** What stands where there is no figure. */
export const NOTHING = "–";

/** The names of the servers as they head columns. */
export const TITLES: Readonly<Record<StackName, string>> = {
  "floor": "floor",
  "node-http": "bare node:http",
  "mooring": "Mooring",
  "mooring-hosted": "Mooring, hosted",
  "mooring-no-log": "Mooring, without a log",
  "mooring-broadcast": "Mooring, to all streams",
  "mooring-observed": "Mooring, observed",
  "time-tools": "Mooring, time tools",
  "checks": "checks alone",
  "sketch": "sketch",
  "sdk-v1": "SDK v1",
  "sdk-v2": "SDK v2",
  "sdk-v2-sessions": "SDK v2, sessions",
  "mcp-lite": "mcp-lite",
  "hono-mcp": "@hono/mcp",
  "tmcp": "tmcp",
};

/** A figure with its unit. */
export function inUnit(value: number, unit: Unit): string {
  if (Number.isNaN(value)) return NOTHING;
  if (unit === "bytes") return `${(value / 1024).toFixed(1)} KiB`;
  if (unit === "pause") return `${value.toFixed(1)} ms`;
  if (value >= 10) return `${value.toFixed(0)} ×`;
  const percent = value * 100;
  return `${percent.toFixed(percent < 10 ? 1 : 0)} %`;
}
