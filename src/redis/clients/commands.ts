/**
 * Sends commands to Redis, in order and with a time limit.
 *
 * @module
 */
import { systemClock } from "../../internal/clock.ts";
import { type Delay, DelayLine } from "../../internal/delay_line.ts";
import type { RedisConnection } from "./connection.ts";
import type { Script } from "../scripts/script.ts";

/** The most commands in flight, including those whose callers have given up. */
const MOST_IN_FLIGHT = 20_000;

interface QueuedCommand {
  readonly args: readonly string[];
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: unknown) => void;
  delay?: Delay;
  /** Aborted when the call's time is over, for a client that keeps commands. */
  late?: AbortController;
}

/** Publishes where the channel's slot is, so that messages of one slot keep their order. */
const PUBLISH = "return redis.call('PUBLISH', KEYS[1], ARGV[1])";

/**
 * Sends commands in the order of the calls. Each call settles within its time limit, whatever the
 * client does: the queues of the clients have no bound. While the connection is down commands wait
 * here, and are never sent once their time is over.
 */
export class RedisCommands {
  readonly #connection: RedisConnection;
  readonly #timeoutMs: number;
  readonly #deadlines: DelayLine;
  readonly #waiting = new Set<QueuedCommand>();
  #inFlight = 0;

  /**
   * @param connection Sends the commands
   * @param timeoutMs The time that a call waits for its answer, in milliseconds
   */
  constructor(connection: RedisConnection, timeoutMs: number) {
    this.#connection = connection;
    this.#timeoutMs = timeoutMs;
    // The system clock, as this limits the wait for another machine, which a test's clock doesn't
    // control.
    this.#deadlines = new DelayLine(systemClock, timeoutMs);
    connection.onReady(() => this.#sendWaiting());
  }

  /** Calls `late` when the time limit of one call is over, unless cancelled. */
  deadline(late: (error: Error) => void): Delay {
    return this.#deadlines.add(() => {
      late(new Error(`Redis has not answered within ${this.#timeoutMs} ms`));
    });
  }

  /**
   * Sends one command.
   *
   * @throws {Error} If Redis answers with an error, or doesn't answer in time; then the command may
   * still take effect
   */
  send(...args: string[]): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    if (this.#inFlight + this.#waiting.size >= MOST_IN_FLIGHT) {
      reject(new Error(`Redis is too slow: ${MOST_IN_FLIGHT} commands are in flight`));
      return promise;
    }
    const call: QueuedCommand = { args, resolve, reject };
    call.delay = this.deadline((error) => {
      this.#waiting.delete(call);
      call.late?.abort();
      reject(error);
    });
    if (this.#connection.ready && this.#waiting.size === 0) this.#dispatch(call);
    else this.#waiting.add(call);
    return promise;
  }

  /**
   * Runs a script by its hash, or by its text when Redis doesn't know the hash.
   *
   * @param keys The keys that the script uses, all in one slot
   * @param args Its other arguments; most scripts take the time first, see `timeArgument`
   * @throws {Error} As {@linkcode RedisCommands.send} does
   */
  async run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await this.send("EVALSHA", script.sha, ...rest);
    } catch (error) {
      // If this answer comes too late the call has failed already, so the script can't run after
      // later commands.
      if (!isNoScript(error)) throw error;
      return await this.send("EVAL", script.text, ...rest);
    }
  }

  /** Whether the client sends commands to several servers. */
  get cluster(): boolean {
    return this.#connection.cluster === true;
  }

  /**
   * Publishes a message, after those published before to channels of the same hash tag.
   *
   * @returns The answer of `PUBLISH`: how many subscribers one server has sent it to
   * @throws {Error} As {@linkcode RedisCommands.send} does
   */
  publish(channel: string, text: string): Promise<unknown> {
    // Clients send a command without a key to any server of a cluster.
    if (this.cluster) return this.send("EVAL", PUBLISH, "1", channel, text);
    return this.send("PUBLISH", channel, text);
  }

  #sendWaiting(): void {
    for (const call of this.#waiting) {
      if (!this.#connection.ready) return;
      this.#waiting.delete(call);
      this.#dispatch(call);
    }
  }

  #dispatch(call: QueuedCommand): void {
    const { args, resolve, reject, delay } = call;
    this.#inFlight += 1;
    if (this.#connection.keepsCommands) call.late = new AbortController();
    const settle = () => {
      this.#inFlight -= 1;
      delay?.cancel();
    };
    let reply: Promise<unknown>;
    try {
      reply = Promise.resolve(this.#connection.send(args, call.late?.signal));
    } catch (error) {
      reply = Promise.reject(error);
    }
    reply.then((value) => {
      settle();
      resolve(value);
    }, (error) => {
      settle();
      reject(error);
    });
  }
}

function isNoScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("NOSCRIPT");
}
