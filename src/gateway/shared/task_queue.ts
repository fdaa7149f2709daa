/**
 * Limits the tasks that run, and those that wait, at the same time.
 *
 * @module
 */

/** Runs tasks in their order, some at a time. */
export class TaskQueue {
  readonly #most: number;
  readonly #mostWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  /**
   * Creates an empty queue.
   *
   * @param most The number of tasks that run at a time
   * @param mostWaiting The number of tasks that wait until they may run
   */
  constructor(most: number, mostWaiting: number) {
    this.#most = most;
    this.#mostWaiting = mostWaiting;
  }

  /**
   * Runs a task as soon as it may run.
   *
   * @returns The task's own promise; `undefined` if too many tasks wait already
   */
  run(task: () => Promise<void>): Promise<void> | undefined {
    if (this.#running < this.#most) return this.#run(task);
    if (this.#waiting.length >= this.#mostWaiting) return undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    // The task that ends has left its place to this one.
    return promise.then(() => this.#run(task, true));
  }

  async #run(task: () => Promise<void>, hasPlace = false): Promise<void> {
    if (!hasPlace) this.#running++;
    try {
      await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
