/**
 * The responses that several parts of a handler give.
 *
 * @module
 */
import { newResponse, textResponse } from "../internal/whole.ts";
import { ErrorCode, errorObject } from "../protocol/errors.ts";
import type { RefusalReason } from "../protocol/events.ts";
import type { JsonRpcError, RequestId } from "../protocol/jsonrpc.ts";
import { refusal } from "../http/reply.ts";
import { frame, SSE_HEADERS } from "../streams/sse.ts";
import type { Endpoint } from "./endpoint.ts";

/** What a client is told when the endpoint closes. */
export const SHUTTING_DOWN = "The server is shutting down: try again";

/** What a client is told of a session that is unknown, over, or somebody else's. */
export const SESSION_NOT_FOUND: JsonRpcError = errorObject(
  ErrorCode.NotAvailable,
  "Session not found",
  { retry: "re-initialize" },
);

/** Runtimes differ in what makes a response soonest. */
const ON_DENO = "Deno" in globalThis;
const ON_BUN = "Bun" in globalThis;

const JSON_HEADERS = { "content-type": "application/json" };
const JSON_INIT = readyInit(JSON_HEADERS);

/** A JSON-RPC message as a response. */
export function jsonAnswer(text: string, status?: number): Response {
  if (status === undefined) return textResponse(text, JSON_INIT);
  return textResponse(text, { headers: JSON_HEADERS, status });
}

/** Headers beside the content type. */
const { "content-type": EVENTS, ...rest } = SSE_HEADERS;
const MORE_SSE = Object.entries(rest);
const SSE_INIT = readyInit(ON_DENO ? { "content-type": EVENTS } : SSE_HEADERS);

/** A stream of events, or what is left of one as text. */
export function sseResponse(body: ReadableStream<Uint8Array> | string): Response {
  const response = typeof body === "string"
    ? textResponse(body, SSE_INIT)
    : newResponse(body, SSE_INIT);
  // Deno takes six times as long for a response that begins with more than its content type.
  if (ON_DENO) {
    for (const [name, value] of MORE_SSE) response.headers.append(name, value);
  }
  return response;
}

/** JSON-RPC messages as a stream that is whole when it begins, for a client that takes no JSON. */
export function sseAnswer(...texts: readonly string[]): Response {
  const body = texts.map((text) => frame(undefined, text)).join("");
  return sseResponse(body);
}

/** The empty response to what needs no answer. */
export function accepted(): Response {
  return new Response(null, { status: 202 });
}

/** Refuses because the session is unknown, over or somebody else's: the client sees no difference. */
export function sessionNotFound(endpoint: Endpoint, reason: RefusalReason): Response {
  const { code, message, data } = SESSION_NOT_FOUND;
  return refusal({ status: 404, code, message, data, reason }, endpoint.report);
}

/** Refuses because too much runs. */
export function serverBusy(
  endpoint: Endpoint,
  reason: RefusalReason,
  id: RequestId | null = null,
  retryAfterS = 1,
): Response {
  return refusal({
    status: 503,
    code: ErrorCode.Refused,
    message: "Server busy",
    reason,
    id,
    headers: { "retry-after": String(retryAfterS) },
  }, endpoint.report);
}

/** Refuses because the endpoint closes. */
export function shuttingDown(endpoint: Endpoint, id: RequestId | null = null): Response {
  return refusal({
    status: 503,
    code: ErrorCode.Refused,
    message: SHUTTING_DOWN,
    reason: "shutdown",
    id,
    headers: { "retry-after": "1" },
  }, endpoint.report);
}

/** Refuses because something failed that should not, of which the client learns nothing. */
export function internalError(endpoint: Endpoint, error: unknown): Response {
  endpoint.failed("answering a request", error);
  return refusal({
    status: 500,
    code: ErrorCode.InternalError,
    message: "Internal error",
    reason: "internal",
  }, endpoint.report);
}

/** Refuses because something that the endpoint relies on failed. */
export function unavailable(endpoint: Endpoint, during: string, error: unknown): Response {
  endpoint.failed(during, error);
  return refusal({
    status: 503,
    code: ErrorCode.InternalError,
    message: "The server can't reach its session store: try again",
    reason: "store-failed",
    headers: { "retry-after": "1" },
  }, endpoint.report);
}

/**
 * What makes a response with these headers soonest. An instance of `Headers` saves 2 % of a whole call
 * on Node, and would cost 4 % on Deno; on Bun a response to copy from saves another 1 %.
 */
function readyInit(headers: Readonly<Record<string, string>>): ResponseInit {
  if (ON_DENO) return { headers };
  return ON_BUN ? new Response(null, { headers }) : { headers: new Headers(headers) };
}
