/**
 * Implements the body gate: reads a request's body as text, limited in bytes and in time.
 *
 * @module
 */
import { type DelayLine, Wait } from "../../internal/delay_line.ts";
import type { MaybePromise } from "../../internal/types.ts";
import { isWithinBytes, utf8Length } from "../../internal/utf8.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import { HeaderName } from "../../protocol/headers.ts";
import type { Inbound } from "../inbound.ts";
import { type Refusal, refusal } from "../reply.ts";

const DIGITS = /^[0-9]+$/;
const REPLACEMENT = "\ufffd";
/** The length of a byte order mark in UTF-8. */
const MARK_BYTES = 3;
const lenient = new TextDecoder();
const strict = new TextDecoder("utf-8", { fatal: true });

/** The reason why a body could not be read. */
export type NoBody = { readonly missing: "too-large" | "too-slow" | "unreadable" };

/** The result of reading a body: text, bytes if its length was not declared, or a failure. */
export type Body = string | Uint8Array | NoBody;

const TOO_LARGE: NoBody = { missing: "too-large" };
const TOO_SLOW: NoBody = { missing: "too-slow" };
const UNREADABLE: NoBody = { missing: "unreadable" };

/** A body that is being received, with its time limit. */
class Arrival extends Wait {
  /** The result. Never rejects. */
  readonly body: Promise<Body>;
  readonly #reader: ReadableStreamDefaultReader<unknown> | undefined;
  #resolve: ((body: Body) => void) | undefined;

  /** @param reader The reader to cancel when the time is up; a body that is read in one call has none */
  constructor(reading: Promise<Body>, reader?: ReadableStreamDefaultReader<unknown>) {
    super();
    this.#reader = reader;
    this.body = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    reading.then((body) => this.#end(body), () => this.#end(UNREADABLE));
  }

  /** Stops reading when the time is up. */
  elapsed(): void {
    this.#end(TOO_SLOW);
    this.#reader?.cancel().catch(() => {});
  }

  #end(body: Body): void {
    this.cancel();
    this.#resolve?.(body);
  }
}

/**
 * Reads a body of at most `limit` bytes, within the time of a delay line.
 *
 * The HTTP server enforces a declared length, so a body with one may be read as text in one call, which
 * is faster than reading and decoding bytes. Without an HTTP server the declared length may be wrong:
 * {@linkcode checkBody} checks the actual one.
 *
 * @returns The body, or the reason why it could not be read; never rejects
 */
export function readBody({ request }: Inbound, limit: number, line: DelayLine): MaybePromise<Body> {
  const declared = declaredLength(request);
  if (declared !== undefined && declared > limit) return TOO_LARGE;
  try {
    const reader = declared === undefined ? request.body?.getReader() : undefined;
    const reading = declared === undefined ? readCounted(reader, limit) : request.text();
    const arrival = new Arrival(reading, reader);
    line.begin(arrival);
    return arrival.body;
  } catch {
    return UNREADABLE;
  }
}

function declaredLength({ headers }: Request): number | undefined {
  const declared = headers.get(HeaderName.ContentLength);
  return declared !== null && DIGITS.test(declared) ? Number(declared) : undefined;
}

/** Returns a body as text, or refuses one that is too large, can't be read, or isn't UTF-8. */
export function checkBody(body: Body, { request }: Inbound, limit: number): string | Refusal {
  if (typeof body === "string") {
    if (hasReplaced(body, request)) return notUtf8();
    return isWithinBytes(body, limit) ? body : tooLarge(limit);
  }
  if (body instanceof Uint8Array) return decode(body) ?? notUtf8();
  if (body === TOO_SLOW) return tooSlow();
  return body === UNREADABLE ? unreadable() : tooLarge(limit);
}

/**
 * Tells whether decoding replaced invalid UTF-8: each replacement character is longer than the bytes
 * that it replaces. Only a four-byte character without its last byte is as long, and passes as a
 * replacement character. A byte order mark counts in the length of the body, but is not in the text.
 */
function hasReplaced(text: string, request: Request): boolean {
  if (!text.includes(REPLACEMENT)) return false;
  const declared = declaredLength(request) ?? 0;
  const length = utf8Length(text);
  return length !== declared && length !== declared - MARK_BYTES;
}

/** Reads a body of undeclared length, and stops at the limit. */
async function readCounted(
  reader: ReadableStreamDefaultReader<unknown> | undefined,
  limit: number,
): Promise<Uint8Array | NoBody> {
  let bytes: Uint8Array = new Uint8Array(0);
  if (reader === undefined) return bytes;
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return bytes.subarray(0, size);
    if (!(value instanceof Uint8Array)) throw new TypeError("Give a body of bytes");
    const end = size + value.byteLength;
    if (end > limit) {
      // Not awaited: a source whose cancellation never settles must not delay the response.
      reader.cancel().catch(() => {});
      return TOO_LARGE;
    }
    // A single chunk is used without copying. Several are copied into one buffer, since each small
    // chunk takes far more memory than its bytes.
    if (size === 0) bytes = value;
    else bytes = appended(bytes, size, value, limit);
    size = end;
  }
}

function appended(bytes: Uint8Array, size: number, chunk: Uint8Array, limit: number): Uint8Array {
  const end = size + chunk.byteLength;
  let target = bytes;
  if (target.byteLength < end) {
    target = new Uint8Array(Math.min(limit, Math.max(end, target.byteLength * 2)));
    target.set(bytes.subarray(0, size));
  }
  target.set(chunk, size);
  return target;
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

function unreadable(): Refusal {
  return refusal({
    status: 400,
    code: ErrorCode.InvalidRequest,
    message: "Send a complete body, which nothing reads before the endpoint",
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
