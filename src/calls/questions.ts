/**
 * Requests to the client that wait for its reply.
 *
 * @module
 */
import type { Delay, DelayLine } from "../internal/delay_line.ts";
import { randomText } from "../internal/random.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { JsonObject, JsonRpcResponse } from "../protocol/jsonrpc.ts";

/** How many questions of one session may be open. */
const MOST = 100;

interface Question {
  readonly resolve: (result: JsonObject) => void;
  readonly reject: (reason: unknown) => void;
  readonly delay: Delay;
}

/** A question that has an id and waits. */
export interface OpenQuestion {
  /** Unguessable, and unique across nodes. */
  readonly id: string;
  /** What the client answers. */
  readonly reply: Promise<JsonObject>;
  /** Ends the waiting, unless it has ended. */
  readonly abort: (reason: unknown) => void;
}

const ID = /^q-([\w-]{16})[\w-]{22}$/;

/** The node that asked a question, as its id says; `undefined` where it says nothing. */
export function askerOf(id: unknown): string | undefined {
  return typeof id === "string" ? ID.exec(id)?.[1] : undefined;
}

/** The questions that are open in one session. A reply is matched here and nowhere else. */
export class Questions {
  readonly #open = new Map<string, Question>();
  readonly #timeout: DelayLine;
  readonly #node: string;

  /**
   * @param timeout The line of waits after which a question is given up
   * @param node The node that asks, where there are others: an id of 16 characters
   */
  constructor(timeout: DelayLine, node = "") {
    this.#timeout = timeout;
    this.#node = node;
  }

  /** How many are open. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * Opens a question.
   *
   * @param expired Called when the time is up, before the question rejects
   * @throws {McpError} If too many questions are open in the session
   */
  open(expired: (id: string) => void): OpenQuestion {
    if (this.#open.size >= MOST) {
      throw new McpError(ErrorCode.Refused, `Ask at most ${MOST} questions at a time`);
    }
    const id = `q-${this.#node}${randomText(22)}`;
    const { promise, resolve, reject } = Promise.withResolvers<JsonObject>();
    const delay = this.#timeout.add(() => {
      expired(id);
      this.#take(id)?.reject(
        new McpError(ErrorCode.NotAvailable, "The client gave no answer in time"),
      );
    });
    this.#open.set(id, { resolve, reject, delay });
    return { id, reply: promise, abort: (reason) => this.#take(id)?.reject(reason) };
  }

  /**
   * Hands a client's reply to the question that it answers.
   *
   * @returns Whether there was one
   */
  settle(response: JsonRpcResponse): boolean {
    const question = typeof response.id === "string" ? this.#take(response.id) : undefined;
    if (question === undefined) return false;
    const { error, result } = response;
    if (error === undefined) question.resolve(result ?? {});
    else question.reject(new McpError(error.code, error.message, error.data));
    return true;
  }

  /** Aborts every open question. */
  abortAll(reason: unknown): void {
    for (const id of [...this.#open.keys()]) this.#take(id)?.reject(reason);
  }

  #take(id: string): Question | undefined {
    const question = this.#open.get(id);
    if (question === undefined) return undefined;
    this.#open.delete(id);
    question.delay.cancel();
    return question;
  }
}
