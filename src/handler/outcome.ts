/**
 * What a dispatcher's result or failure is on the wire.
 *
 * @module
 */
import { isWithinBytes } from "../internal/utf8.ts";
import { ErrorCode, errorObject, errorText, McpError, modernCode } from "../protocol/errors.ts";
import type { RequestOutcome } from "../protocol/events.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { preparedText } from "../protocol/prepared.ts";
import { VERSIONS } from "../protocol/versions.ts";
import type { Call } from "./call.ts";
import { type Endpoint, serverMeta } from "./endpoint.ts";

const INTERNAL_ERROR = errorObject(ErrorCode.InternalError, "Internal error");

/** What a call came to, ready to be sent. */
export interface Outcome {
  readonly text: string;
  readonly outcome: RequestOutcome;
  /** The HTTP status, unless it is 200 or a stream has begun. */
  readonly status?: number;
}

/** HTTP statuses of errors in the 2026 era (2026-07-28, Streamable HTTP, Basic). */
const MODERN_STATUS: ReadonlyMap<number, number> = new Map([
  [ErrorCode.MethodNotFound, 404],
  [ErrorCode.HeaderMismatch, 400],
  [ErrorCode.MissingClientCapability, 400],
  [ErrorCode.UnsupportedVersion, 400],
]);

/** A result as the text of a response, as long as it can be one and is not too large. */
export function resultAnswer(
  endpoint: Endpoint,
  call: Call,
  result: JsonObject,
): Outcome {
  let json: string;
  try {
    if (!isObject(result)) throw new TypeError("Return an object as the result of a request");
    const text: string | undefined = preparedText(result) ?? JSON.stringify(result);
    // A `toJSON` may have made anything of it.
    if (!text?.startsWith("{")) throw new TypeError("Return what is an object as JSON, too");
    json = text;
  } catch (error) {
    return errorAnswer(endpoint, call, error);
  }
  const most = endpoint.settings.limits.resultBytes;
  if (!isWithinBytes(json, most)) {
    return { text: tooLarge(endpoint, call, most), outcome: "error" };
  }
  const { id } = call;
  const idText = typeof id === "number" ? id : JSON.stringify(id);
  return {
    text: `{"jsonrpc":"2.0","id":${idText},"result":${json}}`,
    outcome: "result",
  };
}

/** A failure as a response: an {@linkcode McpError} as it is, anything else unnamed. */
export function errorAnswer(endpoint: Endpoint, call: Call, error: unknown): Outcome {
  let reason = error;
  // What was thrown may be anything, and throw when it is looked at.
  try {
    if (error instanceof McpError) return mcpErrorAnswer(endpoint, call, error);
  } catch (unusable) {
    reason = unusable;
  }
  endpoint.failed(call.method, reason);
  return { text: errorText(call.id, INTERNAL_ERROR), outcome: "error" };
}

/** @throws If the error can't be sent */
function mcpErrorAnswer(endpoint: Endpoint, call: Call, error: McpError): Outcome {
  const modern = VERSIONS[call.protocolVersion].era === "2026";
  const code = modern ? modernCode(error.code) : error.code;
  const text = errorText(call.id, errorObject(code, error.message, error.data));
  const most = endpoint.settings.limits.resultBytes;
  if (!isWithinBytes(text, most)) throw new RangeError(`Throw an error of at most ${most} bytes`);
  return { text, outcome: "error", status: modern ? MODERN_STATUS.get(code) : undefined };
}

function tooLarge(endpoint: Endpoint, call: Call, most: number): string {
  const message = `The result is larger than ${most} bytes: ask for less`;
  if (call.method !== "tools/call") {
    return errorText(call.id, errorObject(ErrorCode.InternalError, message));
  }
  const result = { content: [{ type: "text", text: message }], isError: true };
  const modern = VERSIONS[call.protocolVersion].era === "2026";
  return JSON.stringify({
    jsonrpc: "2.0",
    id: call.id,
    result: modern ? { resultType: "complete", ...result, _meta: serverMeta(endpoint) } : result,
  });
}
