/**
 * Stores tasks in the memory of one process.
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import {
  hasEnded,
  type LostTask,
  type TaskBeat,
  type TaskCaps,
  type TaskProgress,
  type TaskRecord,
  type TaskStore,
} from "../../protocol/task_store.ts";
import { shareKey } from "../../sessions/owner.ts";

interface Runner {
  /** The time until which it is alive, in milliseconds since the epoch. */
  until: number;
  /** The time until which its lost tasks are not returned again. */
  returnedUntil: number;
}

/** {@linkcode TaskStore} in memory. Every method returns synchronously. */
export class MemoryTaskStore implements TaskStore {
  readonly #clock: Clock;
  readonly #tasks: Map<string, TaskRecord>;
  /** The number of tasks of each share: of one user with all its clients. */
  readonly #shares = new Map<string, number>();
  readonly #runners = new Map<string, Runner>();
  /** The time of the last beat of any runner. */
  #lastBeat = -Infinity;

  /**
   * Creates a store.
   *
   * @param clock The source of time
   * @param tasks What it keeps; nothing at first when left out. Those that run are lost to the next runner
   */
  constructor(clock: Clock, tasks = new Map<string, TaskRecord>()) {
    this.#clock = clock;
    this.#tasks = tasks;
    for (const task of tasks.values()) {
      this.#shares.set(shareKey(task.owner), this.#count(task.owner) + 1);
      if (!hasEnded(task)) this.#runners.set(task.runner, { until: 0, returnedUntil: 0 });
    }
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

  update(id: string, runner: string, progress: TaskProgress): boolean {
    const task = this.#find(id);
    if (task === undefined || hasEnded(task) || task.runner !== runner) return false;
    this.#change(task, progress);
    return true;
  }

  cancel(id: string, owner: string, progress: TaskProgress): TaskRecord | undefined {
    const task = this.get(id, owner);
    if (task !== undefined && !hasEnded(task)) this.#change(task, progress);
    return task;
  }

  take(id: string, owner: string, runner: string): boolean {
    const task = this.get(id, owner);
    if (task === undefined || hasEnded(task) || task.runner !== "") return false;
    const { rerun: _, ...rest } = task;
    this.#tasks.set(id, { ...rest, runner });
    return true;
  }

  lose(id: string, runner: string, progress: TaskProgress): void {
    const task = this.#find(id);
    if (task === undefined || hasEnded(task) || task.runner !== runner) return;
    if (this.#isAlive(runner)) return;
    if (task.rerun === undefined) this.#change(task, progress);
    else this.#tasks.set(id, { ...task, runner: "" });
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

  beat(runner: string, ttlMs: number): TaskBeat {
    const now = this.#clock.now();
    const until = now + ttlMs;
    if (now - this.#lastBeat > ttlMs / 2) {
      for (const each of this.#runners.values()) each.until = until;
    }
    this.#lastBeat = now;
    const lapsed = !this.#isAlive(runner);
    this.#runners.set(runner, { until, returnedUntil: 0 });
    return { lapsed, lost: this.#lost(now, ttlMs) };
  }

  leave(runner: string): void {
    const known = this.#runners.get(runner);
    if (known !== undefined) known.until = 0;
  }

  /** Lists the tasks of lost runners, and forgets the lost runners without tasks. */
  #lost(now: number, ttlMs: number): LostTask[] {
    const lost = [...this.#runners].filter(([, { until, returnedUntil }]) =>
      until <= now && returnedUntil <= now
    );
    if (lost.length === 0) return [];
    const running = new Map<string, LostTask[]>(lost.map(([name]) => [name, []]));
    for (const task of this.#tasks.values()) {
      const { id, runner } = task;
      if (!hasEnded(task) && !this.#expired(task)) running.get(runner)?.push({ id, runner });
    }
    for (const [name, runner] of lost) {
      if (running.get(name)?.length === 0) this.#runners.delete(name);
      else runner.returnedUntil = now + ttlMs;
    }
    return [...running.values()].flat();
  }

  #isAlive(runner: string): boolean {
    return (this.#runners.get(runner)?.until ?? 0) > this.#clock.now();
  }

  #change(task: TaskRecord, progress: TaskProgress): void {
    const { message: _, rerun, ...rest } = task;
    const kept = progress.state.status === "working" && rerun !== undefined ? { rerun } : {};
    this.#tasks.set(task.id, { ...rest, ...kept, ...structuredClone(progress) });
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
