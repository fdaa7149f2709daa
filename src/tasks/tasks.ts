/**
 * Makes the Tasks extension.
 *
 * @module
 */
import { integerOption } from "../internal/check.ts";
import { type Clock, systemClock } from "../internal/clock.ts";
import type { Extension } from "../server/extension.ts";
import { TasksExtension } from "./extension.ts";
import { MemoryTaskStore } from "./memory_store.ts";
import type { TaskStore } from "./types.ts";

/** Options for {@linkcode tasks}. */
export interface TasksOptions {
  /**
   * How long a task lasts and its result is kept, in milliseconds from the task's beginning. What
   * still runs then is stopped.
   *
   * @default {900_000}
   */
  readonly ttlMs?: number;
  /**
   * How often clients are to ask for a task, in milliseconds.
   *
   * @default {1_000}
   */
  readonly pollIntervalMs?: number;
  /** How much there may be. */
  readonly limits?: TasksLimits;
  /**
   * Where tasks are kept.
   *
   * @default in this process's memory
   */
  readonly store?: TaskStore;
  /**
   * Where the time comes from.
   *
   * @default the machine's clock
   */
  readonly clock?: Clock;
}

/** How much there may be of tasks. */
export interface TasksLimits {
  /**
   * How many tasks there may be in all, running or ended, until they expire. Past it an
   * `"optional"` tool runs as an ordinary call, and a `"required"` one refuses.
   *
   * @default {1_000}
   */
  readonly tasks?: number;
  /**
   * How many tasks one principal may have. Without `authenticate` everybody is one principal.
   *
   * @default {100}
   */
  readonly tasksPerPrincipal?: number;
  /**
   * How many bytes the result of a task may have as JSON. A larger one becomes an error result.
   *
   * @default {1_048_576}
   */
  readonly resultBytes?: number;
}

/** The Tasks extension of one server. */
export interface Tasks extends Extension {
  /** How many tasks run in this process. */
  readonly running: number;
}

/**
 * Makes the Tasks extension (`io.modelcontextprotocol/tasks`), for `server.use`.
 *
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 */
export function tasks(options: TasksOptions = {}): Tasks {
  const { limits = {}, clock = systemClock, store = new MemoryTaskStore(clock) } = options;
  return new TasksExtension({
    ttlMs: bounded("ttlMs", options.ttlMs, 900_000),
    pollIntervalMs: bounded("pollIntervalMs", options.pollIntervalMs, 1_000),
    caps: {
      tasks: bounded("limits.tasks", limits.tasks, 1_000),
      tasksPerPrincipal: bounded("limits.tasksPerPrincipal", limits.tasksPerPrincipal, 100),
    },
    resultBytes: bounded("limits.resultBytes", limits.resultBytes, 1024 * 1024),
    store,
    clock,
  });
}

/** An integer that is no infinity: tasks outlive the connection that could end them. */
function bounded(name: string, value: number | undefined, byDefault: number): number {
  const integer = integerOption(name, value, byDefault);
  if (integer !== Infinity) return integer;
  throw new RangeError(`Give an integer of 1 or more as "${name}": ${integer}`);
}
