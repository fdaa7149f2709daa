/**
 * Refusals that several rooms give.
 *
 * @module
 */
import { ErrorCode, errorObject } from "../protocol/errors.ts";
import type { RefusalReason } from "../protocol/events.ts";
import type { JsonRpcError, RequestId } from "../protocol/jsonrpc.ts";
import { type Refusal, refusal } from "./reply.ts";

/** The error that a client gets for a session that is unknown, over, or owned by another principal. */
export const SESSION_NOT_FOUND: JsonRpcError = errorObject(
  ErrorCode.NotAvailable,
  "Session not found",
  { retry: "re-initialize" },
);

/** Refuses a session that is unknown, over, or another principal's: the client can't tell which. */
export function sessionNotFound(reason: RefusalReason): Refusal {
  const { code, message, data } = SESSION_NOT_FOUND;
  return refusal({ status: 404, code, message, data, reason });
}

/** Refuses because as much runs or is open as the limits allow. */
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

/** The message for clients of an endpoint that closes. */
export const SHUTTING_DOWN = "The server is shutting down: try again";

/** Refuses because the endpoint closes. */
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

/** Refuses because something failed that should not; the client learns nothing about it. */
export function internalError(error: unknown): Refusal {
  return refusal({
    status: 500,
    code: ErrorCode.InternalError,
    message: "Internal error",
    reason: "internal",
    failure: { during: "answering a request", error },
  });
}

/** Refuses because the session store can't be reached. */
export function storeUnavailable(during: string, error: unknown): Refusal {
  return refusal({
    status: 503,
    code: ErrorCode.InternalError,
    message: "The server can't reach its session store: try again",
    reason: "store-failed",
    headers: { "retry-after": "1" },
    failure: { during, error },
  });
}
