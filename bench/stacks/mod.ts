/**
 * Every server that is measured, loaded when it is asked for, so that none pays for another.
 *
 * @module
 */
import type { StackModule } from "./types.ts";

/** How to load each server, by its name. */
const STACKS = {
  "floor": async () => (await import("./floor.ts")).floor,
  "node-http": async () => (await import("./node_http.ts")).nodeHttp,
  "mooring": async () => (await import("./mooring.ts")).mooring,
  "mooring-hosted": async () => (await import("./mooring.ts")).mooringHosted,
  "mooring-no-log": async () => (await import("./mooring.ts")).mooringWithoutLog,
  "mooring-broadcast": async () => (await import("./mooring.ts")).mooringBroadcasting,
  "mooring-observed": async () => (await import("./mooring.ts")).mooringObserved,
  "time-tools": async () => (await import("./time_tools.ts")).timeTools,
  "checks": async () => (await import("./checks.ts")).checks,
  "sketch": async () => (await import("./sketch.ts")).sketch,
  "sdk-v1": async () => (await import("./sdk_v1.ts")).sdkV1,
  "sdk-v2": async () => (await import("./sdk_v2.ts")).sdkV2,
  "sdk-v2-sessions": async () => (await import("./sdk_v2_sessions.ts")).sdkV2Sessions,
  "mcp-lite": async () => (await import("./mcp_lite.ts")).mcpLite,
  "hono-mcp": async () => (await import("./hono_mcp.ts")).honoMcp,
  "tmcp": async () => (await import("./tmcp.ts")).tmcp,
} satisfies Readonly<Record<string, () => Promise<StackModule>>>;

/** The name of a server. */
export type StackName = keyof typeof STACKS;

/** Every name of a server, the floor first. */
export const STACK_NAMES = Object.keys(STACKS) as readonly StackName[]; // the keys of a constant

/** Whether a text names a server. */
export function isStack(text: string): text is StackName {
  return Object.hasOwn(STACKS, text);
}

/** Loads a server. */
export function loadStack(name: StackName): Promise<StackModule> {
  return STACKS[name]();
}
