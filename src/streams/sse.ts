/**
 * Writes server-sent events (HTML Living Standard, §9.2): messages, comments and retry times.
 *
 * @module
 */
import { type Reply, reply } from "../http/reply.ts";

/** The headers of every event stream. */
export const SSE_HEADERS = Object.freeze({
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
});

/** A comment that keeps proxies and clients from closing an idle stream. It has no id. */
export const KEEP_ALIVE = ": keep-alive\n\n";

/** The text before the data of a message. */
const DATA = "\ndata: ";

/**
 * Writes one message.
 *
 * @param id The event's id, or `undefined` for a stream that can't be resumed
 * @param data JSON text. Line breaks, which JSON only has between tokens, become spaces, so that the
 * message is one `data` line
 */
export function frame(id: string | undefined, data: string): string {
  const line = data.includes("\n") || data.includes("\r") ? data.replace(/[\r\n]+/g, " ") : data;
  const head = id === undefined ? "" : `id: ${id}\n`;
  return `${head}event: message${DATA}${line}\n\n`;
}

/** Creates a reply with an event stream, or with the whole text of one that has ended. */
export function sseReply(body: ReadableStream<Uint8Array> | string): Reply {
  return reply(200, SSE_HEADERS, body);
}

/** Creates a reply with JSON-RPC messages as an event stream, for a client that doesn't accept JSON. */
export function sseReplyOf(...texts: readonly string[]): Reply {
  return sseReply(texts.map((text) => frame(undefined, text)).join(""));
}

/** Returns the data of the messages in a text that {@linkcode frame} wrote. */
export function framedData(frames: string): string[] {
  const data: string[] = [];
  for (const part of frames.split("\n\n")) {
    const at = part.indexOf(DATA);
    if (at !== -1) data.push(part.slice(at + DATA.length));
  }
  return data;
}

/**
 * Writes the priming event of a stream (2025-11-25): an id to resume with before the first message, and
 * a retry time.
 *
 * @param id The event id to resume after
 * @param retryMs The retry time, in milliseconds
 */
export function primingFrame(id: string, retryMs: number): string {
  return `id: ${id}\n${retryLine(retryMs)}data: \n\n`;
}

/** Writes a retry time: the milliseconds that the client waits before it reconnects. */
export function retryFrame(ms: number): string {
  return `${retryLine(ms)}\n`;
}

function retryLine(ms: number): string {
  // Parsers accept digits only: no sign, no fraction, no exponent.
  const whole = Math.min(Math.max(0, Math.ceil(ms)), Number.MAX_SAFE_INTEGER);
  return `retry: ${whole}\n`;
}
