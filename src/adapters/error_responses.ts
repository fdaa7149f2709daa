/**
 * Creates the responses to requests that fail outside the handler, without details.
 *
 * @module
 */
import { internalError as internalErrorReply } from "../http/refusals.ts";
import { refusal } from "../http/reply.ts";
import { respond } from "../http/respond.ts";
import { ErrorCode } from "../protocol/errors.ts";

/** Answers a request whose handler failed. */
export function internalError(): Response {
  return respond(internalErrorReply(undefined));
}

/** Answers an invalid HTTP request. */
export function badRequest(): Response {
  return respond(refusal({
    status: 400,
    code: ErrorCode.InvalidRequest,
    message: "Send a valid HTTP request",
    reason: "envelope",
  }));
}
