/**
 * Converts the result or error of a tool to the final state of its task.
 *
 * @module
 */
import { isWithinBytes } from "../../internal/utf8.ts";
import { ErrorCode, errorObject, McpError, modernCode } from "../../protocol/errors.ts";
import type { McpEvent } from "../../protocol/events.ts";
import type { JsonObject, JsonRpcError } from "../../protocol/jsonrpc.ts";
import { StopError } from "../../calls/lifetime/stop.ts";
import { errorResult } from "../../protocol/error_result.ts";
import type { TaskState } from "../../protocol/task_store.ts";

/** What the final state depends on. */
export interface OutcomeInit {
  /** Limits the result or the error as JSON, in bytes. */
  readonly resultBytes: number;
  readonly report: (event: McpEvent) => void;
}

/**
 * Returns the state of a task whose tool returned a result. A result that is too large becomes an
 * error result.
 *
 * @throws {TypeError} If the result can't be serialized as JSON
 */
export function completed(result: JsonObject, { resultBytes }: OutcomeInit): TaskState {
  const whole = JSON.stringify({ resultType: "complete", ...result });
  if (isWithinBytes(whole, resultBytes)) return { status: "completed", result: JSON.parse(whole) };
  const message = `The result is larger than ${resultBytes} bytes: ask for less`;
  return { status: "completed", result: { resultType: "complete", ...errorResult(message) } };
}

/**
 * Returns the state of a task whose tool failed. The client learns only what an {@linkcode
 * McpError} or `StopError` says.
 */
export function failed(error: unknown, init: OutcomeInit): TaskState {
  return { status: "failed", error: wireError(error, init) };
}

function wireError(error: unknown, { resultBytes, report }: OutcomeInit): JsonRpcError {
  if (error instanceof StopError) return errorObject(ErrorCode.InternalError, error.message);
  if (error instanceof McpError) {
    try {
      const whole = JSON.stringify(errorObject(modernCode(error.code), error.message, error.data));
      if (isWithinBytes(whole, resultBytes)) return JSON.parse(whole);
      return errorObject(ErrorCode.InternalError, `The error is larger than ${resultBytes} bytes`);
    } catch (unserializable) {
      error = unserializable;
    }
  }
  report({ type: "error", during: "tools/call as a task", error });
  return errorObject(ErrorCode.InternalError, "Internal error");
}
