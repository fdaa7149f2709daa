/**
 * Sends commands to Redis, in order and never waiting for long.
 *
 * @module
 */
import { systemClock } from "../internal/clock.ts";
import { type Delay, DelayLine } from "../internal/delay_line.ts";
import type { RedisConnection } from "./client.ts";
import type { Script } from "./script.ts";

/** How many commands may be under way, those included that nobody waits for any more. */
const MOST_UNDER_WAY = 20_000;

interface Call {
  readonly args: readonly string[];
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: unknown) => void;
  delay?: Delay;
}

/**
 * Sends commands in the order of the calls. Each call settles within its time, whatever the client does:
 * the client's own queues know no bound. What can't go out because the connection is away waits here, and
 * once its time is over it is never sent.
 */
export class Commands {
  readonly #connection: RedisConnection;
  readonly #timeoutMs: number;
  readonly #deadlines: DelayLine;
  readonly #waiting = new Set<Call>();
  #underWay = 0;

  /**
   * @param connection Where commands go
   * @param timeoutMs How long a call waits for its answer, in milliseconds
   */
  constructor(connection: RedisConnection, timeoutMs: number) {
    this.#connection = connection;
    this.#timeoutMs = timeoutMs;
    // The machine's clock: it bounds a wait for another machine, which no clock of a test moves on.
    this.#deadlines = new DelayLine(systemClock, timeoutMs);
    connection.onReady(() => this.#sendWaiting());
  }

  /** Calls `late` when the time for one call is over, unless cancelled. */
  deadline(late: (error: Error) => void): Delay {
    return this.#deadlines.add(() => {
      late(new Error(`Redis has not answered within ${this.#timeoutMs} ms`));
    });
  }

  /**
   * Sends one command.
   *
   * @throws {Error} What Redis answers, or when it doesn't answer in time. The command may take effect all
   * the same
   */
  send(...args: string[]): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    if (this.#underWay + this.#waiting.size >= MOST_UNDER_WAY) {
      reject(new Error(`Redis is too slow: ${MOST_UNDER_WAY} commands are under way`));
      return promise;
    }
    const call: Call = { args, resolve, reject };
    call.delay = this.deadline((error) => {
      this.#waiting.delete(call);
      reject(error);
    });
    if (this.#connection.ready && this.#waiting.size === 0) this.#dispatch(call);
    else this.#waiting.add(call);
    return promise;
  }

  /** Runs a script by its hash, and by its text where Redis doesn't have it (any more). */
  async run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await this.send("EVALSHA", script.sha, ...rest);
    } catch (error) {
      // When it comes too late the call has failed before, and nothing happens behind what was called since.
      if (!isNoScript(error)) throw error;
      return await this.send("EVAL", script.text, ...rest);
    }
  }

  #sendWaiting(): void {
    for (const call of this.#waiting) {
      if (!this.#connection.ready) return;
      this.#waiting.delete(call);
      this.#dispatch(call);
    }
  }

  #dispatch({ args, resolve, reject, delay }: Call): void {
    this.#underWay += 1;
    const over = () => {
      this.#underWay -= 1;
      delay?.cancel();
    };
    let reply: Promise<unknown>;
    try {
      reply = Promise.resolve(this.#connection.send(args));
    } catch (error) {
      reply = Promise.reject(error);
    }
    reply.then((value) => {
      over();
      resolve(value);
    }, (error) => {
      over();
      reject(error);
    });
  }
}

function isNoScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("NOSCRIPT");
}
