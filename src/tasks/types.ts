/**
 * Defines what a task is, and the contract of a store for tasks.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { JsonObject, JsonRpcError } from "../protocol/jsonrpc.ts";

/** Represents the state of a task. Only `working` and `input_required` can change. */
export type TaskState =
  /** Says that the tool runs. */
  | { readonly status: "working" }
  /** Says that the tool waits for answers. */
  | {
    readonly status: "input_required";
    /** Holds the open questions, by their keys. */
    readonly inputRequests: Readonly<Record<string, TaskQuestion>>;
  }
  /** Says that the tool returned a result, which may be an error result. */
  | { readonly status: "completed"; readonly result: JsonObject }
  /** Says that the request ended with an error. */
  | { readonly status: "failed"; readonly error: JsonRpcError }
  /** Says that the client cancelled the task. */
  | { readonly status: "cancelled" };

/** Represents a question of a task to the client. */
export interface TaskQuestion {
  /** Names the request to the client, such as `"elicitation/create"`. */
  readonly method: string;
  /** Holds the parameters. */
  readonly params: JsonObject;
}

/** Holds the part of a task that changes. */
export interface TaskProgress {
  /** Holds the state. */
  readonly state: TaskState;
  /** Holds the status message, for people. */
  readonly message?: string;
  /** Gives the time of the change, in milliseconds since the epoch. */
  readonly updatedAt: number;
}

/** Represents a task in a store. */
export interface TaskRecord extends TaskProgress {
  /** Identifies the task: 192 random bits. */
  readonly id: string;
  /** Holds the key of the principal that owns the task. */
  readonly owner: string;
  /** Gives the time of creation, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** Gives the time for which the task is kept after its creation, in milliseconds. */
  readonly ttlMs: number;
}

/** Limits the tasks of a store. */
export interface TaskCaps {
  /** Limits all tasks. */
  readonly tasks: number;
  /** Limits the tasks of each share, which is one user with all its clients: see `shareKey`. */
  readonly tasksPerPrincipal: number;
}

/** Represents a message of the client to a running task. */
export type TaskMessage =
  | { readonly kind: "cancel" }
  /** Brings answers to open questions, by the keys of the questions. */
  | { readonly kind: "answers"; readonly answers: JsonObject };

/**
 * Stores the tasks of all owners, and routes messages to the process that runs each.
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
 * - deliver a message to the listener at most once, in the order of sending, and never throw what
 *   the listener throws;
 * - store values as they were: later changes of a passed object change no task;
 * - accept every string as an id that may be unknown (`__proto__`, `constructor`, the empty
 *   string).
 */
export interface TaskStore {
  /** Stores a new task. Returns `false` when a cap is reached or the id is taken. */
  create(task: TaskRecord, caps: TaskCaps): MaybePromise<boolean>;
  /** Returns a task of the owner, or `undefined`. */
  get(id: string, owner: string): MaybePromise<TaskRecord | undefined>;
  /** Changes a task that has not ended. Returns `false` when it has ended or is unknown. */
  update(id: string, progress: TaskProgress): MaybePromise<boolean>;
  /** Deletes a task. */
  delete(id: string): MaybePromise<void>;
  /**
   * Sends a message to the process that runs a task of the owner; it is dropped when the task
   * has ended. Returns `false` when the task is unknown.
   */
  send(id: string, owner: string, message: TaskMessage): MaybePromise<boolean>;
  /**
   * Receives the messages for a task that runs in this process, until the returned function is
   * called.
   */
  receive(id: string, listener: (message: TaskMessage) => void): () => void;
}
