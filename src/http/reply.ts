/**
 * Defines HTTP responses as data: a {@linkcode Reply} has status, headers and body, a {@linkcode Refusal}
 * is a reply with the true reason. Only `respond()` creates a `Response` from one.
 *
 * @module
 */
import { errorObject, errorText, modernCode } from "../protocol/errors.ts";
import type { RefusalReason } from "../protocol/events.ts";
import { isObject, type JsonRpcError, type RequestId } from "../protocol/jsonrpc.ts";

/** The headers of a reply, by lower-case name. Never change one; objects that replies share are frozen. */
export type ReplyHeaders = Readonly<Record<string, string>>;

/** The body of a reply: a complete text, a stream, or none. */
export type ReplyBody = string | ReadableStream<Uint8Array> | null;

/** An HTTP response as data. */
export interface Reply {
  /** Distinguishes a refusal from other replies. */
  readonly kind: "reply" | "refusal";
  /** The HTTP status. */
  readonly status: number;
  /** The headers. */
  readonly headers: ReplyHeaders;
  /** The body. */
  readonly body: ReplyBody;
}

/** An error that occurred while a request was handled. Never sent to the client. */
export interface RefusalCause {
  /** The operation that failed. */
  readonly during: string;
  /** The thrown value. */
  readonly error: unknown;
}

/** A reply that refuses a request, with the true reason, which is only reported to `onEvent`. */
export interface Refusal extends Reply {
  readonly kind: "refusal";
  /** The id of the refused request; `null` if unknown. */
  readonly id: RequestId | null;
  /** The error in the body. */
  readonly error: JsonRpcError;
  /** The true reason. */
  readonly reason: RefusalReason;
  /** The error that caused the refusal, if any. */
  readonly failure: RefusalCause | undefined;
}

/** Options for {@linkcode refusal}. */
export interface RefusalInit {
  /** The HTTP status. */
  readonly status: number;
  /** The JSON-RPC error code. */
  readonly code: number;
  /** The message for the client. */
  readonly message: string;
  /** The true reason, which is only reported to `onEvent`. */
  readonly reason: RefusalReason;
  /**
   * The id of the refused request, if known.
   *
   * @default {null}
   */
  readonly id?: RequestId | null;
  /** The error's `data`: any JSON value. */
  readonly data?: unknown;
  /** Headers besides Content-Type and Cache-Control, by lower-case name. */
  readonly headers?: ReplyHeaders;
  /** The error that caused the refusal, which is only reported to `onEvent`. */
  readonly failure?: RefusalCause;
}

const JSON_HEADERS: ReplyHeaders = Object.freeze({ "content-type": "application/json" });
const REFUSAL_HEADERS: ReplyHeaders = Object.freeze({
  ...JSON_HEADERS,
  "cache-control": "no-store",
});
const NO_HEADERS: ReplyHeaders = {};
const ACCEPTED: Reply = reply(202, NO_HEADERS, null);

/** Creates a reply. */
export function reply(status: number, headers: ReplyHeaders, body: ReplyBody): Reply {
  return { kind: "reply", status, headers, body };
}

/** Creates a reply that refuses a request, with a JSON-RPC error as its body. */
export function refusal(init: RefusalInit): Refusal {
  const { status, code, message, reason, id = null, data, headers, failure } = init;
  const error = errorObject(code, message, data);
  return {
    kind: "refusal",
    status,
    headers: headers === undefined ? REFUSAL_HEADERS : { ...REFUSAL_HEADERS, ...headers },
    body: errorText(id, error),
    id,
    error,
    reason,
    failure,
  };
}

/** Returns a refusal with a code that the 2026 era has. */
export function modernRefusal(refusal: Refusal): Refusal {
  const { id, error } = refusal;
  const code = modernCode(error.code);
  if (code === error.code) return refusal;
  const modern = { ...error, code };
  return { ...refusal, error: modern, body: errorText(id, modern) };
}

/** Tells whether a value that an application returned is a reply. */
export function isReply(value: unknown): value is Reply {
  return isObject(value) && (value.kind === "reply" || value.kind === "refusal") &&
    Number.isInteger(value.status) && isObject(value.headers) &&
    (value.body === null || typeof value.body === "string" || value.body instanceof ReadableStream);
}

/** Tells whether a reply is a refusal. */
export function isRefusal(reply: Reply): reply is Refusal {
  return reply.kind === "refusal";
}

/** Creates a reply with one JSON-RPC message, or a batch of them, as JSON. */
export function jsonReply(text: string, status = 200): Reply {
  return reply(status, JSON_HEADERS, text);
}

/** Returns the reply to messages that get no response (202 Accepted). */
export function accepted(): Reply {
  return ACCEPTED;
}
