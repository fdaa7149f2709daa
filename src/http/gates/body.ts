/**
 * Implements the body gate: a request's body must have arrived in time, within the limits, in UTF-8.
 *
 * @module
 */
import { isWithinBytes, utf8Length } from "../../internal/utf8.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import type { Inbound } from "../inbound.ts";
import { type Refusal, refusal } from "../reply.ts";
import { type Body, declaredLength, isMissing, type NoBody } from "./arrivals.ts";

const REPLACEMENT = "\ufffd";
/** The length of a byte order mark in UTF-8. */
const MARK_BYTES = 3;
const lenient = new TextDecoder();
const strict = new TextDecoder("utf-8", { fatal: true });

/** Returns a body as text, or refuses one that is too large, can't be read, or isn't UTF-8. */
export function checkBody(body: Body, inbound: Inbound, limit: number): string | Refusal {
  if (typeof body === "string") {
    if (hasReplaced(body, inbound)) return notUtf8();
    return isWithinBytes(body, limit) ? body : tooLarge(limit);
  }
  return isMissing(body) ? REFUSALS[body.missing](limit) : decode(body) ?? notUtf8();
}

const REFUSALS: Readonly<Record<NoBody["missing"], (limit: number) => Refusal>> = {
  "too-large": tooLarge,
  "too-slow": tooSlow,
  "no-room": noRoom,
  "unreadable": unreadable,
};

/**
 * Tells whether decoding replaced invalid UTF-8: each replacement character is longer than the bytes
 * that it replaces. Only a four-byte character without its last byte is as long, and passes as a
 * replacement character. A byte order mark counts in the length of the body, but is not in the text.
 */
function hasReplaced(text: string, inbound: Inbound): boolean {
  if (!text.includes(REPLACEMENT)) return false;
  const declared = declaredLength(inbound) ?? 0;
  const length = utf8Length(text);
  return length !== declared && length !== declared - MARK_BYTES;
}

/**
 * Decodes UTF-8 without its byte order mark; returns `undefined` for invalid bytes. The strict decoder is
 * far slower on some runtimes, so it only runs if the lenient one returned a replacement character,
 * which may also be in the bytes themselves.
 */
function decode(bytes: Uint8Array): string | undefined {
  const text = lenient.decode(bytes);
  if (!text.includes(REPLACEMENT)) return text;
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

function tooLarge(limit: number): Refusal {
  return refusal({
    status: 413,
    code: ErrorCode.Refused,
    message: `Send a smaller body, or raise the option limits.bodyBytes: ${limit}`,
    reason: "body-size",
  });
}

function tooSlow(): Refusal {
  return refusal({
    status: 408,
    code: ErrorCode.Refused,
    message: "Send the whole body in less time",
    reason: "body-time",
    // Otherwise the client could continue sending, and the host reading (RFC 9110 §15.5.9).
    headers: { connection: "close" },
  });
}

function noRoom(): Refusal {
  return refusal({
    status: 503,
    code: ErrorCode.Refused,
    message: "Server busy",
    reason: "body-budget",
    headers: { "retry-after": "1", "connection": "close" },
  });
}

function unreadable(): Refusal {
  return refusal({
    status: 400,
    code: ErrorCode.InvalidRequest,
    message: "Send a complete body. Mount the endpoint before anything that reads bodies",
    reason: "envelope",
  });
}

function notUtf8(): Refusal {
  return refusal({
    status: 400,
    code: ErrorCode.ParseError,
    message: "Send the body in UTF-8",
    reason: "json",
  });
}
