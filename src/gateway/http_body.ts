/**
 * Reads what an upstream answers, within bounds.
 *
 * @module
 */
import { isObject, messageKind, type RequestId } from "../protocol/jsonrpc.ts";
import { UpstreamError } from "./upstream_error.ts";

/** How many bytes an answer may have: as many as a line of a child process. */
export const MOST_BYTES = 16 * 1024 * 1024;
/** How many bytes of an error's body are looked at. */
const MOST_ERROR_BYTES = 64 * 1024;
/** How long the rest of a response may take that nobody waits for, in milliseconds. */
const DISCARD_MS = 1_000;

/** Whether a response is a stream of events. */
export function isStream(response: Response): boolean {
  return mediaType(response) === "text/event-stream";
}

/** A response's media type, without its parameters. */
function mediaType(response: Response): string {
  const type = response.headers.get("content-type") ?? "";
  const end = type.indexOf(";");
  return (end < 0 ? type : type.slice(0, end)).trim().toLowerCase();
}

/**
 * The JSON of an answer.
 *
 * @throws {UpstreamError} If it is none, or too long
 */
export async function readJson(response: Response): Promise<unknown> {
  if (mediaType(response) !== "application/json") {
    discard(response);
    throw new UpstreamError("protocol", { detail: "neither JSON nor a stream of events" });
  }
  const text = await readText(response, MOST_BYTES);
  if (text === undefined) throw new UpstreamError("protocol", { detail: "an answer over 16 MiB" });
  try {
    return JSON.parse(text);
  } catch {
    throw new UpstreamError("protocol", { detail: "an answer that is no JSON" });
  }
}

/** The JSON in an error's body, or `undefined` when there is none that can be read. */
export async function readErrorJson(response: Response): Promise<unknown> {
  try {
    return JSON.parse(await readText(response, MOST_ERROR_BYTES) ?? "");
  } catch {
    return undefined;
  }
}

/** A body as text, or `undefined` when it is longer than `most` bytes. */
async function readText(response: Response, most: number): Promise<string | undefined> {
  const declared = Number(response.headers.get("content-length") ?? Infinity);
  // A compressed body grows beyond what was declared.
  if (declared <= most && response.headers.get("content-encoding") === null) {
    return await response.text();
  }
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > most) return undefined;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/**
 * Lets go of a response that nobody reads; a short one is read, so that its connection is kept, unless
 * that takes long.
 */
export function discard(response: Response): void {
  const { body } = response;
  if (body === null) return;
  const length = Number(response.headers.get("content-length") ?? Infinity);
  const reader = body.getReader();
  const cancel = () => void reader.cancel().catch(() => {});
  if (length > MOST_ERROR_BYTES || isStream(response)) return cancel();
  const late = setTimeout(cancel, DISCARD_MS);
  void drain(reader).finally(() => clearTimeout(late));
}

async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  try {
    while (!(await reader.read()).done);
  } catch {
    // It broke: there is nothing to keep.
  }
}

/** Whether a message, or one of a batch, answers a request. */
export function isAnswer(message: unknown, id: RequestId): boolean {
  if (Array.isArray(message)) return message.some((each) => isAnswer(each, id));
  return isObject(message) && message.id === id && messageKind(message) === "response";
}
