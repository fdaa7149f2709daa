/**
 * Replies for when a runtime has to answer by itself. They tell nothing.
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

/** Answers what is no valid HTTP request. */
export function badRequest(): Response {
  return respond(refusal({
    status: 400,
    code: ErrorCode.InvalidRequest,
    message: "Send a valid HTTP request",
    reason: "envelope",
  }));
}
