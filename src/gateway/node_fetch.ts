/**
 * Sends requests by `node:http` and `node:https`: on Node the global `fetch` takes a third more of the
 * processor for each call.
 *
 * Only what upstreams are commonly asked is sent here, and anything else by `fetch`. No request is sent
 * twice: one that fails on a connection that was used before, as when the upstream closes it just
 * then, may have arrived. Connections are let go of sooner than servers commonly do, so that is rare.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import http, { type ClientRequest, type IncomingMessage } from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import type { Fetch } from "./http_auth.ts";
import { UpstreamError } from "./upstream_error.ts";

/** Bounds of connections. */
export interface ConnectionLimits {
  /** How long a connection is kept for the next request, in milliseconds: Node's servers wait 5 s. */
  readonly idleMs: number;
  /** How many connections are kept for each origin. */
  readonly idleSockets: number;
  /** How long connecting may take, in milliseconds. */
  readonly connectMs: number;
}

const LIMITS: ConnectionLimits = { idleMs: 4000, idleSockets: 256, connectMs: 10_000 };
/** How long a connection may be silent before it is asked whether it is alive, in milliseconds. */
const PROBE_MS = 60_000;
/** How many bytes of an answer are waited for, to make the answer of them at once. */
const WHOLE_BYTES = 64 * 1024;
/** How many bytes of a stream wait for its reader before the connection is paused. */
const WAITING_BYTES = 64 * 1024;

