/**
 * What a task is, and what a store of tasks must do.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { JsonObject, JsonRpcError } from "../protocol/jsonrpc.ts";

/** Where a task stands. Only the first two can still change. */
export type TaskState =
  /** It runs. */
  | { readonly status: "working" }
  /** It waits for answers. */
  | {
    readonly status: "input_required";
    /** What is asked, by the questions' keys. */
    readonly inputRequests: Readonly<Record<string, TaskQuestion>>;
  }
  /** The tool has come to a result, which may say that it failed. */
  | { readonly status: "completed"; readonly result: JsonObject }
  /** The request ended with an error. */
  | { readonly status: "failed"; readonly error: JsonRpcError }
  /** The client cancelled it. */
  | { readonly status: "cancelled" };

/** What a task asks the client. */
export interface TaskQuestion {
  /** A request to the client, such as `"elicitation/create"`. */
  readonly method: string;
  /** Its parameters. */
  readonly params: JsonObject;
}

/** What changes in a task. */
export interface TaskProgress {
  /** Where the task stands. */
  readonly state: TaskState;
  /** What there is to say about it, for people. */
  readonly message?: string;
  /** When it came to stand there, in milliseconds since the epoch. */
  readonly updatedAt: number;
}

/** What is kept of a task. */
export interface TaskRecord extends TaskProgress {
  /** Its id: 192 random bits. */
  readonly id: string;
  /** The key of the principal that owns it. */
  readonly owner: string;
  /** When it was created, in milliseconds since the epoch. */
  readonly createdAt: number;
  /** How long it is kept from then on, in milliseconds. */
  readonly ttlMs: number;
}

/** How many tasks there may be. */
export interface TaskCaps {
  /** In all. */
  readonly tasks: number;
  /** For each owner. */
  readonly tasksPerPrincipal: number;
}

/** What a client has to say to a running task. */
export type TaskMessage =
  | { readonly kind: "cancel" }
  /** Answers to what is asked, by the questions' keys. */
  | { readonly kind: "answers"; readonly answers: JsonObject };

/**
 * The tasks of all owners, and the way to the process that runs each.
 *
 * An implementation MUST
 * - check both caps and keep the task in one step, so that no burst passes a cap, and count every task
 *   until it expires or is deleted, whether it runs or has ended;
 * - have kept a task, for everybody who may ask for it, before `create` answers;
 * - take a task that is as old as its `ttlMs` or older for unknown, everywhere;
 * - take another owner's task for unknown, in every respect;
 * - let nothing change a task that has `completed`, `failed` or was `cancelled`;
 * - keep changes in the order in which they were made;
 * - hand a message to the listener at most once, in the order of sending, and never throw what the
 *   listener throws;
 * - keep what it is given as it was: no later change of an object changes a task;
 * - treat every text as an id that may be unknown (`__proto__`, `constructor`, the empty text).
 */
export interface TaskStore {
  /** Keeps a new task. `false` when a cap is reached or the id is taken. */
  create(task: TaskRecord, caps: TaskCaps): MaybePromise<boolean>;
  /** An owner's task, or `undefined`. */
  get(id: string, owner: string): MaybePromise<TaskRecord | undefined>;
  /** Changes a task that hasn't ended. `false` when it has, or is unknown. */
  update(id: string, progress: TaskProgress): MaybePromise<boolean>;
  /** Forgets a task. */
  delete(id: string): MaybePromise<void>;
  /**
   * Hands a message to whoever runs an owner's task; nobody does when it has ended. `false` when the
   * task is unknown.
   */
  send(id: string, owner: string, message: TaskMessage): MaybePromise<boolean>;
  /** Hears the messages for a task that runs in this process, until the returned function is called. */
  receive(id: string, listener: (message: TaskMessage) => void): () => void;
}
