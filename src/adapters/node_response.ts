/**
 * Writes a `Response` to a response of `node:http`: at the pace of its reader, and so that the
 * connection stays usable or is visibly not.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setImmediate } from "node:timers";
import { sentHeaders, unreadText } from "../internal/whole.ts";

/** How long the rest of a refused body is swallowed for before its connection ends, in milliseconds. */
const SWALLOW_MS = 500;

/**
 * Writes a response. Its body is pulled only as fast as the client reads, and cancelled as soon as
 * the client is gone. A body that fails ends the connection, so that nobody takes the part for the
 * whole.
 *
 * @throws {Error} If a header can't be sent, or the body fails
 */
export async function sendResponse(
  response: Response,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const text = unreadText(response);
  // Most requests are here as a whole, and so are their answers.
  if (text !== undefined && incoming.complete && !outgoing.destroyed) {
    writeHead(response, outgoing, Buffer.byteLength(text));
    outgoing.end(text);
    return;
  }
  const early = await isEarly(incoming);
  if (outgoing.destroyed) {
    await response.body?.cancel();
    return;
  }
  const whole = await wholeBody(response);
  writeHead(response, outgoing, whole === undefined ? undefined : Buffer.byteLength(whole), early);
  if (whole !== undefined) {
    if (!early) {
      outgoing.end(whole);
      return;
    }
    outgoing.write(whole);
  } else if (response.body !== null) {
    outgoing.flushHeaders();
    await pump(response.body.getReader(), outgoing);
  }
  if (early) await swallow(incoming, outgoing);
  outgoing.end();
}

/** Begins an answer of a number of bytes, if that is known. */
function writeHead(
  response: Response,
  outgoing: ServerResponse,
  length: number | undefined,
  early = false,
): void {
  const headers: string[] = [];
  const given = sentHeaders(response);
  for (const [name, value] of given) headers.push(name, value);
  // Nobody knows how long the rest will take, so the connection isn't kept for another request.
  if (early && !given.has("connection")) headers.push("connection", "close");
  if (length !== undefined && !given.has("content-length")) {
    headers.push("content-length", String(length));
  }
  outgoing.writeHead(response.status, headers);
}

/** Whether the request is still under way. One that is here already, but unread, takes a moment more. */
async function isEarly(incoming: IncomingMessage): Promise<boolean> {
  if (incoming.complete) return false;
  await new Promise((resolve) => setImmediate(resolve));
  return !incoming.complete;
}

/**
 * A body that is there as a whole, so that it is sent with its length: a text, or JSON, which is never
 * made bit by bit.
 */
async function wholeBody(response: Response): Promise<string | Uint8Array | undefined> {
  // Looking at the body would make a stream of it.
  const text = unreadText(response);
  if (text !== undefined) return text;
  const isJson = response.headers.get("content-type")?.startsWith("application/json");
  return isJson && response.body !== null ? await read(response.body.getReader()) : undefined;
}

/** All that a reader gives, which costs less than `arrayBuffer()`. */
async function read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (!done) {
      chunks.push(value);
      continue;
    }
    const [only] = chunks;
    return only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks);
  }
}

/** Writes all that a reader gives, waiting for the client whenever it lags behind. */
async function pump(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  outgoing: ServerResponse,
): Promise<void> {
  let wake: (() => void) | undefined;
  const drained = () => wake?.();
  const gone = () => {
    // Whoever fails to stop has nobody left to tell.
    reader.cancel(new Error("The client closed the connection")).catch(() => {});
    wake?.();
  };
  outgoing.on("drain", drained);
  outgoing.on("close", gone);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done || outgoing.destroyed) return;
      if (outgoing.write(value)) continue;
      await new Promise<void>((resolve) => wake = resolve);
    }
  } finally {
    outgoing.off("drain", drained);
    outgoing.off("close", gone);
  }
}

/**
 * Lets the client finish sending, for a while: ending the connection under its hands would make it
 * miss the answer.
 */
async function swallow(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  if (incoming.complete || outgoing.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, SWALLOW_MS);
  incoming.once("close", resolve);
  incoming.once("end", resolve);
  incoming.removeAllListeners("data");
  incoming.resume();
  await promise;
  clearTimeout(timer);
  incoming.off("close", resolve);
  incoming.off("end", resolve);
}
