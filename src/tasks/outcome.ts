/**
 * How a task ends: what its state says of a result or an error.
 *
 * @module
 */
import { isWithinBytes } from "../internal/utf8.ts";
import { ErrorCode, errorObject, McpError, modernCode } from "../protocol/errors.ts";
import type { McpEvent } from "../protocol/events.ts";
import type { JsonObject, JsonRpcError } from "../protocol/jsonrpc.ts";
import { StopError } from "../calls/stop.ts";
import { errorResult } from "../server/results.ts";
import type { TaskState } from "./types.ts";

/** What the end of a task depends on. */
export interface OutcomeInit {
  /** How many bytes the result, or what an error says besides, may have. */
  readonly resultBytes: number;
  readonly report: (event: McpEvent) => void;
}

/**
 * The state of a task whose tool has come to a result.
 *
 * @throws {TypeError} If the result can't be written as JSON
 */
export function completed(result: JsonObject, { resultBytes }: OutcomeInit): TaskState {
  const whole = JSON.stringify({ resultType: "complete", ...result });
  if (isWithinBytes(whole, resultBytes)) return { status: "completed", result: JSON.parse(whole) };
  const message = `The result is larger than ${resultBytes} bytes: ask for less`;
  return { status: "completed", result: { resultType: "complete", ...errorResult(message) } };
}

/** The state of a task that came to none: the client learns what an {@linkcode McpError} says. */
export function failed(error: unknown, init: OutcomeInit): TaskState {
  return { status: "failed", error: wireError(error, init) };
}

function wireError(error: unknown, { resultBytes, report }: OutcomeInit): JsonRpcError {
  if (error instanceof StopError) return errorObject(ErrorCode.NotAvailable, error.message);
  if (error instanceof McpError) {
    try {
      const whole = JSON.stringify(errorObject(modernCode(error.code), error.message, error.data));
      if (isWithinBytes(whole, resultBytes)) return JSON.parse(whole);
      return errorObject(ErrorCode.InternalError, "The error has too much to say");
    } catch (unserializable) {
      error = unserializable;
    }
  }
  report({ type: "error", during: "tools/call as a task", error });
  return errorObject(ErrorCode.InternalError, "Internal error");
}
