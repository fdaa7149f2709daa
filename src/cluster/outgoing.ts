/**
 * Requests that this node has handed on to others over the bus, and whose responses it waits for.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { randomText } from "../internal/random.ts";
import { retryFrame } from "../streams/sse.ts";
import type { ForwardedRequest, ForwardMessage } from "./messages.ts";
import { WINDOW } from "./parts.ts";
import type { Post } from "./post.ts";

/** How long the other node has to say that a request has arrived, in milliseconds. */
const TAKEN_MS = 5_000;

/** The other node has not got the request, and never will. */
export class NotDelivered extends Error {}

/** The other node doesn't answer. It may have got the request. */
export class NoAnswer extends Error {}

const encoder = new TextEncoder();

/** Hands requests on, and puts the responses together. */
export class Outgoing {
  readonly #post: Post;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Waiting>();

  constructor(post: Post, clock: Clock) {
    this.#post = post;
    this.#clock = clock;
  }

  /** The nodes that are waited for. */
  get nodes(): ReadonlySet<string> {
    return new Set([...this.#waiting.values()].map(({ to }) => to));
  }

  /** How many responses are not whole yet. */
  get size(): number {
    return this.#waiting.size;
  }

  /**
   * Hands a request on.
   *
   * @param over Called once when the response is whole or has broken off, if it began
   * @throws {NotDelivered} If the other node has not got it
   * @throws {NoAnswer} If nobody knows whether it has
   */
  async send(to: string, request: ForwardedRequest, over: () => void): Promise<Response> {
    const id = randomText(16);
    const tell = (message: ForwardMessage) => void this.#tell(to, message);
    const waiting = new Waiting(to, id, request.verb, tell, (begun) => {
      this.#waiting.delete(id);
      if (begun) over();
    });
    this.#waiting.set(id, waiting);
    waiting.expect(this.#clock, TAKEN_MS);
    // Not awaited: a bus that stalls must not keep the wait from ending.
    void this.#deliver(waiting, { kind: "forward", id, request });
    return await waiting.response;
  }

  async #deliver(waiting: Waiting, message: ForwardMessage): Promise<void> {
    try {
      if (await this.#post.send(waiting.to, message)) return;
      waiting.fail(new NotDelivered("The node is not there"));
    } catch (error) {
      waiting.fail(new NoAnswer("Nobody knows whether the node has it", { cause: error }));
    }
  }

  /** Takes what another node says of a request that was handed on to it. */
  hear(message: ForwardMessage, from: string): void {
    if (message.kind === "forward-unknown") {
      for (const id of message.ids) {
        const waiting = this.#waiting.get(id);
        if (waiting?.to === from) waiting.fail(new NoAnswer("The node knows nothing of it"));
      }
      return;
    }
    if (!("id" in message)) return;
    const waiting = this.#waiting.get(message.id);
    if (waiting?.to === from) waiting.hear(message);
  }

  /** Gives up what a node was to answer. */
  lost(node: string): void {
    for (const waiting of [...this.#waiting.values()]) {
      if (waiting.to === node) waiting.fail(new NoAnswer("The node is gone"));
    }
  }

  /** Asks a node whether it still knows of what it is to answer, since messages may get lost. */
  check(node: string): void {
    const room: Record<string, number> = {};
    for (const [id, { to, granted }] of this.#waiting) if (to === node) room[id] = granted;
    void this.#tell(node, { kind: "forward-check", room });
  }

  /** Gives up what is waited for; the clients of streams are told to come back after `retryMs`. */
  close(retryMs: number, which: (verb: ForwardedRequest["verb"]) => boolean): void {
    for (const waiting of [...this.#waiting.values()]) {
      if (which(waiting.verb)) waiting.close(retryMs);
    }
  }

  async #tell(to: string, message: ForwardMessage): Promise<void> {
    try {
      await this.#post.send(to, message);
    } catch {
      // What gets lost is noticed by the next check.
    }
  }
}

/** One response that is waited for. */
class Waiting {
  readonly to: string;
  readonly verb: ForwardedRequest["verb"];
  readonly response: Promise<Response>;
  readonly #id: string;
  readonly #tell: (message: ForwardMessage) => void;
  readonly #over: (begun: boolean) => void;
  readonly #resolve: (response: Response) => void;
  readonly #reject: (error: Error) => void;
  #stopWaiting: (() => void) | undefined;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  /** Whether the other node has said anything. */
  #taken = false;
  #begun = false;
  #ended = false;
  #stream = false;
  /** Whether the body is between two events. */
  #between = true;
  #received = 0;
  #granted = WINDOW;

  constructor(
    to: string,
    id: string,
    verb: ForwardedRequest["verb"],
    tell: (message: ForwardMessage) => void,
    over: (begun: boolean) => void,
  ) {
    this.to = to;
    this.verb = verb;
    this.#tell = tell;
    this.#id = id;
    this.#over = over;
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    this.response = promise;
    // It may fail while the request is still being sent.
    promise.catch(() => {});
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Up to which part there is room. */
  get granted(): number {
    return this.#granted;
  }

  /** Gives the other node a time to say that it has got the request. */
  expect(clock: Clock, ms: number): void {
    if (this.#taken || this.#ended) return;
    this.#stopWaiting = clock.timer(ms, () => {
      this.#tell({ kind: "forward-gone", id: this.#id });
      this.fail(new NoAnswer("The node doesn't say that it has it"));
    });
  }

  hear(message: ForwardMessage): void {
    this.#taken = true;
    this.#stopWaiting?.();
    switch (message.kind) {
      case "forward-head":
        return this.#begin(message);
      case "forward-part":
        return this.#part(message.n, message.text);
      case "forward-end":
        if (!this.#begun || message.failed === true || message.n !== this.#received) {
          return this.fail(new NoAnswer("The node failed to answer"));
        }
        this.#finish();
        return this.#controller?.close();
    }
  }

  /** Gives up: the client gets an error, or its stream breaks off so that it comes back. */
  fail(error: Error): void {
    if (this.#ended) return;
    this.#finish();
    if (!this.#begun) return this.#reject(error);
    // A stream just ends, as it does when a connection breaks; anything else would be taken for whole.
    if (this.#stream) this.#controller?.close();
    else this.#controller?.error(error);
  }

  close(retryMs: number): void {
    if (this.#ended) return;
    this.#tell({ kind: "forward-gone", id: this.#id });
    if (this.#stream && this.#between) this.#enqueue(retryFrame(retryMs));
    this.fail(new NoAnswer("The node that handed it on closes"));
  }

  #begin({ status, headers, whole }: Extract<ForwardMessage, { kind: "forward-head" }>): void {
    if (this.#begun) return;
    this.#begun = true;
    const init = {
      status,
      headers: headers.map(([name, value]): [string, string] => [name, value]),
    };
    if (whole !== undefined) {
      this.#finish();
      return this.#resolve(new Response(whole === "" ? null : whole, init));
    }
    const response = new Response(this.#body(), init);
    this.#stream = response.headers.get("content-type") === "text/event-stream";
    this.#resolve(response);
  }

  #body(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: (controller) => {
        const room = this.#received + Math.max(0, controller.desiredSize ?? 0);
        if (this.#ended || room < this.#granted + WINDOW / 2) return;
        this.#granted = room;
        this.#tell({ kind: "forward-more", id: this.#id, n: room });
      },
      cancel: () => {
        this.#tell({ kind: "forward-gone", id: this.#id });
        this.#finish();
      },
    }, { highWaterMark: WINDOW });
  }

  #part(n: number, text: string): void {
    if (!this.#begun || n !== this.#received + 1 || n > this.#granted) {
      this.#tell({ kind: "forward-gone", id: this.#id });
      return this.fail(new NoAnswer("A part of the answer is missing"));
    }
    this.#received = n;
    this.#between = text.endsWith("\n\n");
    this.#enqueue(text);
  }

  #enqueue(text: string): void {
    this.#controller?.enqueue(encoder.encode(text));
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stopWaiting?.();
    this.#over(this.#begun);
  }
}
