/**
 * Writes the changes of a task to its store, in order.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../internal/types.ts";
import type { TaskProgress, TaskStore } from "./types.ts";

/**
 * Writes one change at a time. Of the changes that arrive meanwhile only the newest is written
 * next, so that at most one waits for a slow store.
 */
export class TaskWriter {
  readonly #store: TaskStore;
  readonly #id: string;
  readonly #failed: (error: unknown) => void;
  #writing = false;
  #next: TaskProgress | undefined;

  /** @param failed Called with the errors of the store */
  constructor(store: TaskStore, id: string, failed: (error: unknown) => void) {
    this.#store = store;
    this.#id = id;
    this.#failed = failed;
  }

  /** Writes a change, synchronously where the store is synchronous. */
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
    written.then(undefined, this.#failed).then(() => this.#writeNext());
  }

  #writeNext(): void {
    const next = this.#next;
    this.#writing = false;
    this.#next = undefined;
    if (next !== undefined) this.write(next);
  }
}
