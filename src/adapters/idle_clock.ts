/**
 * Provides the time to a process that must not be kept awake by timers.
 *
 * @module
 */
import { type Clock, systemClock } from "../internal/clock.ts";

interface Timer {
  readonly due: number;
  readonly callback: () => void;
  stop: (() => void) | undefined;
}

/** A clock whose timers wait while it is suspended. A timer whose time came then fires on resumption. */
export class IdleClock implements Clock {
  readonly #clock: Clock;
  readonly #timers = new Set<Timer>();
  #running = false;

  /** Creates a suspended clock. */
  constructor(clock: Pick<Clock, "now" | "timer"> = systemClock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  timer(ms: number, callback: () => void): () => void {
    const timer: Timer = { due: this.now() + ms, callback, stop: undefined };
    this.#timers.add(timer);
    if (this.#running) this.#start(timer);
    return () => {
      timer.stop?.();
      this.#timers.delete(timer);
    };
  }

  /** Lets timers fire. */
  resume(): void {
    if (this.#running) return;
    this.#running = true;
    for (const timer of this.#timers) this.#start(timer);
  }

  /** Stops all timers until the clock is resumed. */
  suspend(): void {
    this.#running = false;
    for (const timer of this.#timers) {
      timer.stop?.();
      timer.stop = undefined;
    }
  }

  #start(timer: Timer): void {
    timer.stop = this.#clock.timer(Math.max(0, timer.due - this.now()), () => {
      this.#timers.delete(timer);
      timer.callback();
    });
  }
}
