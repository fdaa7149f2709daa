/**
 * The body gate: reads a request's body as text, up to a number of bytes.
 *
 * @module
 */
import { ErrorCode } from "../protocol/errors.ts";
import { refusal, type Report } from "./refusal.ts";

const DIGITS = /^[0-9]+$/;
const REPLACEMENT = "\ufffd";
const lenient = new TextDecoder();
const strict = new TextDecoder("utf-8", { fatal: true });

/** The body as text, or the refusal of one that is too large, can't be read, or isn't UTF-8. */
export async function readBody(
  request: Request,
  limit: number,
  report: Report,
): Promise<string | Response> {
  const declared = request.headers.get("content-length");
  const length = declared !== null && DIGITS.test(declared) ? Number(declared) : undefined;
  if (length !== undefined && length > limit) return tooLarge(limit, report);
  let bytes: Uint8Array | undefined;
  try {
    // The HTTP server frames by a declared length. It may lie where there is no server, hence the
    // second look at the length below.
    bytes = length === undefined
      ? await readCounted(request, limit)
      : new Uint8Array(await request.arrayBuffer());
  } catch {
    return unreadable(report);
  }
  if (bytes === undefined || bytes.byteLength > limit) return tooLarge(limit, report);
  return decode(bytes) ?? notUtf8(report);
}

/** Reads a body of unknown length. `undefined` when it is over the limit; its rest is not read. */
async function readCounted(request: Request, limit: number): Promise<Uint8Array | undefined> {
  let bytes: Uint8Array = new Uint8Array(0);
  if (request.body === null) return bytes;
  const reader = request.body.getReader();
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return bytes.subarray(0, size);
    if (!(value instanceof Uint8Array)) throw new TypeError("Give a body of bytes");
    const end = size + value.byteLength;
    if (end > limit) {
      // Not awaited: a source that never finishes its cancellation must not hold up the answer.
      reader.cancel().catch(() => {});
      return undefined;
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
