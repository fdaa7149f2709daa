/**
 * Creates the responses to requests that fail outside the handler, without details.
 *
 * @module
 */
import { internalError as internalErrorReply } from "../http/refusals.ts";
import { refusal, type Reply } from "../http/reply.ts";
import { respond } from "../http/respond.ts";
import { ErrorCode } from "../protocol/errors.ts";

/** Answers a request whose handler failed. */
export function internalError(): Response {
  return respond(internalErrorReply(undefined));
}

/** The reply to an invalid HTTP request. */
export const BAD_REQUEST: Reply = refusal({
  status: 400,
  code: ErrorCode.InvalidRequest,
  message: "Send a valid HTTP request",
  reason: "envelope",
});

/** Answers an invalid HTTP request. */
export function badRequest(): Response {
  return respond(BAD_REQUEST);
}
