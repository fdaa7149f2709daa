/**
 * Many waits of one length behind one timer.
 *
 * @module
 */
import type { Clock } from "./clock.ts";

/** A wait in a {@linkcode DelayLine}. */
export interface Delay {
  /** Ends the wait without its callback being called. Safe to call at any time, more than once. */
  cancel(): void;
}

class Entry implements Delay {
  previous: Entry | undefined;
  next: Entry | undefined;
  readonly due: number;
  callback: (() => void) | undefined;
  readonly #line: { unlink(entry: Entry): void };

  constructor(line: { unlink(entry: Entry): void }, due: number, callback: () => void) {
    this.#line = line;
    this.due = due;
    this.callback = callback;
  }

  cancel(): void {
    if (this.callback === undefined) return;
    this.callback = undefined;
    this.#line.unlink(this);
  }
}

/**
 * Waits that all last equally long stay in the order in which they began, so one timer for the
 * oldest serves them all: beginning and cancelling a wait costs two pointers instead of a timer.
 */
export class DelayLine {
  readonly #clock: Clock;
  readonly #ms: number;
  #head: Entry | undefined;
  #tail: Entry | undefined;
  #stop: (() => void) | undefined;

  /**
   * @param clock Where the time comes from
   * @param ms How long every wait lasts, in milliseconds
   */
  constructor(clock: Clock, ms: number) {
    this.#clock = clock;
    this.#ms = ms;
  }

  /** Calls `callback` once when the line's time has passed, unless the wait is cancelled. */
  add(callback: () => void): Delay {
    const entry = new Entry(this, this.#clock.now() + this.#ms, callback);
    entry.previous = this.#tail;
    if (this.#tail === undefined) this.#head = entry;
    else this.#tail.next = entry;
    this.#tail = entry;
    this.#stop ??= this.#clock.timer(this.#ms, () => this.#fire());
    return entry;
  }

  /** Takes an entry out of the line. Called by the entry itself. */
  unlink(entry: Entry): void {
    if (entry.previous === undefined) this.#head = entry.next;
    else entry.previous.next = entry.next;
    if (entry.next === undefined) this.#tail = entry.previous;
    else entry.next.previous = entry.previous;
    entry.previous = entry.next = undefined;
  }

  /** Ends every wait and the timer. The line can be used again. */
  clear(): void {
    for (let entry = this.#head; entry !== undefined; entry = entry.next) {
      entry.callback = undefined;
    }
    this.#head = this.#tail = undefined;
    this.#stop?.();
    this.#stop = undefined;
  }

  #fire(): void {
    this.#stop = undefined;
    const now = this.#clock.now();
    while (this.#head !== undefined && this.#head.due <= now) {
      const { callback } = this.#head;
      this.#head.cancel();
      callback?.();
    }
    if (this.#head === undefined) return;
    this.#stop ??= this.#clock.timer(Math.max(1, this.#head.due - now), () => this.#fire());
  }
}
