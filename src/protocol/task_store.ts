/**
 * Defines what a task is, and the contract of a store for tasks.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { JsonObject, JsonRpcError } from "./jsonrpc.ts";

/** Identifies the Tasks extension. */
export const TASKS = "io.modelcontextprotocol/tasks";

/** The state of a task. Only `working` and `input_required` can change. */
export type TaskState =
  /** Says that the tool runs. */
  | { readonly status: "working" }
  /** Says that the tool waits for answers. */
  | {
    readonly status: "input_required";
    /** The open questions, by their keys. */
    readonly inputRequests: Readonly<Record<string, TaskQuestion>>;
  }
  /** Says that the tool returned a result, which may be an error result. */
  | { readonly status: "completed"; readonly result: JsonObject }
  /** Says that the request ended with an error. */
  | { readonly status: "failed"; readonly error: JsonRpcError }
  /** Says that the client cancelled the task. */
  | { readonly status: "cancelled" };

/** A question of a task to the client. */
export interface TaskQuestion {
  /** The name of the request to the client, such as `"elicitation/create"`. */
  readonly method: string;
  /** The parameters. */
  readonly params: JsonObject;
}

/** The part of a task that changes. */
export interface TaskProgress {
  /** The state. */
  readonly state: TaskState;
  /** The status message, for people. */
  readonly message?: string;
  /** The time of the change, in milliseconds since the epoch. */
  readonly updatedAt: number;
}

/** What another process needs to run the tool of a task again. */
export interface TaskRerun {
  /** The name of the tool. */
  readonly name: string;
  /** The arguments, as the client sent them. */
  readonly arguments?: unknown;
  /** The answers from before the task was created, in a form of the tasks extension's own. */
  readonly answers: JsonObject;
}

/** A task in a store. */
export interface TaskRecord extends TaskProgress {
  /** Identifies the task: 192 random bits. */
  readonly id: string;
  /** The key of the principal that owns the task. */
  readonly owner: string;
  /** The time of creation, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** The time for which the task is kept after its creation, in milliseconds. */
  readonly ttlMs: number;
  /** The name of the runner, which is the process that runs the task; empty while the task waits for one. */
  readonly runner: string;
  /** What the task needs to run again, once, if its runner is lost before it asked the client. */
  readonly rerun?: TaskRerun;
}

/** The most tasks of a store. */
export interface TaskCaps {
  /** Limits all tasks. */
  readonly tasks: number;
  /** The most tasks of each share, which is one user with all its clients: see `shareKey`. */
  readonly tasksPerPrincipal: number;
}

/** The name of a running task whose runner is lost. */
export interface LostTask {
  /** The task's id. */
  readonly id: string;
  /** The name of the runner. */
  readonly runner: string;
}

/** The answer to a runner's beat. */
export interface TaskBeat {
  /**
   * Says that the runner was not alive before this beat, so that its tasks may have ended without
   * it; also before its first beat.
   */
  readonly lapsed: boolean;
  /** Lists running tasks of runners that are lost. The caller must pass each to `lose`. */
  readonly lost: readonly LostTask[];
}

/**
 * Gives the time for which a runner is alive after its last beat, in milliseconds: as long as tasks
 * can still end within ten seconds of its death, since a tool may block the thread for a while.
 */
export const RUNNER_TTL_MS = 7_000;
/** The time between two beats of a runner, in milliseconds. */
export const RUNNER_BEAT_MS = 1_000;

/** Tells whether a task has ended: completed, failed, or cancelled. */
export function hasEnded({ state: { status } }: Pick<TaskProgress, "state">): boolean {
  return status !== "working" && status !== "input_required";
}

/**
 * Stores the tasks of all owners, and knows which process runs each.
 *
 * An implementation MUST
 * - count tasks by the `shareKey` of their owner, never by the owner: all clients of a user share;
 * - check both caps and store the task in one step, so that no burst exceeds a cap, and count every
 *   task until it expires or is deleted, whether it runs or has ended;
 * - have stored a task, visible to every reader, before `create` settles;
 * - treat a task whose age has reached its `ttlMs` as unknown, everywhere;
 * - treat another owner's task as unknown, in every respect;
 * - never change a task that has `completed`, `failed` or was `cancelled`;
 * - apply changes in the order in which they were made;
 * - forget `rerun` once the task has ended, asks the client (`input_required`), or was taken;
 * - consider a runner lost when `ttlMs` have passed since its last `beat` by the store's own clock,
 *   or after `leave`. But when no runner at all has beaten for more than half of `ttlMs`, so that
 *   perhaps none could reach the store, the next beat makes all runners alive for `ttlMs` more;
 * - return a lost task in one `beat` only, and again after `ttlMs` if it has not ended by then;
 * - store values as they were: later changes of a passed object change no task;
 * - accept every string as an id that may be unknown (`__proto__`, `constructor`, the empty
 *   string).
 */
export interface TaskStore {
  /** Stores a new task. Returns `false` when a cap is reached or the id is taken. */
  create(task: TaskRecord, caps: TaskCaps): MaybePromise<boolean>;
  /** Returns a task of the owner, or `undefined`. */
  get(id: string, owner: string): MaybePromise<TaskRecord | undefined>;
  /**
   * Changes a task for its runner. Returns `false` when it has ended, is unknown, or has another
   * runner.
   */
  update(id: string, runner: string, progress: TaskProgress): MaybePromise<boolean>;
  /**
   * Changes a task of the owner, on any node, unless it has ended. Returns the task as it was
   * before, or `undefined`.
   */
  cancel(id: string, owner: string, progress: TaskProgress): MaybePromise<TaskRecord | undefined>;
  /**
   * Makes a runner the runner of a task of the owner that waits for one. Returns `false` when the
   * task doesn't wait for one.
   */
  take(id: string, owner: string, runner: string): MaybePromise<boolean>;
  /**
   * Ends a task whose runner is lost: lets it wait for another runner if it has `rerun`, changes it
   * to `progress` otherwise. Does nothing when it has ended, has another runner, or the runner is
   * alive.
   */
  lose(id: string, runner: string, progress: TaskProgress): MaybePromise<void>;
  /** Deletes a task. */
  delete(id: string): MaybePromise<void>;
  /** Records that a runner is alive for `ttlMs` milliseconds from now. */
  beat(runner: string, ttlMs: number): MaybePromise<TaskBeat>;
  /** Records that a runner is lost from now on. */
  leave(runner: string): MaybePromise<void>;
}
