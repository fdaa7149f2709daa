/**
 * Checks the options of calls that run long.
 *
 * @module
 */
import { delayOption } from "../internal/check.ts";
import { checkNames } from "../internal/known_names.ts";
import type { Route } from "../protocol/route.ts";
import type { TaskCaps } from "../protocol/task_store.ts";

/** The `_meta` key of an answer that is not a tool's result but the handle of its call. */
export const LONG_CALL_META = "mooring/longCall";

/** Options for calls that run long. */
export interface LongCallOptions {
  /**
   * Time after which a call is answered although its tool still runs, in milliseconds: less than the time
   * after which clients give up. A tool's own `longCalls` overrides it.
   *
   * @default {45000}
   */
  readonly afterMs?: number;
  /**
   * Time for which a call and its result are kept, in milliseconds from its answer. A tool that still runs
   * then is stopped.
   *
   * @default {900000}
   */
  readonly ttlMs?: number;
}

/** The checked options of calls that run long. */
export interface LongCallSettings {
  readonly afterMs: number;
  readonly ttlMs: number;
  readonly caps: TaskCaps;
  readonly resultBytes: number;
}

/**
 * Checks the options.
 *
 * @param most The most calls that are kept, of all principals and of one
 * @param resultBytes The most bytes of a result
 * @returns `undefined` if calls are never answered early
 */
export function longCallSettings(
  options: false | LongCallOptions | undefined,
  most: { readonly all: number; readonly each: number },
  resultBytes: number,
): LongCallSettings | undefined {
  if (options === undefined || options === false) return undefined;
  checkNames("createMcpHandler()", options, { afterMs: true, ttlMs: true }, "longCalls.");
  return {
    afterMs: delayOption("longCalls.afterMs", options.afterMs, 45_000),
    ttlMs: delayOption("longCalls.ttlMs", options.ttlMs, 15 * 60_000),
    caps: { tasks: most.all, tasksPerPrincipal: most.each },
    resultBytes,
  };
}

/**
 * Checks when calls of a tool, or of all tools of an upstream, are answered although the tool still runs.
 *
 * @param where Names what has the option, for errors
 * @returns `undefined` where the handler's time applies
 * @throws {TypeError} If it has the wrong type
 * @throws {RangeError} If the time is out of range
 */
export function ownLongCalls(
  where: string,
  given: false | { readonly afterMs?: number } | undefined,
): Route["longCalls"] {
  if (given === undefined || given === false) return given;
  checkNames(where, given, { afterMs: true }, "longCalls.");
  const afterMs = delayOption("longCalls.afterMs", given.afterMs);
  return afterMs === undefined ? undefined : { afterMs };
}
