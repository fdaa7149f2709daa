/**
 * A clock that stands still until a test moves it.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import type { Clock } from "../../src/internal/clock.ts";

interface Timer {
  due: number;
  readonly callback: () => void;
}

/** Lets everything run that waits for nothing but its turn: microtasks, and streams being pumped. */
export async function flush(): Promise<void> {
  // What continues at the end of one turn may wait for the end of the next.
  for (let turns = 0; turns < 3; turns++) {
    await new Promise<void>((resolve) => {
      setImmediate(() => resolve());
    });
  }
}

/** A {@linkcode Clock} moved by hand. */
export class FakeClock implements Clock {
  #now: number;
  readonly #timers = new Set<Timer>();

  /** @param start The time to begin at, in milliseconds since the epoch */
  constructor(start = 1_750_000_000_000) {
    this.#now = start;
  }

  /** The time, in milliseconds since the epoch. */
  now(): number {
    return this.#now;
  }

  /** Calls `callback` once the clock has been moved `ms` milliseconds on. */
  timer(ms: number, callback: () => void): () => void {
    const timer = { due: this.#now + ms, callback };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /**
   * Moves the clock on by `ms` milliseconds. Timers that come due run in order, each at its own
   * time, and whatever they set going has run before the next and before this returns.
   */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await flush();
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, timer.due);
      timer.callback();
      await flush();
    }
    this.#now = end;
  }

  /**
   * Sets the time to `now` as an administrator does, backwards too: timers keep the waits that they
   * have left, as a machine's do.
   */
  set(now: number): void {
    const shift = now - this.#now;
    this.#now = now;
    for (const timer of this.#timers) timer.due += shift;
  }

  #next(end: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.due <= end && (next === undefined || timer.due < next.due)) next = timer;
    }
    return next;
  }
}
