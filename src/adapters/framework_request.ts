/**
 * Reads what frameworks for Node change on a request before they call a request listener.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";

/** A request of Node with what frameworks add. Nothing in it can be relied on. */
interface FrameworkRequest extends IncomingMessage {
  /** What a body parser made of the body. */
  readonly body?: unknown;
  /** The body's bytes. `@hono/node-server` uses them in place of Node's stream. */
  rawBody?: unknown;
  /** The part of the path that routers of Express have removed from `url`. */
  readonly baseUrl?: unknown;
  /** `url` before routers changed it: Express, Connect and others. */
  readonly originalUrl?: unknown;
}

/** Returns the URL of a request, with the part of the path that the framework's routers have removed. */
export function wholeUrl({ url, baseUrl, originalUrl }: FrameworkRequest): string | undefined {
  if (typeof baseUrl === "string" && url?.startsWith("/")) return baseUrl + url;
  return typeof originalUrl === "string" ? originalUrl : url;
}

/**
 * Stores a body that a parser has read from Node's stream where the request reads it from. An object
 * becomes JSON again. Does nothing if the stream is unread, or the parser has kept nothing.
 */
export function keepBodyReadBefore(incoming: FrameworkRequest): void {
  if (!incoming.readableDidRead || Buffer.isBuffer(incoming.rawBody)) return;
  const bytes = bytesOf(incoming.body);
  if (bytes !== undefined) incoming.rawBody = bytes;
}

function bytesOf(body: unknown): Buffer | undefined {
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (typeof body === "string") return Buffer.from(body);
  if (typeof body !== "object" || body === null) return undefined;
  try {
    // The declared length is not that of this text: a replacement character would look like invalid UTF-8.
    return Buffer.from(JSON.stringify(body).replaceAll("\ufffd", "\\ufffd"));
  } catch {
    // A parser's result that is no JSON, such as a circular object, counts as not kept.
    return undefined;
  }
}
