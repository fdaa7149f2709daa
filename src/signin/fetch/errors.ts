/**
 * Why a document could not be read.
 *
 * @module
 */

/** Why a document could not be read. */
export type FetchErrorReason =
  /** Its address is one that may not be read. */
  | "refused"
  /** It could not be reached in time: to try again may help. */
  | "unavailable"
  /** Too many are being read. */
  | "busy"
  /** The answer isn't a document, or is too large. */
  | "invalid";

/** The reason why a document could not be read. The message may be shown to anybody. */
export class FetchError extends Error {
  override readonly name = "FetchError";
  /** Why it could not be read. */
  readonly reason: FetchErrorReason;

  /**
   * Makes the error.
   *
   * @param reason Why it could not be read
   * @param message What is wrong, as anybody may know it
   * @param options The cause, for the operator alone
   */
  constructor(reason: FetchErrorReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
