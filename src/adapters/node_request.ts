/**
 * Reads requests of `node:http` without making a `Request`, unless an application's function wants one.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";
import { isHiddenHeader } from "../auth/underscore_headers.ts";
import type { HostRequest } from "../http/inbound.ts";
import { wholeUrl } from "./framework_request.ts";

/** Matches a Host header that stands in a URL as it is. */
const PLAIN_HOST = /^[a-z0-9._-]+(?::\d{1,5})?$/i;
/** Matches a path and query that stand in a URL as they are. */
const PLAIN_TARGET = /^\/[!$&-;=?-[\]_a-z~]*$/;
const DOT_SEGMENT = /\/\.\.?(?:[/?]|$)/;
const BYTE_ORDER_MARK = "\ufeff";

/** A request of `node:http`. */
export class NodeRequest implements HostRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Pick<Headers, "get" | "has">;
  readonly #incoming: IncomingMessage;
  readonly #outgoing: ServerResponse;
  #controller: AbortController | undefined;
  #request: Request | undefined;

  /**
   * Creates it.
   *
   * @throws {TypeError} If the Host header is missing, or the URL is invalid
   */
  constructor(incoming: IncomingMessage, outgoing: ServerResponse) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    this.method = incoming.method ?? "GET";
    this.url = urlOf(incoming);
    this.headers = new NodeHeaders(incoming);
  }

  get body(): ReadableStream<Uint8Array> | null {
    const raw = rawBody(this.#incoming);
    return raw === undefined ? stream(this.#incoming) : new Blob([raw]).stream();
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = this.#controller = new AbortController();
      const outgoing = this.#outgoing;
      const closed = () => {
        if (outgoing.writableFinished) return;
        controller.abort(new Error("The client closed the connection"));
      };
      if (outgoing.closed || outgoing.destroyed) closed();
      else outgoing.once("close", closed);
    }
    return this.#controller.signal;
  }

  text(): Promise<string> {
    const raw = rawBody(this.#incoming);
    return raw === undefined ? readText(this.#incoming) : Promise.resolve(decode(raw));
  }

  toRequest(): Request {
    return this.#request ??= new ApplicationRequest(this, headersOf(this.#incoming));
  }
}

/** A `Request` whose signal is only made when it is read: it takes as long as the rest. */
class ApplicationRequest extends Request {
  readonly #source: NodeRequest;

  constructor(source: NodeRequest, headers: Record<string, string>) {
    super(source.url, { method: source.method, headers });
    this.#source = source;
  }

  override get signal(): AbortSignal {
    return this.#source.signal;
  }
}

/** Headers of which Node keeps the first value alone. */
const KEPT_FIRST: ReadonlySet<string> = new Set([
  "age",
  "authorization",
  "content-length",
  "content-type",
  "etag",
  "expires",
  "from",
  "host",
  "if-modified-since",
  "if-unmodified-since",
  "last-modified",
  "location",
  "max-forwards",
  "proxy-authorization",
  "referer",
  "retry-after",
  "server",
  "user-agent",
]);

/** Reads single headers. A header that was sent several times has all its values, joined. */
class NodeHeaders {
  readonly #incoming: IncomingMessage;

  constructor(incoming: IncomingMessage) {
    this.#incoming = incoming;
  }

  get(name: string): string | null {
    const lower = name.toLowerCase();
    const value = this.#incoming.headers[lower];
    // Anything else is of the object's prototype.
    if (typeof value !== "string" && !Array.isArray(value)) return null;
    return joined(this.#incoming.rawHeaders, lower, value);
  }

  has(name: string): boolean {
    return this.get(name) !== null;
  }
}

/** Returns all values of a header, given what Node has kept of them. */
function joined(
  rawHeaders: readonly string[],
  wanted: string,
  kept: string | readonly string[],
): string {
  if (typeof kept !== "string") return kept.join(", ");
  if (!KEPT_FIRST.has(wanted)) return kept;
  let value: string | undefined;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name?.length !== wanted.length || name.toLowerCase() !== wanted) continue;
    value = value === undefined ? kept : `${value}, ${rawHeaders[i + 1]}`;
  }
  return value ?? kept;
}

/**
 * Returns the headers for an application: those that the frameworks before have left, without those that
 * are hidden. Of a header that was sent several times Node may keep the first value alone: here all
 * are joined, so that a second `Authorization` doesn't go unnoticed.
 */
function headersOf({ headers, rawHeaders }: IncomingMessage): Record<string, string> {
  const made: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    // Names with a colon are of HTTP/2.
    if (value === undefined || name.startsWith(":") || isHiddenHeader(name)) continue;
    made[name] = joined(rawHeaders, name, value);
  }
  return made;
}

