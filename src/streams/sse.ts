/**
 * Writes server-sent events as text (HTML Living Standard, §9.2): messages, comments and retry times.
 *
 * @module
 */
import { type Reply, reply } from "../http/reply.ts";

/** The headers of every response that is a stream of events. */
export const SSE_HEADERS = Object.freeze({
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
});

/** A comment that shows proxies and clients that a quiet stream is alive. It carries no id. */
export const KEEP_ALIVE = ": keep-alive\n\n";

/** What stands before the data of a message. */
const DATA = "\ndata: ";

/**
 * One message.
 *
 * @param id The event's id, or `undefined` for a stream that can't be resumed
 * @param data JSON text. Line ends, which JSON only has between tokens, become spaces, so that the
 * message stays in one `data` line
 */
export function frame(id: string | undefined, data: string): string {
  const line = data.includes("\n") || data.includes("\r") ? data.replace(/[\r\n]+/g, " ") : data;
  const head = id === undefined ? "" : `id: ${id}\n`;
  return `${head}event: message${DATA}${line}\n\n`;
}

/** Sends a stream of events, or the whole text of one that has ended. */
export function sseReply(body: ReadableStream<Uint8Array> | string): Reply {
  return reply(200, SSE_HEADERS, body);
}

/** Sends whole JSON-RPC messages as an event stream, to a client that doesn't accept JSON. */
export function sseReplyOf(...texts: readonly string[]): Reply {
  return sseReply(texts.map((text) => frame(undefined, text)).join(""));
}

/** The data of messages that {@linkcode frame} made, one after the other. */
export function framedData(frames: string): string[] {
  const data: string[] = [];
  for (const part of frames.split("\n\n")) {
    const at = part.indexOf(DATA);
    if (at !== -1) data.push(part.slice(at + DATA.length));
  }
  return data;
}

/**
 * What a stream of 2025-11-25 begins with: an id to come back with before there is any message, and
 * how long to wait until then.
 *
 * @param id The event id to resume at
 * @param retryMs The wait, in milliseconds
 */
export function primingFrame(id: string, retryMs: number): string {
  return `id: ${id}\n${retryLine(retryMs)}data: \n\n`;
}

/** Tells the client how many milliseconds to wait before it connects again. */
export function retryFrame(ms: number): string {
  return `${retryLine(ms)}\n`;
}

function retryLine(ms: number): string {
  // Parsers take digits alone: no sign, no fraction, no exponent.
  const whole = Math.min(Math.max(0, Math.ceil(ms)), Number.MAX_SAFE_INTEGER);
  return `retry: ${whole}\n`;
}
