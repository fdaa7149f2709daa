/**
 * What becomes of an error that a handler throws: the client learns nothing of it, the operator all.
 *
 * @module
 */
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";

/**
 * Sorts an error that application code threw. Returns only when it is the application's own failure,
 * after reporting it.
 *
 * @throws {AbortSignal["reason"]} If the request was stopped
 * @throws {McpError} The error itself, if it is meant for the client
 */
export function sortFailure(exchange: Exchange, during: string, error: unknown): void {
  if (exchange.signal.aborted) throw exchange.signal.reason;
  if (error instanceof McpError) throw error;
  exchange.report({ type: "error", during, error });
}

/**
 * Ends a request because application code threw.
 *
 * @param message What the client is told, unless the error is meant for it
 * @throws {AbortSignal["reason"]} If the request was stopped
 * @throws {McpError} In every other case
 */
export function fail(
  exchange: Exchange,
  during: string,
  error: unknown,
  message = "Internal error",
): never {
  sortFailure(exchange, during, error);
  throw new McpError(ErrorCode.InternalError, message);
}
