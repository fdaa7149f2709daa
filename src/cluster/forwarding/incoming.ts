/**
 * Answers requests that other nodes forward, and sends the replies back in parts.
 *
 * @module
 */
import type { Reply } from "../../http/reply.ts";
import type { MaybePromise } from "../../internal/types.ts";
import type { ForwardedRequest, ForwardMessage } from "../messages/messages.ts";
import { PART, partsOf, WINDOW } from "./body_parts.ts";
import type { NodeMessenger } from "../messages/messenger.ts";

/** Says that the forwarding node no longer waits for the reply. */
class Gone extends Error {}

/** The requests of other nodes that this node answers. */
export class Incoming {
  readonly #messenger: NodeMessenger;
  readonly #answer: (request: ForwardedRequest) => MaybePromise<Reply>;
  readonly #serving = new Map<string, Serving>();

  /** @param answer Answers a request. Must not reject */
  constructor(
    messenger: NodeMessenger,
    answer: (request: ForwardedRequest) => MaybePromise<Reply>,
  ) {
    this.#messenger = messenger;
    this.#answer = answer;
  }

  /** The nodes that wait for replies. */
  get nodes(): ReadonlySet<string> {
    return new Set([...this.#serving.values()].map(({ from }) => from));
  }

  /** The number of incomplete replies. */
  get size(): number {
    return this.#serving.size;
  }

  /** Handles a message about a request that another node forwards. */
  onMessage(message: ForwardMessage, from: string): void {
    if (message.kind === "forward-check") return this.#check(message.room, from);
    if (!("id" in message)) return;
    const key = `${from} ${message.id}`;
    if (message.kind === "forward") {
      // A request must run only once, even if it were delivered twice.
      if (!this.#serving.has(key)) this.#serve(key, message.id, message.request, from);
      return;
    }
    const serving = this.#serving.get(key);
    if (message.kind === "forward-more") serving?.grant(message.n);
    else if (message.kind === "forward-gone") serving?.end();
  }

  /** Stops sending to a node that is dead. */
  lost(node: string): void {
    for (const serving of [...this.#serving.values()]) if (serving.from === node) serving.end();
  }

  /** Resolves when every current reply has been sent. */
  async settled(): Promise<void> {
    await Promise.all([...this.#serving.values()].map(({ done }) => done));
  }

  /** Stops sending to all nodes, and notifies them. */
  async close(): Promise<void> {
    const all = [...this.#serving.values()];
    for (const serving of all) serving.end();
    await Promise.allSettled(all.map((serving) =>
      this.#messenger.send(serving.from, {
        kind: "forward-end",
        id: serving.id,
        n: serving.sent,
        failed: true,
      })
    ));
  }

  #serve(key: string, id: string, request: ForwardedRequest, from: string): void {
    const serving = new Serving(from, id, async (message) => {
      if (!await this.#messenger.send(from, message)) throw new Gone();
    });
    this.#serving.set(key, serving);
    serving.done = this.#run(serving, request).finally(() => this.#serving.delete(key));
  }

  async #run(serving: Serving, request: ForwardedRequest): Promise<void> {
    const { id } = serving;
    try {
      await Promise.all([
        serving.tell({ kind: "forward-taken", id }),
        Promise.resolve(this.#answer(request)).then((reply) => serving.send(reply)),
      ]);
    } catch (error) {
      if (!(error instanceof Gone)) await this.#failed(serving);
    } finally {
      serving.end();
    }
  }

  async #failed({ from, id, sent: n }: Serving): Promise<void> {
    try {
      await this.#messenger.send(from, { kind: "forward-end", id, n, failed: true });
    } catch {
      // The other node detects it at its next check.
    }
  }

  #check(room: Readonly<Record<string, number>>, from: string): void {
    const asked = new Map(Object.entries(room));
    const unknown = [...asked.keys()].filter((id) => !this.#serving.has(`${from} ${id}`));
    for (const serving of [...this.#serving.values()]) {
      if (serving.from !== from) continue;
      const granted = asked.get(serving.id);
      if (granted === undefined) serving.end();
      else serving.grant(granted);
    }
    if (unknown.length === 0) return;
    void Promise.resolve(this.#messenger.send(from, { kind: "forward-unknown", ids: unknown }))
      .catch(() => {});
  }
}

/** A reply that is being sent to another node. */
class Serving {
  readonly from: string;
  readonly id: string;
  /** The number of sent parts. */
  sent = 0;
  /** Resolves when sending has ended. */
  done: Promise<void> = Promise.resolve();
  readonly #tell: (message: ForwardMessage) => Promise<void>;
  #granted = WINDOW;
  #ended = false;
  #wake: (() => void) | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(from: string, id: string, tell: (message: ForwardMessage) => Promise<void>) {
    this.from = from;
    this.id = id;
    this.#tell = tell;
  }

  async tell(message: ForwardMessage): Promise<void> {
    if (this.#ended) throw new Gone();
    await this.#tell(message);
  }

  /** Sends a reply, as fast as the other node accepts its parts. */
  async send({ status, headers, body }: Reply): Promise<void> {
    const { id } = this;
    if (typeof body === "object" && body !== null) {
      const reader = this.#reader = body.getReader();
      if (this.#ended) return await reader.cancel();
      await this.tell({ kind: "forward-head", id, status, headers });
      await this.#stream(reader);
    } else {
      const text = body ?? "";
      if (text.length <= PART) {
        return await this.tell({ kind: "forward-head", id, status, headers, whole: text });
      }
      await this.tell({ kind: "forward-head", id, status, headers });
      await this.#parts(text);
    }
    await this.tell({ kind: "forward-end", id, n: this.sent });
  }

  /** Allows the parts up to `n` to be sent. */
  grant(n: number): void {
    this.#granted = Math.max(this.#granted, n);
    this.#wake?.();
  }

  /** Stops sending, because the forwarding node no longer waits. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#wake?.();
    void this.#reader?.cancel().catch(() => {});
  }

  async #stream(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      await this.#parts(decoder.decode(read.value, { stream: true }));
    }
    if (this.#ended) throw new Gone();
  }

  async #parts(text: string): Promise<void> {
    for (const part of partsOf(text)) {
      if (this.sent >= this.#granted) await this.#room();
      await this.tell({ kind: "forward-part", id: this.id, n: ++this.sent, text: part });
    }
  }

  async #room(): Promise<void> {
    while (this.sent >= this.#granted && !this.#ended) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    this.#wake = undefined;
  }
}
