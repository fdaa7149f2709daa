/**
 * The body gate: reads a request's body as text, up to a number of bytes, and for a while only.
 *
 * @module
 */
import type { CoarseLine } from "../../internal/coarse_line.ts";
import { Wait } from "../../internal/delay_line.ts";
import { isWithinBytes, utf8Length } from "../../internal/utf8.ts";
import type { MaybePromise } from "../../internal/types.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import { refusal, type Report } from "../reply.ts";

const DIGITS = /^[0-9]+$/;
const REPLACEMENT = "\ufffd";
/** How long a byte order mark is. */
const MARK_BYTES = 3;
const lenient = new TextDecoder();
const strict = new TextDecoder("utf-8", { fatal: true });

/** Why there is no body. */
export type NoBody = { readonly missing: "too-large" | "too-slow" | "unreadable" };

/** A request's body: text, or bytes where its length was not declared. */
export type Body = string | Uint8Array | NoBody;

const TOO_LARGE: NoBody = { missing: "too-large" };
const TOO_SLOW: NoBody = { missing: "too-slow" };
const UNREADABLE: NoBody = { missing: "unreadable" };

/** A body on its way. */
class Arrival extends Wait {
  /** The body, or why there is none. It never rejects. */
  readonly body: Promise<Body>;
  readonly #reader: ReadableStreamDefaultReader<unknown> | undefined;
  #resolve: ((body: Body) => void) | undefined;

  /** @param reader What it is read with, where that can be cancelled */
  constructor(reading: Promise<Body>, reader?: ReadableStreamDefaultReader<unknown>) {
    super();
    this.#reader = reader;
    this.body = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    reading.then((body) => this.#end(body), () => this.#end(UNREADABLE));
  }

  /** It took too long. Nobody looks at what is still to come of it. */
  over(): void {
    this.#end(TOO_SLOW);
    this.#reader?.cancel().catch(() => {});
  }

  #end(body: Body): void {
    this.cancel();
    this.#resolve?.(body);
  }
}

/**
 * Reads a body up to a number of bytes, for as long as the line lets it be on its way.
 *
 * The HTTP server frames by a declared length, so that such a body may be read in one go, as text, which
 * costs half of reading bytes and making text of them. Its length may lie where there is no server:
 * {@linkcode checkBody} takes the second look.
 *
 * @returns The body, or why there is none; it doesn't reject
 */
export function readBody(request: Request, limit: number, line: CoarseLine): MaybePromise<Body> {
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
  const declared = headers.get("content-length");
  return declared !== null && DIGITS.test(declared) ? Number(declared) : undefined;
}

/** The body as text, or the refusal of one that is too large, can't be read, or isn't UTF-8. */
export function checkBody(
  body: Body,
  request: Request,
  limit: number,
  report: Report,
): string | Response {
  if (typeof body === "string") {
    if (hasReplaced(body, request)) return notUtf8(report);
    return isWithinBytes(body, limit) ? body : tooLarge(limit, report);
  }
  if (body instanceof Uint8Array) return decode(body) ?? notUtf8(report);
  if (body === TOO_SLOW) return tooSlow(report);
  return body === UNREADABLE ? unreadable(report) : tooLarge(limit, report);
}

/**
 * Whether bytes that are no UTF-8 were replaced when a text was read: each replacement is longer than
 * what it stands for. Only a character of four bytes that was cut after its third is as long, and is
 * taken for the replacement that it has become. A byte order mark is in the bytes, but not in the text.
 */
function hasReplaced(text: string, request: Request): boolean {
  if (!text.includes(REPLACEMENT)) return false;
  const declared = declaredLength(request) ?? 0;
  const length = utf8Length(text);
  return length !== declared && length !== declared - MARK_BYTES;
}

/** Reads a body of unknown length. The rest of one that is over the limit is not read. */
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
      // Not awaited: a source that never finishes its cancellation must not hold up the answer.
      reader.cancel().catch(() => {});
      return TOO_LARGE;
    }
    // A single chunk is used as it is. Many are copied together, since small ones cost far more
    // than the bytes they hold.
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
 * The text of UTF-8 bytes, without a byte order mark; `undefined` when they are none. The strict
 * decoder is far slower on some runtimes, so it is only asked whether a replacement character was
 * there from the beginning.
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

function tooLarge(limit: number, report: Report): Response {
  return refusal({
    status: 413,
    code: ErrorCode.Refused,
    message: `Send a smaller body, or raise the option limits.bodyBytes: ${limit}`,
    reason: "body-size",
  }, report);
}

function tooSlow(report: Report): Response {
  return refusal({
    status: 408,
    code: ErrorCode.Refused,
    message: "Send the whole body sooner",
    reason: "body-time",
    // Whoever drips would go on, and the host would go on reading (RFC 9110, §15.5.9).
    headers: { connection: "close" },
  }, report);
}

function unreadable(report: Report): Response {
  return refusal({
    status: 400,
    code: ErrorCode.InvalidRequest,
    message: "Send a whole body, and leave it to the endpoint to read it",
    reason: "envelope",
  }, report);
}

function notUtf8(report: Report): Response {
  return refusal({
    status: 400,
    code: ErrorCode.ParseError,
    message: "Send the body in UTF-8",
    reason: "json",
  }, report);
}
