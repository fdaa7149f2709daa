/**
 * Defines how a tool runs as a task (2026-07-28, Tasks extension).
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { RequestContext } from "./types.ts";

/**
 * Says whether a tool also serves clients that don't know tasks: an `"optional"` tool runs as an
 * ordinary call for them, a `"required"` one fails.
 */
export type TaskSupport = "optional" | "required";

/** Configures how a tool runs as a task. */
export interface ToolTask<Args = unknown> {
  /** Whether the tool also serves clients that don't know tasks. */
  readonly support: TaskSupport;
  /**
   * Asks the client in the call itself, before the task is created. The handler then asks the same
   * questions under the same keys and gets the answers at once.
   */
  readonly askFirst?: (args: Args, ctx: RequestContext) => MaybePromise<unknown>;
}

/**
 * Checks the `task` of a tool's configuration and returns its full form.
 *
 * @param name The tool's name, in errors
 * @param served Whether the server uses the Tasks extension
 * @throws {TypeError} If the value is unknown, or the server doesn't use the extension
 */
export function toolTaskOf(
  name: string,
  task: TaskSupport | ToolTask | undefined,
  served: boolean,
): ToolTask | undefined {
  if (task === undefined) return undefined;
  const full = typeof task === "string" ? { support: task } : task;
  if (typeof task === "object") {
    checkNames<ToolTask>(`task of "${name}"`, task, { support: true, askFirst: true });
  }
  if (full.support !== "optional" && full.support !== "required") {
    throw new TypeError(`Give "optional" or "required" as "task" of "${name}": ${full.support}`);
  }
  if (served) return full;
  throw new TypeError(
    `Call server.use(tasks()), of "@mooring/mcp/tasks", before registering a tool with "task": ` +
      `"${name}"`,
  );
}
