/**
 * Creates the Tasks extension: its options, their checks and defaults.
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import { integerOption } from "../internal/check.ts";
import { type Clock, systemClock } from "../internal/clock.ts";
import type { TaskStore } from "../protocol/task_store.ts";
import type { Extension } from "../server/extension.ts";
import { TasksExtension } from "./extension.ts";

/** Configures {@linkcode tasks}. */
export interface TasksOptions {
  /**
   * Limits the life of a task and its result, in milliseconds from the task's creation. A tool that
   * still runs then is stopped.
   *
   * @default {900_000}
   */
  readonly ttlMs?: number;
  /**
   * Tells clients how often to poll a task, in milliseconds.
   *
   * @default {1_000}
   */
  readonly pollIntervalMs?: number;
  /** Limits the tasks. */
  readonly limits?: TasksLimits;
  /**
   * Stores the tasks.
   *
   * @default the store that the handlers share, such as `redisStore()`; without one, the memory of
   * this process
   */
  readonly store?: TaskStore;
  /**
   * Gives the time.
   *
   * @default the system clock
   */
  readonly clock?: Clock;
}

/** The most tasks of one {@linkcode tasks} extension. */
export interface TasksLimits {
  /**
   * Limits all tasks of the store, running or ended, until they expire. When it is reached, an `"optional"` tool
   * runs as an ordinary call, and a `"required"` one fails.
   *
   * @default {1_000}
   */
  readonly tasks?: number;
  /**
   * Limits the tasks of one principal. Without `authenticate` all requests have the same principal.
   *
   * @default {100}
   */
  readonly tasksPerPrincipal?: number;
  /**
   * Limits the result of a task as JSON, in bytes. A larger one becomes an error result.
   *
   * @default {1_048_576}
   */
  readonly resultBytes?: number;
}

/** The Tasks extension of one server. */
export interface Tasks extends Extension {
  /** The number of tasks that run in this process. */
  readonly running: number;
}

/**
 * Creates the Tasks extension (`io.modelcontextprotocol/tasks`), for `server.use`.
 *
 * @param options The options, all optional
 * @returns The extension, for one server
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is not an integer of 1 or more
 */
export function tasks(options: TasksOptions = {}): Tasks {
  checkNames("tasks()", options, {
    ttlMs: true,
    pollIntervalMs: true,
    limits: true,
    store: true,
    clock: true,
  });
  checkNames(
    "tasks()",
    options.limits,
    { tasks: true, tasksPerPrincipal: true, resultBytes: true },
    "limits.",
  );
  const { limits = {}, clock = systemClock, store } = options;
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

/**
 * Checks a finite integer option: tasks outlive the connection that could end them, so `Infinity`
 * is not allowed.
 */
function bounded(name: string, value: number | undefined, byDefault: number): number {
  const integer = integerOption(name, value, byDefault);
  if (integer !== Infinity) return integer;
  throw new RangeError(`Give an integer of 1 or more as "${name}": ${integer}`);
}
