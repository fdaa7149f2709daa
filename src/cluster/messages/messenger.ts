/**
 * Sends messages to other nodes and receives theirs, in sealed envelopes if processes share the store.
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import { isPromise, type MaybePromise } from "../../internal/types.ts";
import type { McpEvent } from "../../protocol/events.ts";
import { EVERY_NODE, type Opened, SealedEnvelopes } from "./sealed_envelope.ts";
import type { NodeMessage } from "./messages.ts";
import type { Bus, BusMember } from "../types.ts";

/** The maximum number of characters that wait to be sealed or opened. */
const MOST_WAITING = 64 * 1024 * 1024;
/** The number of characters that each message counts in addition. */
const EACH = 1_024;

/** Options for a {@linkcode NodeMessenger}. */
export interface NodeMessengerInit {
  readonly bus: Bus;
  readonly node: string;
  readonly clock: Clock;
  /** The secrets that seal messages; `undefined` if no other process can use the bus. */
  readonly keys: readonly (string | Uint8Array)[] | undefined;
  /** Called with each message from another node. An error that it throws is reported. */
  readonly onMessage: (message: NodeMessage, from: string) => void;
  /** Called when messages from other nodes may have been missed. */
  readonly onMissed?: () => void;
  /** Receives an event for each ignored message, with the reason. */
  readonly report: (event: McpEvent) => void;
}

/** Sends and receives messages, in order. */
export class NodeMessenger {
  readonly #init: NodeMessengerInit;
  readonly #envelopes: SealedEnvelopes | undefined;
  readonly #member: BusMember;
  readonly #out = new OrderedQueue();
  readonly #in = new OrderedQueue();

  constructor(init: NodeMessengerInit) {
    const { node, keys, clock, bus } = init;
    this.#init = init;
    this.#envelopes = keys && new SealedEnvelopes({ node, keys, clock });
    this.#member = bus.join(node, (text) => this.#take(text), init.onMissed);
  }

  /** Sends a message to all other nodes. */
  publish(message: NodeMessage): MaybePromise<void> {
    return this.#send(EVERY_NODE, message, (text) => this.#member.publish(text));
  }

  /**
   * Sends a message to one other node.
   *
   * @returns `false` if the node has certainly not received the message, and never will
   */
  send(to: string, message: NodeMessage): MaybePromise<boolean> {
    return this.#send(to, message, (text) => this.#member.send(to, text));
  }

  /** Resolves when every message sent before has been passed to the bus. */
  async flush(): Promise<void> {
    await this.#out.flushed;
  }

  /** Leaves the bus. Safe to call twice. */
  leave(): void {
    this.#member.leave();
  }

  #send<T>(
    to: string,
    message: NodeMessage,
    deliver: (text: string) => MaybePromise<T>,
  ): MaybePromise<T> {
    const text = JSON.stringify(message);
    if (this.#envelopes === undefined) return deliver(plain(this.#init.node, text));
    return this.#out.add(text.length, this.#envelopes.seal(to, text), deliver);
  }

  #take(envelope: string): void {
    const fail = (error: unknown) => {
      this.#init.report({ type: "error", during: "receiving a message of another node", error });
    };
    const deliver = (opened: Opened) => {
      const read = this.#read(opened);
      if (read !== undefined) this.#init.onMessage(read.message, read.from);
    };
    try {
      const opened = this.#envelopes?.open(envelope) ?? readPlain(envelope);
      if (!isPromise(opened)) return deliver(opened);
      this.#in.add(envelope.length, opened, deliver).catch(fail);
    } catch (error) {
      fail(error);
    }
  }

  #read(opened: Opened): { message: NodeMessage; from: string } | undefined {
    if (opened.problem !== undefined) {
      this.#init.report({ type: "message-ignored", reason: opened.problem });
      return undefined;
    }
    // A node of another version may have written it: receivers ignore unknown kinds.
    const message = JSON.parse(opened.text) as NodeMessage;
    return { message, from: opened.from };
  }
}

/** Delivers values in the order in which they were added, although each is ready at another time. */
class OrderedQueue {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** Resolves when everything added before has been delivered. */
  flushed: Promise<unknown> = Promise.resolve();

  /**
   * Adds a value, to be delivered when it is ready and all before it have been delivered.
   *
   * @throws {Error} If too much is waiting
   */
  add<T, R>(size: number, ready: Promise<T>, deliver: (value: T) => MaybePromise<R>): Promise<R> {
    if (this.#waiting > MOST_WAITING) {
      ready.catch(() => {});
      throw new Error("Send less to other nodes: too many messages wait already");
    }
    this.#waiting += size + EACH;
    const turn = Promise.all([ready, this.#last]).finally(() => {
      this.#waiting -= size + EACH;
    });
    this.#last = turn.catch(() => {});
    const delivered = turn.then(([value]) => deliver(value));
    this.flushed = delivered.catch(() => {});
    return delivered;
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
