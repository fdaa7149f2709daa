/**
 * What a tool's registration says of tasks (2026-07-28, Tasks extension).
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { RequestContext } from "./types.ts";

/** The identifier of the extension. */
export const TASKS = "io.modelcontextprotocol/tasks";

/**
 * Whether a client can do without tasks: for one that doesn't know them an `"optional"` tool runs as
 * ever, and a `"required"` one refuses.
 */
export type TaskSupport = "optional" | "required";

/** How a tool runs as a task, where there is more to say than whether. */
export interface ToolTask<Args = unknown> {
  /** Whether a client can do without tasks. */
  readonly support: TaskSupport;
  /**
   * Asks, in the call itself, what has to be known before there is a task. The handler then asks the
   * same under the same keys and has the answers at once.
   */
  readonly askFirst?: (args: Args, ctx: RequestContext) => MaybePromise<unknown>;
}

/**
 * What a registration says, in its full form.
 *
 * @throws {TypeError} If it says nothing that is known, or the server doesn't use the extension
 */
export function toolTaskOf(
  name: string,
  task: TaskSupport | ToolTask | undefined,
  served: boolean,
): ToolTask | undefined {
  if (task === undefined) return undefined;
  const full = typeof task === "string" ? { support: task } : task;
  if (full.support !== "optional" && full.support !== "required") {
    throw new TypeError(`Give "optional" or "required" as "task" of "${name}": ${full.support}`);
  }
  if (served) return full;
  throw new TypeError(
    `Call server.use(tasks()), of "@mooring/mcp/tasks", before a tool has "task": "${name}"`,
  );
}
