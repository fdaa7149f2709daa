/**
 * Answers as data: a {@linkcode Reply} is what the endpoint sends, a {@linkcode Refusal} is a reply with
 * its true reason. Only `respond()` makes a `Response` of one.
 *
 * @module
 */
import { errorObject, errorText } from "../protocol/errors.ts";
import type { RefusalReason } from "../protocol/events.ts";
import type { RequestId } from "../protocol/jsonrpc.ts";

/** Headers of a reply, by their names in lower case. Never changed; those that replies share are frozen. */
export type ReplyHeaders = Readonly<Record<string, string>>;

/** The body of a reply. */
export type ReplyBody = string | ReadableStream<Uint8Array> | null;

/** An answer to an HTTP request. */
export interface Reply {
  /** Tells a reply from a refusal. */
  readonly kind: "reply" | "refusal";
  /** The HTTP status. */
  readonly status: number;
  /** The headers. */
  readonly headers: ReplyHeaders;
  /** A whole text, a stream, or nothing. */
  readonly body: ReplyBody;
}

/** Something that failed while a request was handled: for the operator alone. */
export interface Failure {
  /** What was being done. */
  readonly during: string;
  /** What was thrown. */
  readonly error: unknown;
}

/** A reply that turns a request away, with its true reason, which only the operator learns. */
export interface Refusal extends Reply {
  readonly kind: "refusal";
  /** Why the request is refused. */
  readonly reason: RefusalReason;
  /** The failure behind the refusal, if there is one. */
  readonly failure: Failure | undefined;
}

/** How a request is refused. */
export interface RefusalInit {
  /** The HTTP status. */
  readonly status: number;
  /** The JSON-RPC error code. */
  readonly code: number;
  /** The message for the client. */
  readonly message: string;
  /** The true reason, for the operator alone. */
  readonly reason: RefusalReason;
  /**
   * The id of the refused request, where it is known.
   *
   * @default {null}
   */
  readonly id?: RequestId | null;
  /** The error's `data`: any JSON value. */
  readonly data?: unknown;
  /** Headers besides the content type and the cache control, by their names in lower case. */
  readonly headers?: ReplyHeaders;
  /** The failure behind the refusal, for the operator alone. */
  readonly failure?: Failure;
}

const JSON_HEADERS: ReplyHeaders = Object.freeze({ "content-type": "application/json" });
const REFUSAL_HEADERS: ReplyHeaders = Object.freeze({
  ...JSON_HEADERS,
  "cache-control": "no-store",
});
const NO_HEADERS: ReplyHeaders = {};
const ACCEPTED: Reply = reply(202, NO_HEADERS, null);

/** Makes a reply. */
export function reply(status: number, headers: ReplyHeaders, body: ReplyBody): Reply {
  return { kind: "reply", status, headers, body };
}

/** Makes a reply that turns a request away: plain JSON that holds a JSON-RPC error. */
export function refusal(init: RefusalInit): Refusal {
  const { status, code, message, reason, id = null, data, headers, failure } = init;
  return {
    kind: "refusal",
    status,
    headers: headers === undefined ? REFUSAL_HEADERS : { ...REFUSAL_HEADERS, ...headers },
    body: errorText(id, errorObject(code, message, data)),
    reason,
    failure,
  };
}

/** Tells whether a reply turns its request away. */
export function isRefusal(reply: Reply): reply is Refusal {
  return reply.kind === "refusal";
}

/** Sends one JSON-RPC message, or a batch of them, as JSON. */
export function jsonReply(text: string, status = 200): Reply {
  return reply(status, JSON_HEADERS, text);
}

/** Acknowledges a message that gets no answer. */
export function accepted(): Reply {
  return ACCEPTED;
}
