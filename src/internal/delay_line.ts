/**
 * Many waits of one length behind one timer.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { Linked, LinkedList } from "./linked_list.ts";

/** A wait in a {@linkcode DelayLine}. */
export interface Delay {
  /** Ends the wait without its callback being called. Safe to call at any time, more than once. */
  cancel(): void;
  /** Begins the wait anew, whether it still lasts, is over or was cancelled. */
  restart(): void;
}

/** A wait with its place in a line: for what waits often, and so is the wait itself. */
export abstract class Wait extends Linked<Wait> {
  /** When it is over. */
  due = 0;

  /** Called once when the time has passed. */
  abstract elapsed(): void;

  /** Whether it lasts. */
  get pending(): boolean {
    return this.list !== undefined;
  }

  /** Ends the wait without {@linkcode elapsed} being called. Safe to call at any time, more than once. */
  cancel(): void {
    this.list?.remove(this);
  }

  /** Lets another wait go on in its place, if it lasts. */
  replaceWith(to: Wait): void {
    to.due = this.due;
    this.list?.insert(to, this);
    this.cancel();
  }
}

/** A wait with a function. */
class CallbackWait extends Wait implements Delay {
  readonly #line: DelayLine;
  readonly #callback: () => void;

  constructor(line: DelayLine, callback: () => void) {
    super();
    this.#line = line;
    this.#callback = callback;
  }

  elapsed(): void {
    this.#callback();
  }

  restart(): void {
    this.#line.begin(this);
  }
}

/**
 * Waits that all last equally long stay in the order in which they began, so one timer for the
 * oldest serves them all: beginning and cancelling a wait costs a few pointers instead of a timer.
 *
 * Setting the clock back makes no wait last longer than its time once more.
 */
export class DelayLine {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #waits = new LinkedList<Wait>();
  #stop: (() => void) | undefined;

  /**
   * Makes a line without a wait, and without a timer until there is one.
   *
   * @param clock Where the time comes from
   * @param ms How long every wait lasts, in milliseconds, at least 1; `Infinity` waits for ever
   */
  constructor(clock: Clock, ms: number) {
    this.#clock = clock;
    this.#ms = Math.max(1, ms);
  }

  /** Calls `callback` once when the line's time has passed, unless the wait is cancelled. */
  add(callback: () => void): Delay {
    const wait = new CallbackWait(this, callback);
    this.begin(wait);
    return wait;
  }

  /** Begins a wait, or begins it anew. */
  begin(wait: Wait): void {
    wait.due = this.#clock.now() + this.#ms;
    this.#waits.append(wait);
    if (this.#ms === Infinity) return;
    // Behind others, there is a timer already, or there will be one when those have been called.
    if (this.#waits.first === wait) this.#stop ??= this.#timer(this.#ms);
  }

  /** Stops the timer unless a wait is pending. The line can be used again. */
  rest(): void {
    if (this.#waits.first !== undefined) return;
    this.#stop?.();
    this.#stop = undefined;
  }

  /** Ends every wait and the timer. The line can be used again. */
  clear(): void {
    for (let wait = this.#waits.first; wait !== undefined; wait = this.#waits.first) wait.cancel();
    this.#stop?.();
    this.#stop = undefined;
  }

  #timer(ms: number): () => void {
    return this.#clock.timer(ms, () => {
      this.#stop = undefined;
      this.#fire();
    });
  }

  #fire(): void {
    const now = this.#clock.now();
    try {
      let wait = this.#waits.first;
      while (wait !== undefined && wait.due <= now) {
        wait.cancel();
        wait.elapsed();
        wait = this.#waits.first;
      }
    } finally {
      const oldest = this.#waits.first;
      if (oldest !== undefined) {
        if (oldest.due > now + this.#ms) this.#correct(now);
        // A timer may fire a little early by the clock: waiting at least 1 ms keeps it from spinning.
        this.#stop ??= this.#timer(Math.max(1, oldest.due - now));
      }
    }
  }

  /** After the clock was set back, lets the waits that began in what is now the future begin now. */
  #correct(now: number): void {
    const latest = now + this.#ms;
    for (let wait = this.#waits.first; wait !== undefined; wait = wait.next) {
      wait.due = Math.min(wait.due, latest);
    }
  }
}
