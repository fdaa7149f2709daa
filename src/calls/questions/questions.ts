/**
 * Keeps the open questions of a session: requests to the client that wait for its response.
 *
 * @module
 */
import type { Delay, DelayLine } from "../../internal/delay_line.ts";
import { randomText } from "../../internal/random.ts";
import { ErrorCode, McpError } from "../../protocol/errors.ts";
import type { JsonObject, JsonRpcResponse } from "../../protocol/jsonrpc.ts";

/** The maximum number of open questions of one session. */
const MOST = 100;

interface SentQuestion {
  readonly resolve: (result: JsonObject) => void;
  readonly reject: (reason: unknown) => void;
  readonly delay: Delay;
}

/** An open question. */
export interface OpenQuestion {
  /** The id of the request: unguessable, and unique across nodes. */
  readonly id: string;
  /** Resolves with the result that the client sends. */
  readonly response: Promise<JsonObject>;
  /** Rejects `response` and closes the question, if it is open. */
  readonly abort: (reason: unknown) => void;
}

const ID = /^q-([\w-]{16})[\w-]{22}$/;

/** Returns the node that sent a question, which is a part of its id, or `undefined`. */
export function askerOf(id: unknown): string | undefined {
  return typeof id === "string" ? ID.exec(id)?.[1] : undefined;
}

/** The open questions of one session. A client's response is only matched with these. */
export class OpenQuestions {
  readonly #open = new Map<string, SentQuestion>();
  readonly #timeout: DelayLine;
  readonly #node: string;

  /**
   * Creates an empty set.
   *
   * @param timeout The delay line of the questions' time limit
   * @param node The id of this node, of 16 characters; left out if there are no others
   */
  constructor(timeout: DelayLine, node = "") {
    this.#timeout = timeout;
    this.#node = node;
  }

  /** The number of open questions. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * Opens a question.
   *
   * @param expired Called when the question times out, before it rejects
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
    return { id, response: promise, abort: (reason) => this.#take(id)?.reject(reason) };
  }

  /**
   * Settles the question that a client's response belongs to.
   *
   * @returns Whether there is one
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

  #take(id: string): SentQuestion | undefined {
    const question = this.#open.get(id);
    if (question === undefined) return undefined;
    this.#open.delete(id);
    question.delay.cancel();
    return question;
  }
}
