/**
 * Processes that can die, stand still, and have a wrong clock: nodes, and the upstreams behind them.
 *
 * @module
 */
import type { Clock } from "../../src/internal/clock.ts";
import type { Environment } from "./environment.ts";

/** The error of a process that is dead. */
export class ProcessDied extends Error {}

/** A process: what it does happens by {@linkcode SimulatedProcess.run}, or not at all. */
export class SimulatedProcess {
  readonly name: string;
  protected readonly environment: Environment;
  /** The times at which it reported that the store had failed. */
  readonly troubles: number[] = [];
  readonly #death = new Set<() => void>();
  #waiting: (() => void)[] = [];
  #stalled = 0;
  #offset = 0;
  #timers = 0;
  dead = false;
  /** When it died. */
  diedAt = Infinity;
  /** Whether others may have taken it for lost: it died, stood still, or was without the store. */
  doubtful = false;
  /** Whether it has stood still. */
  paused = false;

  constructor(name: string, environment: Environment) {
    this.name = name;
    this.environment = environment;
  }

  /** How many of its timers wait. */
  get timers(): number {
    return this.#timers;
  }

  /** Runs something of this process: later if it stands still, never once it is dead. */
  run(callback: () => void): void {
    if (this.dead) return;
    if (this.#stalled > 0) this.#waiting.push(callback);
    else callback();
  }

  /** Dies: nothing of it happens any more. */
  kill(): void {
    this.dead = this.doubtful = true;
    this.diedAt = this.environment.now;
    this.#waiting = [];
    for (const died of [...this.#death]) died();
  }

  /** Stands still for a time. */
  stall(ms: number): void {
    this.doubtful = this.paused = true;
    this.#stalled += 1;
    this.environment.after(ms, () => {
      this.#stalled -= 1;
      while (this.#stalled === 0 && this.#waiting.length > 0) this.#waiting.shift()?.();
    });
  }

  /** Sets its clock beside the true time. */
  jump(ms: number): void {
    this.#offset = ms;
  }

  /** Calls back when it dies, until the returned function is called. */
  onDeath(died: () => void): () => void {
    this.#death.add(died);
    return () => void this.#death.delete(died);
  }

  /** Waits for something of this process, and fails when it dies. */
  async alive<T>(promise: Promise<T>): Promise<T> {
    if (this.dead) throw new ProcessDied(this.name);
    return await new Promise<T>((resolve, reject) => {
      const forget = this.onDeath(() => reject(new ProcessDied(this.name)));
      promise.finally(forget).then(resolve, reject);
    });
  }

  /** Makes its clock. */
  clock(): Clock {
    const { environment } = this;
    return {
      now: () => Math.floor(environment.now + this.#offset),
      precise: () => environment.now,
      timer: (ms, callback) => {
        this.#timers += 1;
        let waits = true;
        const over = () => {
          if (!waits) return false;
          waits = false;
          this.#timers -= 1;
          return true;
        };
        const stop = environment.after(ms, () => this.run(() => over() && callback()));
        return () => {
          if (over()) stop();
        };
      },
    };
  }

  /** Waits, as long as it is alive. */
  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const stop = this.environment.after(ms, () =>
        this.run(() => {
          signal.removeEventListener("abort", abort);
          resolve();
        }));
      const abort = () => {
        stop();
        reject(signal.reason);
      };
      signal.addEventListener("abort", abort, { once: true });
    });
  }
}
