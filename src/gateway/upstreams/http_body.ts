/**
 * Reads the bodies of an upstream's HTTP responses, within bounds.
 *
 * @module
 */
import { createParser } from "eventsource-parser";
import type { RequestId } from "../../../mod.ts";
import { isObject, messageKind } from "../../kit.ts";
import { parseUpstreamJson } from "../shared/parse_json.ts";
import { UpstreamError } from "../shared/upstream_error.ts";

/** The most bytes of a JSON body, and the characters of an event: the same as a line over stdio. */
const MAX_BYTES = 16 * 1024 * 1024;
/** The most bytes of an error's body. */
const MAX_ERROR_BYTES = 64 * 1024;
/** The longest time to read the rest of a discarded body, in milliseconds. */
const DISCARD_MS = 1000;

/** Tells whether a response is a stream of events. */
export function isStream(response: Response): boolean {
  return mediaType(response) === "text/event-stream";
}

/** Returns a response's media type without its parameters. */
function mediaType(response: Response): string {
  const type = response.headers.get("content-type") ?? "";
  const end = type.indexOf(";");
  return (end < 0 ? type : type.slice(0, end)).trim().toLowerCase();
}

/**
 * Reads the JSON of an answer.
 *
 * @throws {UpstreamError} If it isn't JSON, or is too large
 */
export async function readJson(response: Response): Promise<unknown> {
  if (mediaType(response) !== "application/json") {
    discard(response);
    throw new UpstreamError("protocol", { detail: "neither JSON nor a stream of events" });
  }
  const text = await readText(response, MAX_BYTES);
  if (text === undefined) throw new UpstreamError("protocol", { detail: "an answer over 16 MiB" });
  try {
    return parseUpstreamJson(text);
  } catch {
    throw new UpstreamError("protocol", { detail: "an answer that isn't JSON" });
  }
}

/** Reads the JSON in an error's body; `undefined` if there is none that can be read. */
export async function readErrorJson(response: Response): Promise<unknown> {
  try {
    return parseUpstreamJson(await readText(response, MAX_ERROR_BYTES) ?? "");
  } catch {
    return undefined;
  }
}

/** Reads a body as text; `undefined` if it is longer than `max` bytes. */
async function readText(response: Response, max: number): Promise<string | undefined> {
  const declared = Number(response.headers.get("content-length") ?? Infinity);
  // A compressed body may be much longer than its declared length.
  if (declared <= max && response.headers.get("content-encoding") === null) {
    return await response.text();
  }
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > max) return undefined;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Receives what a stream of events contains. */
export interface EventHandlers {
  /** Takes the data of a `message` event; not called for empty data. */
  readonly onMessage: (data: string) => void;
  /** Takes the id of an event, before its data. */
  readonly onId: (id: string) => void;
  /** Takes the delay before reconnecting, in milliseconds. */
  readonly onRetry: (ms: number) => void;
}

/**
 * Reads a stream of events to its end (HTML Living Standard, §9.2.6). Cancels the body on an error.
 *
 * @throws {UpstreamError} With the kind `"protocol"`, if a line or an event is too large
 */
export async function readEvents(
  body: ReadableStream<Uint8Array>,
  { onMessage, onId, onRetry }: EventHandlers,
): Promise<void> {
  const parser = createParser({
    maxBufferSize: MAX_BYTES,
    onId,
    onRetry,
    onEvent({ event = "message", data }) {
      // An event that arrives in one chunk is never in the parser's buffer.
      if (data.length > MAX_BYTES) throw tooLarge();
      if (event === "message" && data !== "") onMessage(data);
    },
    onError({ type }) {
      if (type === "max-buffer-size-exceeded") throw tooLarge();
    },
  });
  // The parser removes a byte order mark itself.
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const reader = body.getReader();
  let lineLength = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const text = decoder.decode(value, { stream: true });
      // The parser skips a line without a known field, however long it is.
      const lineEnd = Math.max(text.lastIndexOf("\n"), text.lastIndexOf("\r"));
      lineLength = lineEnd < 0 ? lineLength + text.length : text.length - lineEnd - 1;
      if (lineLength > MAX_BYTES) throw tooLarge();
      parser.feed(text);
    }
  } finally {
    reader.cancel().catch(() => {});
    reader.releaseLock();
  }
}

function tooLarge(): UpstreamError {
  return new UpstreamError("protocol", { detail: "a message over 16 MiB" });
}

/**
 * Discards a response. Reads a short body to its end, so that its connection can be reused, unless
 * that takes long; cancels any other.
 */
export function discard(response: Response): void {
  const { body } = response;
  // A body that was read, or is being read, needs nothing.
  if (body === null || body.locked || response.bodyUsed) return;
  const length = Number(response.headers.get("content-length") ?? Infinity);
  const reader = body.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  if (length > MAX_ERROR_BYTES || isStream(response)) return cancel();
  const timer = setTimeout(cancel, DISCARD_MS);
  void readToEnd(reader).finally(() => clearTimeout(timer));
}

async function readToEnd(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  try {
    while (!(await reader.read()).done);
  } catch {
    // A broken connection can't be reused.
  }
}

/** Tells whether a message, or one message of a batch, answers a request. */
export function isAnswer(message: unknown, id: RequestId): boolean {
  if (Array.isArray(message)) return message.some((each) => isAnswer(each, id));
  return isObject(message) && message.id === id && messageKind(message) === "response";
}
