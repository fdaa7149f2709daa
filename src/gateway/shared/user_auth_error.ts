/**
 * Reports that an upstream can't be used for a user, in words that the user gets.
 *
 * @module
 */
import { ErrorCode, McpError } from "../../../mod.ts";

/**
 * Reports that there are no credentials of a user for an upstream. Its message goes to the user's client as it
 * is: it says what to do, and has no secret. Other users may have some.
 */
export class UserAuthError extends McpError {
  /**
   * Makes the error.
   *
   * @param message What is wrong, and what the user can do
   * @param data The name of the upstream, and a code for the reason
   */
  constructor(message: string, data: { readonly upstream: string; readonly reason: string }) {
    super(ErrorCode.InternalError, message, { ...data });
    this.name = "UserAuthError";
  }
}
