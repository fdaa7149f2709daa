/**
 * Lets work that became ready in one turn of the event loop run in a row.
 *
 * @module
 */
import { afterTurn } from "./end_of_turn.ts";

/**
 * The most work that runs in a row. What its first part sends leaves when its last part has run: a
 * function that blocks the thread delays at most this many others.
 */
const MOST_IN_A_ROW = 16;

/**
 * Gathers what became ready in one turn of the event loop, and lets it continue in order at the end of
 * the turn.
 *
 * A host that reads, answers and writes one request after the other spends most of its time on refilling
 * the processor's caches, since each system call evicts the code of the next step. Where requests come
 * together, each step runs for many of them in a row instead (cohort scheduling). A request that comes
 * alone waits for some microseconds.
 */
export class TurnQueue {
  #waiting: (() => void)[] = [];
  #scheduled = false;
  readonly #perRequest: boolean;

  /** @param perRequest Whether a request must not wait for another one's callback: see `Clock` */
  constructor(perRequest = false) {
    this.#perRequest = perRequest;
  }

  /**
   * Waits for the end of the turn, or for that of a later one if much is waiting. A promise rather than a
   * callback: what awaits it continues in its own asynchronous context.
   */
  next(): Promise<void> {
    if (this.#perRequest) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (!this.#scheduled) this.#schedule();
    });
  }

  #schedule(): void {
    this.#scheduled = true;
    afterTurn(() => this.#run());
  }

  #run(): void {
    const row = this.#waiting;
    this.#waiting = row.splice(MOST_IN_A_ROW);
    this.#scheduled = false;
    if (this.#waiting.length > 0) this.#schedule();
    for (const resolve of row) resolve();
  }
}
