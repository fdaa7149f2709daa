/**
 * One node's messages to others, and theirs to it: in envelopes where the store is shared between
 * processes.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import type { McpEvent } from "../protocol/events.ts";
import { Envelopes, EVERYBODY, type Opened } from "./envelope.ts";
import type { NodeMessage } from "./messages.ts";
import type { Bus, BusMember } from "./types.ts";

/** How much may wait to be signed or checked, in characters. */
const MOST_WAITING = 64 * 1024 * 1024;
/** What a message counts beside its characters. */
const EACH = 1_024;

/** How a node takes part. */
export interface PostInit {
  readonly bus: Bus;
  readonly node: string;
  readonly clock: Clock;
  /** Secrets that the nodes have; none where no other process can be on the bus. */
  readonly keys: readonly (string | Uint8Array)[] | undefined;
  /** Takes what another node says. What it throws is reported. */
  readonly hear: (message: NodeMessage, from: string) => void;
  /** Told of what is ignored, and why. */
  readonly report: (event: McpEvent) => void;
}

/** Sends and takes messages, in order. */
export class Post {
  readonly #init: PostInit;
  readonly #envelopes: Envelopes | undefined;
  readonly #member: BusMember;
  readonly #out = new Line();
  readonly #in = new Line();

  constructor(init: PostInit) {
    const { node, keys, clock, bus } = init;
    this.#init = init;
    this.#envelopes = keys && new Envelopes({ node, keys, clock });
    this.#member = bus.join(node, (text) => this.#take(text));
  }

  /** Tells all others. */
  tell(message: NodeMessage): MaybePromise<void> {
    return this.#send(EVERYBODY, message, (text) => this.#member.publish(text));
  }

  /**
   * Tells one other node.
   *
   * @returns `false` when it is sure that the node doesn't get the message
   */
  send(to: string, message: NodeMessage): MaybePromise<boolean> {
    return this.#send(to, message, (text) => this.#member.send(to, text));
  }

  /** Puts a message into an envelope that travels by another way than the bus. */
  async seal(to: string, message: NodeMessage): Promise<string> {
    const text = JSON.stringify(message);
    return await this.#envelopes?.seal(to, text) ?? plain(this.#init.node, text);
  }

  /** Opens an envelope that came by another way than the bus. */
  async open(envelope: string): Promise<{ message: NodeMessage; from: string } | undefined> {
    return this.#read(await (this.#envelopes?.open(envelope) ?? readPlain(envelope)));
  }

  /** Resolves when everything that was sent before has been handed to the bus. */
  async drain(): Promise<void> {
    await this.#out.drained;
  }

  /** Hears nothing more and tells nothing more. Safe to call twice. */
  leave(): void {
    this.#member.leave();
  }

  #send<T>(
    to: string,
    message: NodeMessage,
    hand: (text: string) => MaybePromise<T>,
  ): MaybePromise<T> {
    const text = JSON.stringify(message);
    if (this.#envelopes === undefined) return hand(plain(this.#init.node, text));
    return this.#out.add(text.length, this.#envelopes.seal(to, text), hand);
  }

  #take(envelope: string): void {
    const fail = (error: unknown) => {
      this.#init.report({ type: "error", during: "hearing another node", error });
    };
    const hear = (opened: Opened) => {
      const read = this.#read(opened);
      if (read !== undefined) this.#init.hear(read.message, read.from);
    };
    try {
      const opened = this.#envelopes?.open(envelope) ?? readPlain(envelope);
      if (!isPromise(opened)) return hear(opened);
      this.#in.add(envelope.length, opened, hear).catch(fail);
    } catch (error) {
      fail(error);
    }
  }

  #read(opened: Opened): { message: NodeMessage; from: string } | undefined {
    if (opened.problem !== undefined) {
      this.#init.report({ type: "message-ignored", reason: opened.problem });
      return undefined;
    }
    // A node wrote it, of this version or another: whoever takes it ignores what it doesn't know.
    const message = JSON.parse(opened.text) as NodeMessage;
    return { message, from: opened.from };
  }
}

/** Things that become ready in any order, and are handed on in theirs. */
class Line {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** Resolves when everything that was added before has been handed on. */
  drained: Promise<unknown> = Promise.resolve();

  /** @throws {Error} If too much waits already */
  add<T, R>(size: number, ready: Promise<T>, hand: (value: T) => MaybePromise<R>): Promise<R> {
    if (this.#waiting > MOST_WAITING) {
      ready.catch(() => {});
      throw new Error("Send less to other nodes: too much waits already");
    }
    this.#waiting += size + EACH;
    const turn = Promise.all([ready, this.#last]).finally(() => {
      this.#waiting -= size + EACH;
    });
    this.#last = turn.catch(() => {});
    const handed = turn.then(([value]) => hand(value));
    this.drained = handed.catch(() => {});
    return handed;
  }
}

function plain(from: string, text: string): string {
  return `${from}\n${text}`;
}

function readPlain(envelope: string): Opened {
  const end = envelope.indexOf("\n");
  if (end < 0) return { problem: "malformed" };
  return { from: envelope.slice(0, end), text: envelope.slice(end + 1) };
}
