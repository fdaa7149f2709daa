/**
 * Stores tasks in the memory of one process.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { shareKey } from "../sessions/owner.ts";
import type { TaskCaps, TaskMessage, TaskProgress, TaskRecord, TaskStore } from "./types.ts";

/** Implements {@linkcode TaskStore} in memory. Every method returns synchronously. */
export class MemoryTaskStore implements TaskStore {
  readonly #clock: Clock;
  readonly #tasks = new Map<string, TaskRecord>();
  /** Counts the tasks of each share: of one user with all its clients. */
  readonly #shares = new Map<string, number>();
  readonly #listeners = new Map<string, (message: TaskMessage) => void>();

  /** @param clock The source of time */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  create(task: TaskRecord, caps: TaskCaps): boolean {
    if (this.#find(task.id) !== undefined) return false;
    if (this.#full(task.owner, caps)) {
      this.#sweep();
      if (this.#full(task.owner, caps)) return false;
    }
    this.#tasks.set(task.id, structuredClone(task));
    this.#shares.set(shareKey(task.owner), this.#count(task.owner) + 1);
    return true;
  }

  get(id: string, owner: string): TaskRecord | undefined {
    const task = this.#find(id);
    return task?.owner === owner ? task : undefined;
  }

  update(id: string, progress: TaskProgress): boolean {
    const task = this.#find(id);
    if (task === undefined || hasEnded(task)) return false;
    const { message: _, ...rest } = task;
    this.#tasks.set(id, { ...rest, ...structuredClone(progress) });
    return true;
  }

  delete(id: string): void {
    const task = this.#tasks.get(id);
    if (task === undefined) return;
    this.#tasks.delete(id);
    const count = this.#count(task.owner) - 1;
    const share = shareKey(task.owner);
    if (count > 0) this.#shares.set(share, count);
    else this.#shares.delete(share);
  }

  send(id: string, owner: string, message: TaskMessage): boolean {
    const task = this.get(id, owner);
    if (task === undefined) return false;
    if (!hasEnded(task)) this.#deliver(id, message);
    return true;
  }

  receive(id: string, listener: (message: TaskMessage) => void): () => void {
    this.#listeners.set(id, listener);
    return () => {
      if (this.#listeners.get(id) === listener) this.#listeners.delete(id);
    };
  }

  #deliver(id: string, message: TaskMessage): void {
    try {
      this.#listeners.get(id)?.(message);
    } catch {
      // The listener reports its own failures; the sender is not concerned
    }
  }

  #find(id: string): TaskRecord | undefined {
    const task = this.#tasks.get(id);
    if (task === undefined || !this.#expired(task)) return task;
    this.delete(id);
    return undefined;
  }

  #full(owner: string, { tasks, tasksPerPrincipal }: TaskCaps): boolean {
    return this.#tasks.size >= tasks || this.#count(owner) >= tasksPerPrincipal;
  }

  #sweep(): void {
    for (const [id, task] of this.#tasks) if (this.#expired(task)) this.delete(id);
  }

  #expired({ createdAt, ttlMs }: TaskRecord): boolean {
    return this.#clock.now() - createdAt >= ttlMs;
  }

  #count(owner: string): number {
    return this.#shares.get(shareKey(owner)) ?? 0;
  }
}

function hasEnded({ state: { status } }: TaskRecord): boolean {
  return status !== "working" && status !== "input_required";
}
