/**
 * Requests that this node has handed on to others over HTTP, and whose responses it passes on.
 *
 * @module
 */
import { retryFrame } from "../streams/sse.ts";
import type { ForwardedRequest } from "./messages.ts";
import { NoAnswer, NotDelivered } from "./outgoing.ts";

/** Sends an HTTP request: `fetch`, or something that adds to it, such as a client certificate. */
export type NodeFetch = (url: string, init: RequestInit) => Promise<Response>;

/** The media type of an envelope that travels over HTTP. */
export const ENVELOPE_TYPE = "application/mooring-envelope";
/** The header in which a node says that the response is its own, by its id. */
export const NODE_HEADER = "mooring-node";
/** What a node says there that didn't believe the envelope. */
export const REFUSED = "refused";

/** Headers that speak of one connection, or of a body as it was before it was read. */
const DROPPED: ReadonlySet<string> = new Set([
  NODE_HEADER,
  "connection",
  "content-encoding",
  "content-length",
  "date",
  "keep-alive",
  "transfer-encoding",
]);

/** Where a request goes. */
export interface HttpCallInit {
  /** The other node's id. */
  readonly node: string;
  readonly url: string;
  readonly verb: ForwardedRequest["verb"];
  readonly envelope: string;
  /** Called once when the response is whole or has broken off, if it began. */
  readonly over: () => void;
}

/** Hands requests on over HTTP. */
export class HttpCalls {
  readonly #fetch: NodeFetch;
  readonly #open = new Set<HttpCall>();

  constructor(fetch: NodeFetch) {
    this.#fetch = fetch;
  }

  /** The nodes that are waited for. */
  get nodes(): ReadonlySet<string> {
    return new Set([...this.#open].map(({ node }) => node));
  }

  /**
   * Hands a request on.
   *
   * @throws {NotDelivered} If the other node has not got it
   * @throws {NoAnswer} If nobody knows whether it has
   */
  async send(init: HttpCallInit): Promise<Response> {
    const call = new HttpCall(init, () => this.#open.delete(call));
    this.#open.add(call);
    return await call.send(this.#fetch);
  }

  /** Gives up what a node was to answer. */
  lost(node: string): void {
    for (const call of [...this.#open]) if (call.node === node) call.stop();
  }

  /** Gives up what is waited for; the clients of streams are told to come back after `retryMs`. */
  close(retryMs: number, which: (verb: ForwardedRequest["verb"]) => boolean): void {
    for (const call of [...this.#open]) if (which(call.verb)) call.stop(retryMs);
  }
}

/** One request on its way, and its response on its way back. */
class HttpCall {
  readonly node: string;
  readonly verb: ForwardedRequest["verb"];
  readonly #init: HttpCallInit;
  readonly #done: () => void;
  readonly #aborter = new AbortController();
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #stream = false;
  /** Whether the body is between two events. */
  #between = true;
  #begun = false;
  #ended = false;

  constructor(init: HttpCallInit, done: () => void) {
    this.#init = init;
    this.node = init.node;
    this.verb = init.verb;
    this.#done = done;
  }

  async send(fetch: NodeFetch): Promise<Response> {
    const { node, url, envelope: body } = this.#init;
    const headers = { "content-type": ENVELOPE_TYPE };
    const { signal } = this.#aborter;
    let response: Response;
    try {
      response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
    } catch (error) {
      this.#done();
      throw isRefused(error)
        ? new NotDelivered("Nobody is there", { cause: error })
        : new NoAnswer("Nobody knows whether the node has it", { cause: error });
    }
    const answering = response.headers.get(NODE_HEADER);
    if (answering === node && !this.#ended) return this.#pass(response);
    this.#done();
    void response.body?.cancel().catch(() => {});
    if (answering === REFUSED) throw new NotDelivered("The node doesn't believe it");
    throw new NoAnswer("Somebody else answers");
  }

  /** Breaks off; the client of a stream may be told to come back after `retryMs`. */
  stop(retryMs?: number): void {
    if (this.#ended) return;
    if (retryMs !== undefined && this.#stream && this.#between) {
      this.#controller?.enqueue(new TextEncoder().encode(retryFrame(retryMs)));
    }
    // A stream just ends, as it does when a connection breaks; anything else would be taken for whole.
    if (this.#stream) this.#controller?.close();
    else this.#controller?.error(new NoAnswer("The node is gone"));
    this.#finish();
    this.#aborter.abort(new NoAnswer("The node is gone"));
    void this.#reader?.cancel().catch(() => {});
  }

  #pass({ status, headers, body }: Response): Response {
    const kept = [...headers].filter(([name]) => !DROPPED.has(name));
    this.#begun = true;
    this.#stream = headers.get("content-type") === "text/event-stream";
    if (body === null) {
      this.#finish();
      return new Response(null, { status, headers: kept });
    }
    this.#reader = body.getReader();
    return new Response(this.#body(this.#reader), { status, headers: kept });
  }

  #body(reader: ReadableStreamDefaultReader<Uint8Array>): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: async (controller) => {
        try {
          const { done, value } = await reader.read();
          if (this.#ended) return;
          if (value !== undefined) {
            this.#between = value.at(-1) === 10 && value.at(-2) === 10;
            controller.enqueue(value);
          }
          if (done) {
            this.#finish();
            controller.close();
          }
        } catch (error) {
          if (this.#ended) return;
          this.#finish();
          if (this.#stream) controller.close();
          else controller.error(error);
        }
      },
      cancel: (reason) => {
        this.#finish();
        this.#aborter.abort(reason);
        return reader.cancel(reason);
      },
    }, { highWaterMark: 0 });
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#done();
    if (this.#begun) this.#init.over();
  }
}

/** Whether no connection came about, as each runtime says it. */
function isRefused(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const code = "code" in cause ? cause.code : undefined;
    if (code === "ECONNREFUSED" || code === "ConnectionRefused") return true;
    if (cause.message.includes("Connection refused (os error")) return true;
  }
  return false;
}
