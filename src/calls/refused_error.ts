/**
 * Defines the error of a call that is refused like a whole POST.
 *
 * @module
 */
import type { Refusal } from "../http/reply.ts";
import { McpError } from "../protocol/errors.ts";

/** Refuses a call with a reply of its own, if nothing has been sent for its POST. */
export class RefusedError extends McpError {
  readonly refusal: Refusal;

  /** Creates the error of a refusal. */
  constructor(refusal: Refusal) {
    const { code, message, data } = refusal.error;
    super(code, message, data);
    this.name = "RefusedError";
    this.refusal = refusal;
  }
}
