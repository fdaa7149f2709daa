/**
 * Many waits that are seldom over, behind one timer, without anybody asking for the time.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { LinkedList } from "./linked_list.ts";
import type { Wait } from "./delay_line.ts";

/**
 * Waits that last at least the line's time, and at most twice as long: beginning and cancelling one
 * costs a few pointers. It is for limits that hardly anybody ever reaches.
 */
export class CoarseLine {
  readonly #clock: Clock;
  readonly #ms: number;
  /** Those that began before the timer that runs, and those that began since then. */
  #older = new LinkedList<Wait>();
  #newer = new LinkedList<Wait>();
  #stop: (() => void) | undefined;

  /**
   * Makes a line without a wait, and without a timer until there is one.
   *
   * @param clock Where the timers come from
   * @param ms How long every wait lasts at least, in milliseconds; `Infinity` is for ever
   */
  constructor(clock: Clock, ms: number) {
    this.#clock = clock;
    this.#ms = ms;
  }

  /** Begins a wait. */
  begin(wait: Wait): void {
    this.#newer.append(wait);
    if (this.#stop === undefined && this.#ms !== Infinity) this.#start();
  }

  /** Stops the timer unless somebody waits. The line can be used again. */
  rest(): void {
    if (this.#older.first !== undefined || this.#newer.first !== undefined) return;
    this.#stop?.();
    this.#stop = undefined;
  }

  #start(): void {
    this.#stop = this.#clock.timer(this.#ms, () => this.#turnOver());
  }

  #turnOver(): void {
    this.#stop = undefined;
    const over = this.#older;
    this.#older = this.#newer;
    // What begins while others are over waits its own time.
    this.#newer = new LinkedList();
    if (this.#older.first !== undefined) this.#start();
    for (let wait = over.first; wait !== undefined; wait = over.first) {
      wait.cancel();
      wait.over();
    }
  }
}
