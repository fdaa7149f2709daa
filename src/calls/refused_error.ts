/**
 * Defines the error of a call that is refused like a whole POST.
 *
 * @module
 */
import { storeUnavailable } from "../http/refusals.ts";
import type { Refusal } from "../http/reply.ts";
import { McpError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";

/** Refuses a call with a reply of its own, if nothing has been sent for its POST. */
export class CallRefusedError extends McpError {
  readonly refusal: Refusal;

  /** Creates the error of a refusal. */
  constructor(refusal: Refusal) {
    const { code, message, data } = refusal.error;
    super(code, message, data);
    this.name = "RefusedError";
    this.refusal = refusal;
  }
}

/**
 * Refuses a request because a store of its dispatcher failed.
 *
 * @param store Names the store, for the client
 */
export function storeFailed(
  { method, id }: Pick<Exchange, "method" | "id">,
  error: unknown,
  store: string,
): CallRefusedError {
  return new CallRefusedError(storeUnavailable(method, error, id, store));
}
