/**
 * Replaces the time, the randomness and the turns of the event loop while a simulation runs.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import { withRandomSource } from "../../src/internal/random.ts";

/** The time at which every simulation begins, in milliseconds since the epoch. */
export const START_MS = 1_750_000_000_000;

/** A source of numbers that a seed determines (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Returns a number from 0 to below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Returns an integer from `from` to `to`, both included. */
  int(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  /** Whether something of this chance happens. */
  chance(of: number): boolean {
    return this.next() < of;
  }
}

interface Event {
  readonly at: number;
  readonly order: number;
  run: (() => void) | undefined;
}

interface Operation {
  readonly done: Promise<unknown>;
  readonly settle: () => void;
}

const SUBTLE = [
  "importKey",
  "deriveKey",
  "encrypt",
  "decrypt",
  "sign",
  "verify",
  "digest",
  "generateKey",
  "exportKey",
] as const;

/** Time that passes only when everything has happened that is due. */
export class Environment {
  now = START_MS;
  readonly #events: Event[] = [];
  #order = 0;
  #turns: (() => void)[] = [];
  readonly #operations: Operation[] = [];
  #threads = new Random(0);

  /** Calls back after a time; the returned function prevents it. */
  after(ms: number, run: () => void): () => void {
    const event: Event = { at: this.now + Math.max(0, ms), order: this.#order++, run };
    const events = this.#events;
    let at = events.length;
    while (at > 0 && (events[at - 1]?.at ?? 0) <= event.at) at--;
    // The next one is at the end. Of those with one time, the first to be added comes first.
    events.splice(at, 0, event);
    return () => void (event.run = undefined);
  }

  /** Resolves after a time. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(ms, resolve));
  }

  /** Lets time pass. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    await this.#drain();
    for (;;) {
      const next = this.#events.at(-1);
      if (next === undefined || next.at > end) break;
      this.#events.pop();
      if (next.run === undefined) continue;
      this.now = next.at;
      next.run();
      await this.#drain();
    }
    this.now = end;
  }

  /** Replaces what the host provides, until some work has ended. */
  async during<T>(seed: number, work: () => Promise<T>): Promise<T> {
    const random = new Random(seed);
    this.#threads = new Random(~seed);
    const fill = (bytes: Uint8Array) => {
      for (let i = 0; i < bytes.length; i++) bytes[i] = random.int(0, 255);
    };
    const undo: (() => void)[] = [];
    const replace = (target: object, name: string, value: unknown) => {
      const before = Object.getOwnPropertyDescriptor(target, name);
      Object.defineProperty(target, name, { value, configurable: true, writable: true });
      undo.push(() => {
        if (before === undefined) Reflect.deleteProperty(target, name);
        else Object.defineProperty(target, name, before);
      });
    };
    const timers = new Map<number, () => void>();
    let last = 0;
    replace(globalThis, "setTimeout", (run: () => void, ms = 0) => {
      const id = ++last;
      timers.set(
        id,
        this.after(ms, () => {
          timers.delete(id);
          run();
        }),
      );
      return id;
    });
    replace(globalThis, "clearTimeout", (id: number) => {
      timers.get(id)?.();
      timers.delete(id);
    });
    replace(globalThis, "setImmediate", (run: () => void) => void this.#turns.push(run));
    replace(Date, "now", () => Math.floor(this.now));
    replace(performance, "now", () => this.now - START_MS);
    replace(crypto, "getRandomValues", (bytes: Uint8Array) => {
      fill(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      return bytes;
    });
    for (const name of SUBTLE) {
      const method = (crypto.subtle[name] as (...args: unknown[]) => Promise<unknown>)
        .bind(crypto.subtle);
      // Other threads finish in any order: the seed says in which.
      replace(crypto.subtle, name, (...args: unknown[]) =>
        new Promise((resolve, reject) => {
          const operation = method(...args);
          let settle: () => void = () => {};
          const done = operation.then((value) => void (settle = () => resolve(value)), (error) => {
            settle = () => reject(error);
          });
          this.#operations.push({ done, settle: () => settle() });
        }));
    }
    try {
      return await withRandomSource(fill, work);
    } finally {
      while (undo.length > 0) undo.pop()?.();
    }
  }

  /** Lets everything run that waits for nothing but its turn. */
  async #drain(): Promise<void> {
    for (let quiet = 0; quiet < 2;) {
      await new Promise<void>((resolve) => void setImmediate(resolve));
      const at = this.#operations.length > 1
        ? this.#threads.int(0, this.#operations.length - 1)
        : 0;
      const operation = this.#operations[at];
      if (operation !== undefined) {
        await operation.done;
        this.#operations.splice(at, 1);
        operation.settle();
      } else if (this.#turns.length > 0) {
        for (const run of this.#turns.splice(0)) run();
      } else quiet += 1;
    }
  }
}
