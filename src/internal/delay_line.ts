/**
 * Runs many waits of the same length on one timer.
 *
 * @module
 */
import type { Clock } from "./clock.ts";
import { Linked, LinkedList } from "./linked_list.ts";

/** A wait in a {@linkcode DelayLine}. */
export interface Delay {
  /** Ends the wait without calling its callback. Safe to call at any time, more than once. */
  cancel(): void;
  /** Restarts the wait, whether it is pending, has elapsed or was cancelled. */
  restart(): void;
}

/** A wait in a {@linkcode DelayLine}: a base class, so that an object that waits is its own list node. */
export abstract class Wait extends Linked<Wait> {
  /** When the wait elapses, in milliseconds since the epoch. */
  due = 0;
  /** Whether it has a timer of its own. */
  armed = false;

  /** Called once when the wait has elapsed. */
  abstract elapsed(): void;

  /** Called instead of {@linkcode elapsed} if the request that began it is gone, with its timer. */
  lost(): void {
    this.elapsed();
  }

  /** Whether the wait has neither elapsed nor been cancelled. */
  get pending(): boolean {
    return this.list !== undefined;
  }

  /** Ends the wait without calling {@linkcode elapsed}. Safe to call at any time, more than once. */
  cancel(): void {
    this.list?.remove(this);
  }

  /** Puts another wait in the place of this one, with the time that is left, if this one is pending. */
  replaceWith(to: Wait): void {
    to.due = this.due;
    this.list?.insert(to, this);
    this.cancel();
  }
}

/** A wait that calls a function. */
class CallbackWait extends Wait implements Delay {
  readonly #line: DelayLine;
  readonly #callback: () => void;
  readonly #onLost: () => void;

  constructor(line: DelayLine, callback: () => void, onLost: () => void) {
    super();
    this.#line = line;
    this.#callback = callback;
    this.#onLost = onLost;
  }

  override lost(): void {
    this.#onLost();
  }

  elapsed(): void {
    this.#callback();
  }

  restart(): void {
    this.#line.begin(this);
  }
}

/**
 * The time after which a wait whose timer has not fired has lost it, in milliseconds: the request that
 * began it is gone.
 */
const LOST_MS = 1_000;

/** The maximum number of lost waits that end when another one begins. */
const MOST_LOST = 4;

/**
 * Holds waits of the same length. They elapse in the order in which they began, so one timer for the
 * oldest serves all of them: starting or cancelling a wait costs a few pointers instead of a timer.
 *
 * Where timers end with the request that set them, each wait has its own. One that lost its timer elapses
 * when a later one begins.
 *
 * When the clock is set back, a wait takes at most its length again.
 */
export class DelayLine {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #waits = new LinkedList<Wait>();
  #stop: (() => void) | undefined;

  /**
   * Creates a line without waits; no timer runs until one begins.
   *
   * @param clock The source of time
   * @param ms The length of every wait, in milliseconds, at least 1; with `Infinity` no wait elapses
   */
  constructor(clock: Clock, ms: number) {
    this.#clock = clock;
    this.#ms = Math.max(1, ms);
  }

  /**
   * Begins a wait that calls `callback` once when it elapses, unless it is cancelled.
   *
   * @param onLost Called instead if the request that began it is gone, with its timer
   */
  add(callback: () => void, onLost: () => void = callback): Delay {
    const wait = new CallbackWait(this, callback, onLost);
    this.begin(wait);
    return wait;
  }

  /** Begins or restarts a wait. */
  begin(wait: Wait): void {
    wait.due = this.#clock.now() + this.#ms;
    this.#waits.append(wait);
    if (this.#ms === Infinity) return;
    if (this.#clock.perRequest === true) return this.#beginAlone(wait);
    // With older waits in front, a timer runs already, or is set when those have been called.
    if (this.#waits.first === wait) this.#stop ??= this.#timer(this.#ms);
  }

  /** The wait that began first. */
  get oldest(): Wait | undefined {
    return this.#waits.first;
  }

  /** Stops the timer unless a wait is pending. The line can be used again. */
  rest(): void {
    if (this.#waits.first !== undefined) return;
    this.#stop?.();
    this.#stop = undefined;
  }

  /** Cancels every wait and the timer. The line can be used again. */
  clear(): void {
    for (let wait = this.#waits.first; wait !== undefined; wait = this.#waits.first) wait.cancel();
    this.#stop?.();
    this.#stop = undefined;
  }

  #beginAlone(wait: Wait): void {
    this.#endLost();
    this.#arm(wait, this.#ms);
  }

  /** Sets a wait's own timer. When it fires after the wait was restarted, it is set again. */
  #arm(wait: Wait, ms: number): void {
    if (wait.armed) return;
    wait.armed = true;
    this.#clock.timer(ms, () => {
      wait.armed = false;
      if (wait.list !== this.#waits) return;
      const left = wait.due - this.#clock.now();
      if (left > 0) return this.#arm(wait, Math.min(left, this.#ms));
      wait.cancel();
      wait.elapsed();
    });
  }

  #endLost(): void {
    const before = this.#clock.now() - LOST_MS;
    for (let ended = 0; ended < MOST_LOST; ended++) {
      const wait = this.#waits.first;
      if (wait === undefined || wait.due > before) return;
      wait.cancel();
      wait.armed = false;
      try {
        wait.lost();
      } catch {
        // It has touched something of the request that is gone.
      }
    }
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
        // A timer may fire slightly early: waiting at least 1 ms prevents a busy loop.
        this.#stop ??= this.#timer(Math.max(1, oldest.due - now));
      }
    }
  }

  /** Shortens waits whose start is in the future because the clock was set back. */
  #correct(now: number): void {
    const latest = now + this.#ms;
    for (let wait = this.#waits.first; wait !== undefined; wait = wait.next) {
      wait.due = Math.min(wait.due, latest);
    }
  }
}
