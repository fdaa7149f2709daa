/**
 * What the other side of a conversation asks, until it is answered.
 *
 * @module
 */
import { ErrorCode, errorObject, McpError } from "../protocol/errors.ts";
import type {
  JsonObject,
  JsonRpcError,
  JsonRpcRequest,
  JsonRpcResponse,
  RequestId,
} from "../protocol/jsonrpc.ts";

/** Answers each question once, a bounded number at a time. */
export class PeerQuestions {
  readonly #most: number;
  readonly #reply: (response: JsonRpcResponse) => void;
  readonly #open = new Map<RequestId, AbortController>();

  /**
   * Makes a place for questions.
   *
   * @param most How many there may be at a time; more are answered with an error
   * @param reply Sends an answer
   */
  constructor(most: number, reply: (response: JsonRpcResponse) => void) {
    this.#most = most;
    this.#reply = reply;
  }

  /** Answers a question with what `ask` comes to. A second one with the id of an open one is ignored. */
  async answer(
    { id }: JsonRpcRequest,
    ask: (signal: AbortSignal) => Promise<JsonObject>,
  ): Promise<void> {
    if (this.#open.has(id)) return;
    if (this.#open.size >= this.#most) {
      const error = errorObject(ErrorCode.Refused, "Ask again when other questions are answered");
      return this.#reply({ jsonrpc: "2.0", id, error });
    }
    const asking = new AbortController();
    this.#open.set(id, asking);
    const response = await ask(asking.signal).then(
      (result): JsonRpcResponse => ({ jsonrpc: "2.0", id, result }),
      (error): JsonRpcResponse => ({ jsonrpc: "2.0", id, error: wireError(error) }),
    );
    if (this.#open.get(id) !== asking) return;
    this.#open.delete(id);
    this.#reply(response);
  }

  /** Lets go of a question that the other side takes back: it gets no answer any more. */
  cancel(id: RequestId): void {
    const asking = this.#open.get(id);
    this.#open.delete(id);
    asking?.abort(new DOMException("Cancelled", "AbortError"));
  }

  /** Lets go of every question. */
  clear(reason: unknown): void {
    const all = [...this.#open.values()];
    this.#open.clear();
    for (const asking of all) asking.abort(reason);
  }
}

function wireError(error: unknown): JsonRpcError {
  if (error instanceof McpError) return errorObject(error.code, error.message, error.data);
  return errorObject(ErrorCode.InternalError, "Internal error");
}
