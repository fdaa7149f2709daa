/**
 * Brings what happens to a task into its store, in order.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../internal/types.ts";
import type { TaskProgress, TaskStore } from "./types.ts";

/**
 * Writes one change after the other. Of those that come while one is on its way only the newest is
 * written, so that a slow store never has more than one to come.
 */
export class TaskWriter {
  readonly #store: TaskStore;
  readonly #id: string;
  readonly #failed: (error: unknown) => void;
  #writing = false;
  #next: TaskProgress | undefined;

  /** @param failed Told of what the store throws */
  constructor(store: TaskStore, id: string, failed: (error: unknown) => void) {
    this.#store = store;
    this.#id = id;
    this.#failed = failed;
  }

  /** Writes a change: at once, where the store does. */
  write(progress: TaskProgress): void {
    if (this.#writing) {
      this.#next = progress;
      return;
    }
    let written: MaybePromise<boolean>;
    try {
      written = this.#store.update(this.#id, progress);
    } catch (error) {
      return this.#failed(error);
    }
    if (!isPromise(written)) return;
    this.#writing = true;
    written.then(undefined, this.#failed).then(() => this.#more());
  }

  #more(): void {
    const next = this.#next;
    this.#writing = false;
    this.#next = undefined;
    if (next !== undefined) this.write(next);
  }
}
