/**
 * Why a server has no figure for a kind of work.
 *
 * @module
 */
import type { KindName } from "./kinds.ts";
import type { StackName } from "./stacks/mod.ts";

const NEVER_ENDS: readonly KindName[] = ["sweep", "evict"];

/** Reasons with the kinds that they are for. What is left out is for all other kinds. */
type Gap = readonly [reason: string, kinds?: readonly KindName[]];

const PER_SESSION: readonly Gap[] = [
  ["never ends a session by itself", NEVER_ENDS],
  ["100,000 server objects need gigabytes", ["live-100000"]],
];

const GAPS: Readonly<Record<StackName, readonly Gap[]>> = {
  "floor": [["has no sessions that end", NEVER_ENDS]],
  "node-http": [["is for HTTP alone, on Node"]],
  "mooring": [],
  "mooring-hosted": [["is the same but over HTTP"]],
  "mooring-observed": [["is the same but over HTTP"]],
  "mooring-no-log": [["is for comparing notifications alone"]],
  "mooring-broadcast": [["is for comparing notifications alone"]],
  "time-tools": [["is for comparing languages alone"]],
  "checks": [["does nothing but calls and the beginning of sessions"]],
  "sketch": [["is compared over HTTP alone"]],
  "sdk-v1": [...PER_SESSION, ["does not speak 2026-07-28", ["modern"]]],
  "sdk-v2": [["makes a server for each request and has no sessions"]],
  "sdk-v2-sessions": [...PER_SESSION, ["2026-07-28 has no sessions: see SDK v2", ["modern"]]],
  "mcp-lite": [
    ["never ends a session by itself", NEVER_ENDS],
    ["does not speak 2026-07-28", ["modern"]],
    ["a notification can't be sent to one session", ["notify"]],
  ],
  "hono-mcp": [...PER_SESSION, ["does not speak 2026-07-28", ["modern"]]],
  "tmcp": [
    ["never ends a session by itself", NEVER_ENDS],
    ["a notification can't be sent to one session", ["notify"]],
  ],
};

/** Why a server can't do a kind of work; `undefined` when nothing is known against it. */
export function gapOf(stack: StackName, kind: KindName): string | undefined {
  return GAPS[stack].find(([, kinds]) => kinds?.includes(kind) ?? true)?.[0];
}
