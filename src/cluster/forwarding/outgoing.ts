/**
 * Sends requests to other nodes, and assembles their replies.
 *
 * @module
 */
import { type Reply, reply } from "../../http/reply.ts";
import type { Clock } from "../../internal/clock.ts";
import { randomText } from "../../internal/random.ts";
import { retryFrame } from "../../streams/sse.ts";
import type { ForwardedRequest, ForwardMessage } from "../messages/messages.ts";
import { WINDOW } from "./body_parts.ts";
import type { NodeMessenger } from "../messages/messenger.ts";

/** The time within which the other node must confirm a request, in milliseconds. */
const TAKEN_MS = 5_000;

/** Says that the other node has not received the request, and never will. */
export class NotDelivered extends Error {}

/** Says that the other node doesn't respond. It may have received the request. */
export class NoAnswer extends Error {}

const encoder = new TextEncoder();

/** The requests that other nodes answer for this node. */
export class Outgoing {
  readonly #messenger: NodeMessenger;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Waiting>();

  constructor(messenger: NodeMessenger, clock: Clock) {
    this.#messenger = messenger;
    this.#clock = clock;
  }

  /** The nodes that this node waits for. */
  get nodes(): ReadonlySet<string> {
    return new Set([...this.#waiting.values()].map(({ to }) => to));
  }

  /** The number of incomplete replies. */
  get size(): number {
    return this.#waiting.size;
  }

  /**
   * Forwards a request.
   *
   * @param over Called once when a reply that has begun is complete or aborted
   * @throws {NotDelivered} If the other node has not received it
   * @throws {NoAnswer} If it is unknown whether the other node has received it
   */
  async send(to: string, request: ForwardedRequest, over: () => void): Promise<Reply> {
    const id = randomText(16);
    const tell = (message: ForwardMessage) => void this.#tell(to, message);
    const waiting = new Waiting(to, id, request.verb, tell, (begun) => {
      this.#waiting.delete(id);
      if (begun) over();
    });
    this.#waiting.set(id, waiting);
    waiting.expect(this.#clock, TAKEN_MS);
    // Not awaited: a bus that stalls must not delay the timeout.
    void this.#deliver(waiting, { kind: "forward", id, request });
    return await waiting.reply;
  }

  async #deliver(waiting: Waiting, message: ForwardMessage): Promise<void> {
    try {
      if (await this.#messenger.send(waiting.to, message)) return;
      waiting.fail(new NotDelivered("The node has left"));
    } catch (error) {
      waiting.fail(
        new NoAnswer("It is unknown whether the node has received the request", { cause: error }),
      );
    }
  }

  /** Handles a message about a request that was forwarded. */
  onMessage(message: ForwardMessage, from: string): void {
    if (message.kind === "forward-unknown") {
      for (const id of message.ids) {
        const waiting = this.#waiting.get(id);
        if (waiting?.to === from) waiting.fail(new NoAnswer("The node doesn't know the request"));
      }
      return;
    }
    if (!("id" in message)) return;
    const waiting = this.#waiting.get(message.id);
    if (waiting?.to === from) waiting.onMessage(message);
  }

  /** Fails the requests to a node that is dead. */
  lost(node: string): void {
    for (const waiting of [...this.#waiting.values()]) {
      if (waiting.to === node) waiting.fail(new NoAnswer("The node is dead"));
    }
  }

  /**
   * Asks a node whether it still knows the requests that it answers, since messages may be lost.
   *
   * @returns `false` if the node certainly can't be reached
   */
  async check(node: string): Promise<boolean> {
    const room: Record<string, number> = {};
    for (const [id, { to, granted }] of this.#waiting) if (to === node) room[id] = granted;
    try {
      return await this.#messenger.send(node, { kind: "forward-check", room });
    } catch {
      return true;
    }
  }

  /** Stops waiting; streams end with a `retry` time of `retryMs` milliseconds. */
  close(retryMs: number, which: (verb: ForwardedRequest["verb"]) => boolean): void {
    for (const waiting of [...this.#waiting.values()]) {
      if (which(waiting.verb)) waiting.close(retryMs);
    }
  }

  async #tell(to: string, message: ForwardMessage): Promise<void> {
    try {
      await this.#messenger.send(to, message);
    } catch {
      // The next check detects a lost message.
    }
  }
}

/** A reply that this node waits for. */
class Waiting {
  readonly to: string;
  readonly verb: ForwardedRequest["verb"];
  readonly reply: Promise<Reply>;
  readonly #id: string;
  readonly #tell: (message: ForwardMessage) => void;
  readonly #over: (begun: boolean) => void;
  readonly #resolve: (reply: Reply) => void;
  readonly #reject: (error: Error) => void;
  #stopWaiting: (() => void) | undefined;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  /** Whether the other node has confirmed the request. */
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
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    this.reply = promise;
    // It may reject while the request is still being sent.
    promise.catch(() => {});
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** The number of the last part that is accepted. */
  get granted(): number {
    return this.#granted;
  }

  /** Starts the time limit for the confirmation of the request. */
  expect(clock: Clock, ms: number): void {
    if (this.#taken || this.#ended) return;
    this.#stopWaiting = clock.timer(ms, () => {
      this.#tell({ kind: "forward-gone", id: this.#id });
      this.fail(new NoAnswer("The node doesn't confirm the request"));
    });
  }

  onMessage(message: ForwardMessage): void {
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

  /** Fails the reply: the client gets an error, or its stream ends early so that it resumes. */
  fail(error: Error): void {
    if (this.#ended) return;
    this.#finish();
    if (!this.#begun) return this.#reject(error);
    // A stream just ends, as with a broken connection; another body must not look complete.
    if (this.#stream) this.#controller?.close();
    else this.#controller?.error(error);
  }

  close(retryMs: number): void {
    if (this.#ended) return;
    this.#tell({ kind: "forward-gone", id: this.#id });
    if (this.#stream && this.#between) this.#enqueue(retryFrame(retryMs));
    this.fail(new NoAnswer("The forwarding node closes"));
  }

  #begin({ status, headers, whole }: Extract<ForwardMessage, { kind: "forward-head" }>): void {
    if (this.#begun) return;
    this.#begun = true;
    if (whole !== undefined) {
      this.#finish();
      return this.#resolve(reply(status, headers, whole === "" ? null : whole));
    }
    this.#stream = headers["content-type"] === "text/event-stream";
    this.#resolve(reply(status, headers, this.#body()));
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
