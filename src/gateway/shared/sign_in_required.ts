/**
 * Reports that an upstream answers a user only after a sign-in.
 *
 * @module
 */
import { quote } from "../../kit.ts";
import type { SignInNeed } from "../types.ts";
import { UserAuthError } from "./user_auth_error.ts";

/**
 * Reports that an upstream answers a user only after a sign-in. A call of a tool asks the user; any other
 * request gets this error itself.
 */
export class SignInRequiredError extends UserAuthError {
  /** What the upstream wants. */
  readonly need: SignInNeed;

  /**
   * Makes the error.
   *
   * @param upstream The name of the upstream
   * @param need What the upstream wants
   */
  constructor(upstream: string, need: SignInNeed) {
    const message = `Call a tool of the upstream ${
      quote(upstream)
    } to be asked to sign in there first`;
    super(message, { upstream, reason: "sign-in" });
    this.name = "SignInRequiredError";
    this.need = need;
  }
}
