/**
 * Why a user's account at an upstream can't be had.
 *
 * @module
 */

/** The reason why an account can't be had. Its message may be shown to the user: it has no secrets. */
export class AccountError extends Error {
  override readonly name = "AccountError";
  /** The reason, for events. */
  readonly reason: string;

  /**
   * Makes the error.
   *
   * @param reason The reason, for events
   * @param message What is wrong, as the user may know it
   * @param options The cause, for the operator alone
   */
  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
