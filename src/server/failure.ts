/**
 * Handles errors that application code throws: the client learns nothing about them, the operator
 * everything.
 *
 * @module
 */
import { quote } from "../internal/quote.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { errorResult } from "./results.ts";

/**
 * Reports an error that application code threw, and returns. Rethrows errors that are not the
 * application's failure.
 *
 * @throws {AbortSignal["reason"]} When the request was stopped
 * @throws {McpError} The error itself, when it is an `McpError`
 */
function sortFailure(exchange: Exchange, during: string, error: unknown): void {
  if (exchange.signal.aborted) throw exchange.signal.reason;
  if (error instanceof McpError) throw error;
  exchange.report({ type: "error", during, error });
}

/**
 * Fails a request because application code threw.
 *
 * @param during What failed, for the event
 * @param message What the client learns of an error that is not an `McpError`
 * @throws {AbortSignal["reason"]} When the request was stopped
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

/**
 * Returns the result of a tool that threw.
 *
 * @param name The tool's name
 * @throws {AbortSignal["reason"]} When the request was stopped
 * @throws {McpError} The error itself, when it is an `McpError`
 */
export function failedTool(exchange: Exchange, name: string, error: unknown): JsonObject {
  sortFailure(exchange, `tools/call ${name}`, error);
  return errorResult(`The tool ${quote(name)} failed`);
}
