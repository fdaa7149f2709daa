/**
 * Answers the requests of an upstream, which are called questions here.
 *
 * @module
 */
import {
  ErrorCode,
  type JsonObject,
  type JsonRpcError,
  type JsonRpcResponse,
  McpError,
  MissingCapabilityError,
  type RequestId,
} from "../../../mod.ts";
import { errorObject, type JsonRpcRequest } from "../../kit.ts";

/** Answers each question once, and a bounded number at a time. */
export class UpstreamQuestions {
  readonly #max: number;
  readonly #reply: (response: JsonRpcResponse) => void;
  readonly #pending = new Map<RequestId, AbortController>();

  /**
   * Creates an empty set of questions.
   *
   * @param max Questions at a time; more are answered with an error
   * @param reply Sends an answer
   */
  constructor(max: number, reply: (response: JsonRpcResponse) => void) {
    this.#max = max;
    this.#reply = reply;
  }

  /** Answers a question with the outcome of `ask`. Ignores a second one with the id of a pending one. */
  async answer(
    { id }: JsonRpcRequest,
    ask: (signal: AbortSignal) => Promise<JsonObject>,
  ): Promise<void> {
    if (this.#pending.has(id)) return;
    if (this.#pending.size >= this.#max) {
      const error = errorObject(ErrorCode.Refused, "Ask again when other questions are answered");
      return this.#reply({ jsonrpc: "2.0", id, error });
    }
    const controller = new AbortController();
    this.#pending.set(id, controller);
    const response = await ask(controller.signal).then(
      (result): JsonRpcResponse => ({ jsonrpc: "2.0", id, result }),
      (error): JsonRpcResponse => ({ jsonrpc: "2.0", id, error: wireError(error) }),
    );
    if (this.#pending.get(id) !== controller) return;
    this.#pending.delete(id);
    this.#reply(response);
  }

  /** Cancels a question, which is then never answered. */
  cancel(id: RequestId): void {
    const controller = this.#pending.get(id);
    this.#pending.delete(id);
    controller?.abort(new DOMException("Cancelled", "AbortError"));
  }

  /** Cancels every question. */
  clear(reason: unknown): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const controller of all) controller.abort(reason);
  }
}

/**
 * Returns the error for an upstream that asked. Only those of the 2025 era do, so a client's missing
 * capability has the code that a client would answer with: that of an unknown method, or of invalid
 * parameters for a mode (2025-11-25, Roots and Elicitation, Error Handling).
 */
function wireError(error: unknown): JsonRpcError {
  if (error instanceof MissingCapabilityError) {
    const { capability } = error;
    const code = capability.includes(".") ? ErrorCode.InvalidParams : ErrorCode.MethodNotFound;
    const cause = code === ErrorCode.MethodNotFound ? "Method not found: the" : "The";
    return errorObject(code, `${cause} client doesn't support "${capability}"`);
  }
  if (error instanceof McpError) return errorObject(error.code, error.message, error.data);
  return errorObject(ErrorCode.InternalError, "Internal error");
}