/** Returns the absolute URL of a request, whose target may be an absolute URL itself. */
function urlOf(incoming: IncomingMessage): string {
  const target = wholeUrl(incoming) ?? "";
  if (/^https?:\/\//.test(target)) return new URL(checked(target)).href;
  const host = incoming.headers.host ?? incoming.headers[":authority"];
  if (typeof host !== "string" || host === "") throw new TypeError("Send a Host header");
  const scheme = (incoming.socket as Partial<TLSSocket> | null)?.encrypted ? "https" : "http";
  const url = `${scheme}://${host}${target}`;
  if (PLAIN_HOST.test(host) && PLAIN_TARGET.test(target) && !DOT_SEGMENT.test(target)) return url;
  if (!target.startsWith("/")) throw new TypeError("Send a path as the request's target");
  const parsed = new URL(checked(url));
  // The host ends where the URL's authority does: not at a path, a query or a login in it.
  if (/[/?#@\\]/.test(host)) throw new TypeError("Send a valid Host header");
  return parsed.href;
}

/** Refuses a backslash in a path, which URLs take for a slash. */
function checked(url: string): string {
  const [path = ""] = url.split("?", 1);
  if (path.includes("\\")) throw new TypeError("Send a URL without a backslash");
  return url;
}

/** Returns the body where a platform has read it already, as some cloud functions do. */
function rawBody(incoming: IncomingMessage): Uint8Array<ArrayBuffer> | undefined {
  const { rawBody } = incoming as { readonly rawBody?: unknown };
  return rawBody instanceof Uint8Array ? rawBody as Uint8Array<ArrayBuffer> : undefined;
}

function readText(incoming: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    whileReading(incoming, {
      data: (chunk) => void chunks.push(chunk),
      end: () => {
        const [only] = chunks;
        resolve(decode(only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks)));
      },
      failed: reject,
    });
  });
}

/** Decodes UTF-8 like `TextDecoder`, which is slower on Node. */
function decode(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  return text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
}

/**
 * Makes a stream of a body. Cancelling it doesn't close the connection, on which the response is to be
 * sent.
 */
function stream(incoming: IncomingMessage): ReadableStream<Uint8Array> {
  let stop: () => void = () => {};
  return new ReadableStream({
    start(controller) {
      stop = whileReading(incoming, {
        data(chunk) {
          controller.enqueue(chunk);
          if ((controller.desiredSize ?? 0) <= 0) incoming.pause();
        },
        end: () => controller.close(),
        failed: (error) => controller.error(error),
      });
    },
    pull: () => void incoming.resume(),
    cancel() {
      stop();
      incoming.pause();
    },
  });
}

interface Reading {
  data(chunk: Uint8Array): void;
  end(): void;
  failed(error: Error): void;
}

/**
 * Reads a body until it is complete or the connection fails.
 *
 * @returns Stops listening
 * @throws {TypeError} If it was read before
 */
function whileReading(incoming: IncomingMessage, reading: Reading): () => void {
  if (incoming.readableDidRead) throw new TypeError("Leave the body to the endpoint: it was read");
  const end = () => {
    stop();
    reading.end();
  };
  const failed = (error?: Error) => {
    stop();
    reading.failed(error ?? new Error("The client closed the connection"));
  };
  const closed = () => failed();
  const stop = () => {
    incoming.off("data", reading.data);
    incoming.off("end", end);
    incoming.off("error", failed);
    incoming.off("close", closed);
  };
  incoming.on("data", reading.data);
  incoming.on("end", end);
  incoming.on("error", failed);
  incoming.on("close", closed);
  if (incoming.destroyed && !incoming.readableEnded) failed(incoming.errored ?? undefined);
  return stop;
}
