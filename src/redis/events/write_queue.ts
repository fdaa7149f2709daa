/**
 * Writes to one session's event log, in order.
 *
 * @module
 */
import type { Delay } from "../../internal/delay_line.ts";
import type { RedisCommands } from "../clients/commands.ts";

/**
 * Names what to do with a stream: `o`pen, `a`ppend, append a `r`esponse, `e`nd, `d`eliver, `k`eep a request,
 * `i`nterrupt (end) or `m`ove its run, or `x` to drop the whole session.
 */
export type LogOperation = "o" | "a" | "r" | "e" | "d" | "k" | "i" | "m" | "x";

/** One operation to write. */
interface Op {
  readonly args: readonly [LogOperation, stream: string, value: string];
  readonly resolve: (answer: number) => void;
  readonly reject: (error: unknown) => void;
  readonly delay: Delay;
}

/** The most operations of one batch. */
const AT_ONCE = 128;
/** Limits the waiting operations. */
const MOST_WAITING = 4_096;

/**
 * Writes one batch at a time, so that the order holds even when a batch fails or is slow;
 * operations that arrive meanwhile form the next batch. Each call settles within its time limit.
 */
export class WriteQueue {
  readonly #commands: RedisCommands;
  readonly #write: (args: readonly string[]) => Promise<readonly number[]>;
  readonly #idle: () => void;
  readonly #waiting = new Set<Op>();
  #busy = false;
  /** Called when no operation is left. */
  #written: (() => void)[] = [];

  /**
   * @param commands Gives the time limit
   * @param write Writes a batch: answers one number for each three arguments
   * @param idle Called when no operation is left
   */
  constructor(
    commands: RedisCommands,
    write: (args: readonly string[]) => Promise<readonly number[]>,
    idle: () => void,
  ) {
    this.#commands = commands;
    this.#write = write;
    this.#idle = idle;
  }

  /**
   * Writes one operation after those before it.
   *
   * @param act What to do
   * @param stream The stream to do it to
   * @param value What the operation needs, as `WRITE` says
   * @returns The number of an appended event; 1 if a run was ended or moved; otherwise 0
   * @throws {Error} If too many operations wait, or Redis fails or doesn't answer in time
   */
  add(act: LogOperation, stream: string, value: string): Promise<number> {
    if (this.#waiting.size >= MOST_WAITING) {
      return Promise.reject(new Error(`Redis is too slow: ${MOST_WAITING} events wait`));
    }
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const delay = this.#commands.deadline((error) => {
      this.#waiting.delete(op);
      reject(error);
    });
    const op: Op = { args: [act, stream, value], resolve, reject, delay };
    this.#waiting.add(op);
    if (!this.#busy) this.#next();
    return promise;
  }

  /** Waits until no operation is left. */
  written(): Promise<void> {
    if (!this.#busy) return Promise.resolve();
    return new Promise((resolve) => void this.#written.push(resolve));
  }

  #next(): void {
    this.#busy = this.#waiting.size > 0;
    if (!this.#busy) {
      for (const resolve of this.#written.splice(0)) resolve();
      return this.#idle();
    }
    const batch = [...this.#waiting].slice(0, AT_ONCE);
    for (const op of batch) this.#waiting.delete(op);
    this.#write(batch.flatMap(({ args }) => args)).then(
      (answers) => batch.forEach(({ resolve }, i) => resolve(answers[i] ?? 0)),
      (error) => batch.forEach(({ reject }) => reject(error)),
    ).finally(() => {
      for (const { delay } of batch) delay.cancel();
      this.#next();
    });
  }
}
