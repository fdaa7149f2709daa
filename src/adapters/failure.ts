/**
 * Answers for when a runtime has to give one itself. They tell nothing.
 *
 * @module
 */
import { ErrorCode, errorObject, errorText } from "../protocol/errors.ts";

/** The answer to a request whose handler failed. */
export function internalError(): Response {
  return failure(500, ErrorCode.InternalError, "Internal error");
}

/** The answer to what is no proper HTTP request. */
export function badRequest(): Response {
  return failure(400, ErrorCode.InvalidRequest, "Send a valid HTTP request");
}

function failure(status: number, code: number, message: string): Response {
  const text = errorText(null, errorObject(code, message));
  return new Response(text, { status, headers: { "content-type": "application/json" } });
}