/** What `init` may hold. */
const KNOWN: ReadonlySet<string> = new Set(["method", "headers", "signal", "redirect", "body"]);
/** Headers that change how a message is sent or read. */
const NOT_HERE: ReadonlySet<string> = new Set([
  "accept-encoding",
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
const NAME = /^[!#$%&'*+.^`|~0-9a-z_-]+$/;
const VALUE = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/;
const REASON = /^[\t\x20-\x7e\x80-\xff]*$/;
const UNUSABLE = { detail: "a status or header that is none" };

/** A request as it is sent. */
interface Outgoing {
  readonly url: URL;
  readonly method: string;
  /** Names and values by turns. */
  readonly headers: readonly string[];
  readonly signal: AbortSignal | null | undefined;
  readonly body: string | undefined;
}

/**
 * Makes a function that sends requests as `fetch` does, with connections of its own.
 *
 * @param limits Bounds of the connections; idle for 4 s, 256 of them, 10 s to connect when left out
 * @param otherwise Sends what isn't sent here
 */
export function makeNodeFetch(
  limits: Partial<ConnectionLimits> = {},
  otherwise: Fetch = (to, init) => globalThis.fetch(to, init),
): Fetch {
  const { idleMs: timeout, idleSockets: maxFreeSockets, connectMs } = { ...LIMITS, ...limits };
  const own = { keepAlive: true, keepAliveMsecs: PROBE_MS, timeout, maxFreeSockets };
  const agents = { "http:": new http.Agent(own), "https:": new https.Agent(own) };
  const open = ({ url, method, headers }: Outgoing): ClientRequest => {
    const { protocol, hostname, port, pathname, search } = url;
    const secure = protocol === "https:";
    const request = (secure ? https : http).request({
      agent: agents[secure ? "https:" : "http:"],
      protocol,
      hostname: hostname.startsWith("[") ? hostname.slice(1, -1) : hostname,
      port,
      path: pathname + search,
      method,
      headers,
    });
    request.once("socket", (socket) => {
      if (socket.connecting) boundConnecting(socket, secure, connectMs);
    });
    return request;
  };
  return (to, init) => {
    const outgoing = outgoingOf(to, init);
    if (outgoing === undefined) return otherwise(to, init);
    if (outgoing.signal?.aborted) return Promise.reject(outgoing.signal.reason);
    return new Promise((resolve, reject) =>
      new Exchange(open(outgoing), outgoing, resolve, reject)
    );
  };
}

function boundConnecting(socket: Socket, secure: boolean, ms: number): void {
  const timer = setTimeout(() => {
    const error = new Error("It took too long to connect");
    socket.destroy(Object.assign(error, { code: "ETIMEDOUT" }));
  }, ms);
  const stop = () => clearTimeout(timer);
  socket.once(secure ? "secureConnect" : "connect", stop).once("close", stop);
}

/** What a call of `fetch` asks for, or `undefined` when it is to be left to `fetch`. */
function outgoingOf(to: string, init: RequestInit): Outgoing | undefined {
  for (const key in init) if (!KNOWN.has(key)) return undefined;
  const { method = "GET", signal, redirect, body } = init;
  if (redirect !== "manual") return undefined;
  const bare = body === undefined || body === null;
  const fits = method === "POST" ? bare || typeof body === "string" : bare;
  if (!fits || !(method === "POST" || method === "GET" || method === "DELETE")) return undefined;
  const url = typeof to === "string" ? URL.parse(to) : null;
  if (url === null || url.username !== "" || url.password !== "") return undefined;
  if (url.protocol !== "http:" && url.protocol !== "https:") return undefined;
  const headers = ["host", url.host];
  if (!addHeaders(headers, init.headers, !bare)) return undefined;
  const text = bare ? undefined : String(body);
  if (method === "POST") headers.push("content-length", `${Buffer.byteLength(text ?? "")}`);
  return { url, method, headers, signal, body: text };
}

/** Adds the headers of a call of `fetch`, and tells whether all of them can be sent here. */
function addHeaders(all: string[], given: RequestInit["headers"], typed: boolean): boolean {
  if (typeof given !== "object" || given === null) return false;
  const own = given instanceof Headers;
  if (!own && Symbol.iterator in given) return false;
  const fields: Readonly<Record<string, unknown>> = own ? Object.fromEntries(given) : given;
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    const fits = typeof value === "string" && VALUE.test(value) && NAME.test(name);
    if (!fits || NOT_HERE.has(name)) return false;
    all.push(name, value);
  }
  if (typed && !Object.hasOwn(fields, "content-type")) return false;
  // What `fetch` says where nothing else is said: there are servers that refuse who says nothing.
  if (!Object.hasOwn(fields, "accept")) all.push("accept", "*/*");
  if (!Object.hasOwn(fields, "user-agent")) all.push("user-agent", "node");
  return true;
}

/** One request and its answer. */
class Exchange {
  readonly #request: ClientRequest;
  readonly #signal: AbortSignal | null | undefined;
  readonly #resolve: (response: Response) => void;
  readonly #reject: (error: unknown) => void;
  #incoming: IncomingMessage | undefined;
  /** What came of the body before there was a response. */
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #compressed = false;
  #failed = false;
  /** Where the body goes once there is a response. */
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #over = false;

  constructor(
    request: ClientRequest,
    { signal, body }: Outgoing,
    resolve: (response: Response) => void,
    reject: (error: unknown) => void,
  ) {
    this.#request = request;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
    signal?.addEventListener("abort", this.#aborted, { once: true });
    request.on("error", this.#broken);
    request.on("close", () => {
      if (this.#incoming === undefined) this.#broken(new Error("There was no response"));
    });
    request.on("response", this.#answered);
    request.end(body);
  }

  readonly #aborted = (): void => this.#fail(this.#signal?.reason);

  readonly #broken = (cause: Error): void => {
    // What has come as a whole may be read, whatever becomes of its connection.
    if (this.#incoming?.complete) return;
    this.#fail(
      new TypeError(this.#controller === undefined ? "fetch failed" : "terminated", { cause }),
    );
  };

  readonly #answered = (incoming: IncomingMessage): void => {
    this.#incoming = incoming;
    incoming.on("error", this.#broken);
    incoming.on("close", () => this.#fail(new TypeError("terminated")));
    incoming.on("data", this.#received);
    incoming.on("end", this.#ended);
    const { statusCode: status = 0, headers } = incoming;
    // What comes after it is the answer, and would be taken for that to the connection's next request.
    if (status < 200) return this.#fail(new UpstreamError("protocol", UNUSABLE));
    const { "content-encoding": coding = "", "content-type": type = "" } = headers;
    this.#compressed = !/^\s*(?:identity\s*)?$/i.test(coding);
    this.#failed = status >= 400;
    // Others have no body, or little to say.
    if (this.#compressed || status > 203) return;
    const long = Number(headers["content-length"]) > WHOLE_BYTES;
    if (long || type.toLowerCase().startsWith("text/event-stream")) this.#stream();
  };

  readonly #received = (chunk: Uint8Array): void => {
    if (this.#over) return;
    if (this.#controller !== undefined) {
      this.#controller.enqueue(chunk);
      if ((this.#controller.desiredSize ?? 0) <= 0) this.#incoming?.pause();
      return;
    }
    if (this.#compressed) return this.#unreadable();
    this.#chunks.push(chunk);
    this.#bytes += chunk.byteLength;
    if (this.#bytes <= WHOLE_BYTES) return;
    this.#stream();
    // Nobody reads that much of why a request failed, or may read it at all.
    if (!this.#failed) return;
    this.#fail(new UpstreamError("protocol", { detail: "an error over 64 KiB" }));
  };

  readonly #ended = (): void => {
    if (this.#over) return;
    this.#finish();
    if (this.#chunks.length > 0) this.#stream();
    else if (this.#controller === undefined) this.#respond(null);
    this.#controller?.close();
    // Nobody waits any more for the upstream to take the rest of the request.
    if (!this.#request.writableFinished) this.#request.destroy();
  };

  /** Answers without a body where the status says enough, and fails elsewhere. */
  #unreadable(): void {
    if (this.#failed) this.#respond(null);
    this.#fail(new UpstreamError("protocol", { detail: "an answer compressed unasked" }));
  }

  /** Answers with what came so far and whatever is to come. */
  #stream(): void {
    const incoming = this.#incoming;
    this.#respond(
      new ReadableStream<Uint8Array>({
        start: (controller) => {
          this.#controller = controller;
          for (const chunk of this.#chunks) controller.enqueue(chunk);
          this.#chunks.length = 0;
        },
        pull: () => void incoming?.resume(),
        cancel: () => this.#dropped(),
      }, { highWaterMark: WAITING_BYTES, size: ({ byteLength }) => byteLength }),
    );
  }

  #respond(body: ReadableStream<Uint8Array> | null): void {
    const { statusCode: status = 0, statusMessage = "", rawHeaders = [] } = this.#incoming ?? {};
    try {
      const statusText = REASON.test(statusMessage) ? statusMessage : "";
      const response = new Response(body, { status, statusText });
      for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
        response.headers.append(rawHeaders[at] ?? "", rawHeaders[at + 1] ?? "");
      }
      this.#resolve(response);
    } catch {
      const error = new UpstreamError("protocol", UNUSABLE);
      this.#reject(error);
      this.#fail(error);
      this.#request.destroy();
    }
  }

  /** Nobody reads the body on. */
  #dropped(): void {
    if (this.#over) return;
    this.#finish();
    this.#request.destroy();
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.#finish();
    this.#reject(error);
    this.#controller?.error(error);
    this.#request.destroy();
  }

  #finish(): void {
    this.#over = true;
    this.#signal?.removeEventListener("abort", this.#aborted);
  }
}
