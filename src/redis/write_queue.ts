/**
 * What is written to one session's event log, in order.
 *
 * @module
 */
import type { Delay } from "../internal/delay_line.ts";
import type { Commands } from "./commands.ts";

/** What is done to a stream: `o`pen, `a`ppend, `e`nd, `d`eliver, or `x` to drop the whole session. */
export type LogAct = "o" | "a" | "e" | "d" | "x";

/** One thing to write. */
interface Op {
  readonly args: readonly [LogAct, stream: string, value: string];
  readonly resolve: (answer: number) => void;
  readonly reject: (error: unknown) => void;
  readonly delay: Delay;
}

/** How much is written together at most. */
const AT_ONCE = 128;
/** How much may wait. */
const MOST_WAITING = 4_096;

/**
 * Writes one batch at a time, so that nothing overtakes anything, whatever becomes of a batch on its way;
 * what comes meanwhile is the next batch. Each call settles within its time.
 */
export class WriteQueue {
  readonly #commands: Commands;
  readonly #write: (args: readonly string[]) => Promise<readonly number[]>;
  readonly #idle: () => void;
  readonly #waiting = new Set<Op>();
  #busy = false;

  /**
   * @param write Writes a batch: for each three arguments it answers one number
   * @param idle Called when nothing is left to write
   */
  constructor(
    commands: Commands,
    write: (args: readonly string[]) => Promise<readonly number[]>,
    idle: () => void,
  ) {
    this.#commands = commands;
    this.#write = write;
    this.#idle = idle;
  }

  /** Writes one thing behind those before it. */
  add(act: LogAct, stream: string, value: string): Promise<number> {
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

  #next(): void {
    this.#busy = this.#waiting.size > 0;
    if (!this.#busy) return this.#idle();
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
