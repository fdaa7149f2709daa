/**
 * Creates the refusals that more than one folder needs.
 *
 * @module
 */
import { ErrorCode, errorObject } from "../protocol/errors.ts";
import type { RefusalReason } from "../protocol/events.ts";
import type { JsonRpcError, RequestId } from "../protocol/jsonrpc.ts";
import { type Refusal, refusal } from "./reply.ts";

/** The error for a session that is unknown, has ended, or is owned by another principal. */
export const SESSION_NOT_FOUND: JsonRpcError = errorObject(
  ErrorCode.NotAvailable,
  "Session not found",
  { retry: "re-initialize" },
);

/**
 * Refuses a session that is unknown, has ended, or is owned by another principal: the client can't tell
 * which.
 */
export function sessionNotFound(reason: RefusalReason): Refusal {
  const { code, message, data } = SESSION_NOT_FOUND;
  return refusal({ status: 404, code, message, data, reason });
}

/** Refuses a request because a limit is reached. */
export function serverBusy(
  reason: RefusalReason,
  id: RequestId | null = null,
  retryAfterS = 1,
): Refusal {
  return refusal({
    status: 503,
    code: ErrorCode.Refused,
    message: "Server busy",
    reason,
    id,
    headers: { "retry-after": String(retryAfterS) },
  });
}

/** The message for clients while the endpoint closes. */
export const SHUTTING_DOWN = "The server is shutting down: try again";

/** Refuses a request because the endpoint closes. */
export function shuttingDown(id: RequestId | null = null): Refusal {
  return refusal({
    status: 503,
    code: ErrorCode.Refused,
    message: SHUTTING_DOWN,
    reason: "shutdown",
    id,
    headers: { "retry-after": "1" },
  });
}

/** Refuses a request because of an unexpected error, which the client doesn't see. */
export function internalError(error: unknown): Refusal {
  return refusal({
    status: 500,
    code: ErrorCode.InternalError,
    message: "Internal error",
    reason: "internal",
    failure: { during: "answering a request", error },
  });
}

/** Refuses a request because a store failed: the session store, if no other is named. */
export function storeUnavailable(
  during: string,
  error: unknown,
  id: RequestId | null = null,
  store = "session store",
): Refusal {
  return refusal({
    status: 503,
    code: ErrorCode.InternalError,
    message: `The server can't reach its ${store}: try again`,
    reason: "store-failed",
    id,
    headers: { "retry-after": "1" },
    failure: { during, error },
  });
}
