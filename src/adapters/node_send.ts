/**
 * Writes replies and responses to a `ServerResponse` of `node:http`.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setImmediate } from "node:timers";
import type { Reply } from "../http/reply.ts";
import type { MaybePromise } from "../internal/types.ts";

/** The time for which the rest of a refused body is read and discarded, in milliseconds. */
const DROP_MS = 500;

/** A body to send: complete, a stream, or none. */
type SentBody = string | Uint8Array | ReadableStream<Uint8Array> | null;

/**
 * Writes a reply. A stream is only read as fast as the client reads, and is cancelled when the client
 * disconnects. A stream that fails breaks the connection, so that the body doesn't look complete.
 *
 * @throws {Error} If a header can't be sent, or the stream fails
 */
export function sendReply(
  { status, headers, body }: Reply,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): MaybePromise<void> {
  if (typeof body !== "string" || !incoming.complete || outgoing.destroyed) {
    return send(status, Object.entries(headers), body, incoming, outgoing);
  }
  // The common case: the request is complete, and the reply is a text.
  outgoing.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
  outgoing.end(body);
}

/**
 * Writes a response of any class, like {@linkcode sendReply}. JSON is read completely and sent with its
 * length.
 *
 * @throws {Error} If a header can't be sent, or the body fails
 */
export async function sendResponse(
  { status, headers, body }: Response,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const isJson = body !== null && headers.get("content-type")?.startsWith("application/json");
  const whole = isJson ? await read(body.getReader()) : body;
  await send(status, [...headers], whole, incoming, outgoing);
}

async function send(
  status: number,
  headers: [string, string][],
  body: SentBody,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const early = await isEarly(incoming);
  const stream = body instanceof ReadableStream ? body : undefined;
  if (outgoing.destroyed) {
    await stream?.cancel();
    return;
  }
  const has = (wanted: string) => headers.some(([name]) => name === wanted);
  // The rest of the request's body may take long: the connection isn't kept for another request.
  if (early && !has("connection")) headers.push(["connection", "close"]);
  const whole = stream === undefined ? body as string | Uint8Array | null : null;
  if (whole !== null && !has("content-length")) {
    headers.push(["content-length", String(Buffer.byteLength(whole))]);
  }
  outgoing.writeHead(status, fieldsOf(headers));
  if (stream !== undefined) {
    outgoing.flushHeaders();
    await pump(stream.getReader(), outgoing);
  } else if (whole !== null) {
    if (!early) {
      outgoing.end(whole);
      return;
    }
    outgoing.write(whole);
  }
  if (early) await dropRest(incoming, outgoing);
  outgoing.end();
}

/**
 * Returns headers as an object. Middleware that wraps `writeHead`, such as compression and sessions, takes
 * an array for something else in some versions.
 */
function fieldsOf(headers: readonly (readonly [string, string])[]): Record<string, string[]> {
  const fields: Record<string, string[]> = {};
  for (const [name, value] of headers) (fields[name] ??= []).push(value);
  return fields;
}

/** Tells whether the request is incomplete. One that has arrived but is unread completes in a moment. */
async function isEarly(incoming: IncomingMessage): Promise<boolean> {
  if (incoming.complete) return false;
  await new Promise((resolve) => setImmediate(resolve));
  return !incoming.complete;
}

/** Reads a complete body; faster than `arrayBuffer()`. */
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

/** Writes a stream, with backpressure. */
async function pump(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  outgoing: ServerResponse,
): Promise<void> {
  let wake: (() => void) | undefined;
  const drained = () => wake?.();
  const gone = () => {
    // The client is gone: a cancellation that fails can be ignored.
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
 * Reads and discards the rest of the request for a limited time: closing the connection earlier could
 * make the client miss the reply.
 */
async function dropRest(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  if (incoming.complete || outgoing.destroyed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, DROP_MS);
  incoming.once("close", resolve);
  incoming.once("end", resolve);
  incoming.removeAllListeners("data");
  incoming.resume();
  await promise;
  clearTimeout(timer);
  incoming.off("close", resolve);
  incoming.off("end", resolve);
}
