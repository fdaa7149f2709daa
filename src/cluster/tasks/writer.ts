/**
 * Writes the changes of a task to its store, in order.
 *
 * @module
 */
import type { DelayLine } from "../../internal/delay_line.ts";
import { isPromise, type MaybePromise } from "../../internal/types.ts";
import { hasEnded, type TaskProgress, type TaskStore } from "../../protocol/task_store.ts";

/** Configures a {@linkcode TaskWriter}. */
export interface TaskWriterInit {
  readonly store: TaskStore;
  /** The task's id. */
  readonly id: string;
  /** The name of this process. */
  readonly runner: string;
  /** Delays the attempts to write the final state. */
  readonly retries: DelayLine;
  /** Tells whether nobody can read the final state any more, or this process ends. */
  readonly useless: () => boolean;
  /** Called with the errors of the store; only with the first one of the final state. */
  readonly failed: (error: unknown) => void;
  /** Called when the store refuses a change: the task has ended without this process. */
  readonly refused: () => void;
}

/**
 * Writes one change at a time. Of the changes that arrive meanwhile only the newest is written
 * next, so that at most one waits for a slow store. A change that fails is dropped, unless it is the
 * final state, which is written again until it succeeds or is useless.
 */
export class TaskWriter {
  readonly #init: TaskWriterInit;
  #writing = false;
  #next: TaskProgress | undefined;

  constructor(init: TaskWriterInit) {
    this.#init = init;
  }

  /** Writes a change, synchronously where the store is synchronous. */
  write(progress: TaskProgress): void {
    if (this.#writing) this.#next = progress;
    else this.#write(progress, false);
  }

  #write(progress: TaskProgress, again: boolean): void {
    const { store, id, runner } = this.#init;
    let written: MaybePromise<boolean>;
    try {
      written = store.update(id, runner, progress);
    } catch (error) {
      return this.#fail(progress, again, error);
    }
    if (!isPromise(written)) return this.#settle(written);
    this.#writing = true;
    written.then((done) => {
      this.#settle(done);
      this.#writeNext();
    }, (error) => {
      this.#fail(progress, again, error);
      this.#writeNext();
    });
  }

  #settle(done: boolean): void {
    if (!done) this.#init.refused();
  }

  #fail(progress: TaskProgress, again: boolean, error: unknown): void {
    const { failed, retries, useless } = this.#init;
    if (!again) failed(error);
    if (hasEnded(progress) && !useless()) retries.add(() => this.#write(progress, true));
  }

  #writeNext(): void {
    const next = this.#next;
    this.#writing = false;
    this.#next = undefined;
    if (next !== undefined) this.write(next);
  }
}
