/**
 * A `fetch` that calls a handler in the same process.
 *
 * @module
 */
import { ErrorCode } from "../protocol/errors.ts";
import { isObject } from "../protocol/jsonrpc.ts";
import { RefusedError } from "./errors.ts";
import type { RequestHandler } from "./types.ts";
import { until } from "./wait.ts";

/** Resumes of a stream without a new event before giving up. */
const MAX_RESUMES = 20;

/** Options of a {@linkcode HandlerFetch}. */
export interface HandlerFetchOptions {
  readonly handler: RequestHandler;
  /** Accept header of every POST; the official client has no option for it. */
  readonly accept: string;
  /** Whether to open the GET stream of a session. */
  readonly listen: boolean;
}

/**
 * Calls a handler as `fetch` calls a server, and adds what the official client doesn't report: the
 * headers of a refusal, answers to another request, and streams that are resumed without end.
 */
export class HandlerFetch {
  readonly #options: HandlerFetchOptions;
  readonly #opened = Promise.withResolvers<void>();
  readonly #resumes = new Map<string, number>();
  /**
   * Bodies being read, with what must not be collected meanwhile: Deno's `fetch` can't be aborted without the
   * response, and on Node a request's signal no longer follows the one that it was made with once the request
   * is gone.
   */
  readonly #bodies = new Map<Promise<void>, readonly [Request, Response]>();

  constructor(options: HandlerFetchOptions) {
    this.#options = options;
    this.#opened.promise.catch(() => {}); // Nobody waits for it in 2026-07-28
  }

  /**
   * Settles when the session's GET stream is open, or can't be had.
   *
   * @throws {RefusedError} If the server refuses the stream with another status than 405
   */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  /** Waits until every aborted body is cancelled on the server. */
  async settled(): Promise<void> {
    await Promise.all(this.#bodies.keys());
  }

  /**
   * Sends one request.
   *
   * @throws {RefusedError} If the server refuses it
   */
  async fetch(url: string | URL, init: RequestInit = {}): Promise<Response> {
    const request = new Request(url, init);
    if (request.method === "GET") return await this.#get(request);
    if (request.method !== "POST") return await this.#send(request);
    request.headers.set("accept", this.#options.accept);
    const message: unknown = JSON.parse(String(init.body));
    const response = await this.#send(request);
    if (!isObject(message)) return response;
    const { id, method } = message;
    // The official client opens the stream after 202 only.
    if (method === "notifications/initialized" && response.status !== 202) this.#opened.resolve();
    if (id === undefined || method === undefined || !response.ok) return response;
    return await answerTo(id, String(method), response);
  }

  async #get(request: Request): Promise<Response> {
    const cursor = request.headers.get("last-event-id");
    const resumes = this.#resumes.get(cursor ?? "") ?? 0;
    this.#resumes.set(cursor ?? "", resumes + 1);
    if (resumes > MAX_RESUMES) throw new Error("The stream sends nothing when it is resumed");
    const wanted = this.#options.listen && request.headers.has("mcp-session-id");
    try {
      if (cursor === null && !wanted) return new Response(null, { status: 405 });
      return await this.#send(request);
    } catch (error) {
      if (cursor === null && error instanceof RefusedError && error.status === 405) {
        return new Response(null, { status: 405 });
      }
      this.#opened.reject(error);
      throw error;
    } finally {
      this.#opened.resolve();
    }
  }

  async #send(request: Request): Promise<Response> {
    const { signal } = request;
    const sent = (async () => await this.#options.handler(request))();
    let response: Response;
    try {
      response = this.#abortable(request, await until(sent, signal));
    } catch (error) {
      sent.then(({ body }) => body?.cancel(), () => {}).catch(() => {});
      throw error;
    }
    if (response.status < 400) return response;
    const text = await response.text();
    const refusal = new RefusedError(response, parse(text));
    // The official client lists the tools and tries again.
    if (refusal.code === ErrorCode.HeaderMismatch) return new Response(text, response);
    throw refusal;
  }

  /** Ties a body to a signal, as a connection's end ties them in a real `fetch`. */
  #abortable(request: Request, response: Response): Response {
    if (response.body === null) return response;
    const { signal } = request;
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const piped = response.body.pipeTo(writable, { signal }).catch(() => {})
      .finally(() => this.#bodies.delete(piped));
    this.#bodies.set(piped, [request, response]);
    return new Response(readable, response);
  }
}

/**
 * Checks that a response is a stream or the answer to a request. The official client would wait for
 * an answer that can't come any more.
 */
async function answerTo(id: unknown, method: string, response: Response): Promise<Response> {
  if (response.headers.get("content-type")?.startsWith("text/event-stream")) return response;
  if (response.status === 202) {
    throw new TypeError(`The server accepted ${method} without answering`);
  }
  const text = await response.text();
  const answer = parse(text);
  if (isObject(answer) && answer.id === id) return new Response(text, response);
  throw new TypeError(`The server didn't answer ${method}, but sent: ${text.slice(0, 200)}`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
