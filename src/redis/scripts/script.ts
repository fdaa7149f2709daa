/**
 * Builds the Lua scripts that Redis runs in one step. A script uses only the keys that it gets,
 * which are in one slot. Times are in milliseconds; the first argument is the time, or empty for
 * the time of the Redis server.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type Clock, systemClock } from "../../internal/clock.ts";

/** A script that Redis runs in one step. */
export interface Script {
  /** The Lua source. */
  readonly text: string;
  /** The SHA-1 of the source, by which Redis finds it again. */
  readonly sha: string;
}

/** Defines functions for all scripts: the time, and the format of integers. */
const COMMON = `
local function time(given)
  if given ~= '' then return tonumber(given) end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function int(number) return string.format('%.0f', number) end
`;

/** Concatenates parts to a script. */
export function script(...parts: readonly string[]): Script {
  const text = [COMMON, ...parts].join("\n");
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

/** The longest time that a key is kept, in milliseconds: a year. */
export const LONGEST_MS = 366 * 24 * 60 * 60 * 1_000;

/** Bounds a time or a count to {@linkcode LONGEST_MS}, as scripts can't calculate with `Infinity`. */
export function bounded(value: number): number {
  return Math.min(value, LONGEST_MS);
}

/** Returns the time argument of a script: empty, for the time of Redis, unless a clock was given. */
export function timeArgument(clock: Clock): string {
  return clock === systemClock ? "" : String(clock.now());
}
