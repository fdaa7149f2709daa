/**
 * Encodes a dispatcher's result or error as a JSON-RPC response.
 *
 * @module
 */
import { refuseMissingScopes } from "../auth/authorize.ts";
import type { Refusal } from "../http/reply.ts";
import { isWithinBytes } from "../internal/utf8.ts";
import {
  ErrorCode,
  errorObject,
  errorText,
  McpError,
  MissingScopesError,
  modernCode,
} from "../protocol/errors.ts";
import type { RequestOutcome } from "../protocol/events.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { preparedText } from "../protocol/prepared.ts";
import type { Exchange } from "../protocol/exchange.ts";
import { isModern } from "../protocol/versions.ts";
import type { Calls } from "./calls.ts";
import { CallRefusedError } from "./refused_error.ts";

/** The `error.type` of a result with `isError`. */
const TOOL_ERROR = "tool_error";
const INTERNAL_ERROR = errorObject(ErrorCode.InternalError, "Internal error");

/** The JSON-RPC response of a call. */
export interface EncodedResponse {
  readonly text: string;
  readonly outcome: RequestOutcome;
  /** The `error.type` of a failure, for events. */
  readonly errorType?: string;
  /** The HTTP status, if it is not 200 and the answer is JSON. */
  readonly status?: number;
  /** The reply instead, if the call is refused and nothing has been sent for its POST. */
  readonly refusal?: Refusal;
}

/** The part of a call that encoding needs. */
type AnsweredCall = Pick<Exchange, "id" | "method" | "principal" | "protocolVersion">;

/** HTTP statuses of errors in the 2026 era (2026-07-28, Streamable HTTP, Basic). */
const MODERN_STATUS: ReadonlyMap<number, number> = new Map([
  [ErrorCode.MethodNotFound, 404],
  [ErrorCode.HeaderMismatch, 400],
  [ErrorCode.MissingClientCapability, 400],
  [ErrorCode.UnsupportedVersion, 400],
]);

/** Encodes a result; an error instead if the result is not a JSON object, or is too large. */
export function encodeResult(
  calls: Calls,
  call: AnsweredCall,
  result: JsonObject,
): EncodedResponse {
  let json: string;
  try {
    if (!isObject(result)) throw new TypeError("Return an object as the result of a request");
    const text: string | undefined = preparedText(result) ?? JSON.stringify(result);
    // A `toJSON` method may return anything.
    if (!text?.startsWith("{")) throw new TypeError("Return a result that is an object as JSON");
    json = text;
  } catch (error) {
    return encodeError(calls, call, error);
  }
  const most = calls.settings.resultBytes;
  if (!isWithinBytes(json, most)) {
    const errorType = call.method === "tools/call" ? TOOL_ERROR : String(ErrorCode.InternalError);
    return { text: tooLarge(calls, call, most), outcome: "error", errorType };
  }
  const { id } = call;
  const idText = typeof id === "number" ? id : JSON.stringify(id);
  return {
    text: `{"jsonrpc":"2.0","id":${idText},"result":${json}}`,
    outcome: "result",
    errorType: result.isError === true && call.method === "tools/call" ? TOOL_ERROR : undefined,
  };
}

/** Encodes an error: an {@linkcode McpError} unchanged, any other error as "Internal error". */
export function encodeError(calls: Calls, call: AnsweredCall, error: unknown): EncodedResponse {
  let reason = error;
  // The thrown value may itself throw when it is read.
  try {
    if (error instanceof McpError) return encodeMcpError(calls, call, error);
  } catch (unusable) {
    reason = unusable;
  }
  calls.reporter.failed(call.method, reason);
  const errorType = String(ErrorCode.InternalError);
  return { text: errorText(call.id, INTERNAL_ERROR), outcome: "error", errorType };
}

/** @throws If the error can't be encoded, or is too large */
function encodeMcpError(calls: Calls, call: AnsweredCall, error: McpError): EncodedResponse {
  const modern = isModern(call.protocolVersion);
  const code = modern ? modernCode(error.code) : error.code;
  const text = errorText(call.id, errorObject(code, error.message, error.data));
  const most = calls.settings.resultBytes;
  if (!isWithinBytes(text, most)) {
    throw new RangeError(`Throw a smaller error: at most ${most} bytes`);
  }
  const status = modern ? MODERN_STATUS.get(code) : undefined;
  const errorType = String(code);
  const refusal = error instanceof CallRefusedError
    ? error.refusal
    : error instanceof MissingScopesError
    ? refuseMissingScopes(error, calls.settings, call.principal, call.id)
    : undefined;
  return { text, outcome: "error", errorType, status, refusal };
}

function tooLarge(calls: Calls, call: AnsweredCall, most: number): string {
  const message = `The result is larger than ${most} bytes: ask for less`;
  if (call.method !== "tools/call") {
    return errorText(call.id, errorObject(ErrorCode.InternalError, message));
  }
  const result = { content: [{ type: "text", text: message }], isError: true };
  const modern = isModern(call.protocolVersion);
  return JSON.stringify({
    jsonrpc: "2.0",
    id: call.id,
    result: modern ? { resultType: "complete", ...result, _meta: calls.serverMeta } : result,
  });
}
