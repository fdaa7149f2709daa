/**
 * Owns what a node needs in a cluster: its connection to the other nodes, shared documents, and whether
 * the cluster drains.
 *
 * @module
 */
import type { Inbound } from "../http/inbound.ts";
import type { Reply } from "../http/reply.ts";
import { type Clock, preciseTime } from "../internal/clock.ts";
import { randomText } from "../internal/random.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { SharedDocumentHandle } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { Reporter } from "../protocol/reporter.ts";
import type { ConnectionInit, NodeConnection } from "./connect.ts";
import type { ReplyStream } from "../streams/reply_stream.ts";
import type { StreamSession } from "../streams/streams.ts";
import type {
  BusMessage,
  DispatcherMessage,
  NodeMessage,
  OperatorMessage,
} from "./messages/messages.ts";
import type { PinnedSessions } from "./pinned_sessions.ts";
import { SharedDocuments } from "./documents/shared_documents.ts";
import type { Backplane, Documents } from "./types.ts";

/** The time after which a message is sent again to a node that has received nothing, in milliseconds. */
const AGAIN_MS = 1_000;
/** The most tries to send a message: together longer than a lost node goes unnoticed. */
const AGAIN_TRIES = 10;
/** The most messages that wait to be sent again, and the most that wait to be published again. */
const MOST_WAITING = 1_000;

/** The name of the document that says whether the cluster drains: refuses new sessions. */
const DRAIN = "mooring/drain";

/** Options for {@linkcode Cluster}. */
export interface ClusterInit {
  readonly documents: Documents;
  /** Whether other handlers may use the store. */
  readonly shared: boolean;
  /** Whether other processes may use the store: documents are polled. */
  readonly polled: boolean;
  /** Secrets that seal documents, if other processes may use the store. */
  readonly keys?: readonly (string | Uint8Array)[] | undefined;
  readonly clock: Clock;
  readonly reporter: Reporter;
}

/** Receives a message of another node's operator. */
export type OperatorListener = (message: OperatorMessage, from: string) => void;

/** A node of a cluster. Without a connection, it is the only one. */
export class Cluster {
  /** The node's id among the handlers that share its store; `undefined` if it is the only one. */
  readonly node: string | undefined;
  readonly documents: SharedDocuments;
  /** Receive the messages of the same dispatcher at other nodes. An error that one throws is reported. */
  readonly dispatcherListeners = new Set<(value: JsonObject) => void>();
  /** Receives the messages of other nodes' operators, if there is an operator here. */
  #onOperator: OperatorListener | undefined;
  #connection: NodeConnection | undefined;
  #drainingHere = false;
  #drainingAll = false;
  readonly #reporter: Reporter;
  readonly #drain: SharedDocumentHandle;
  readonly #clock: Clock;
  /** Whether other processes may use the store: what they are told may get lost. */
  readonly #polled: boolean;
  /** Ends the wait of each message that is to be sent or published again. */
  readonly #waiting = new Set<() => void>();
  /** The messages that wait to be sent again. */
  #sending = 0;
  /** The messages that are published again. */
  #repeating = 0;
  #closed = false;

  /** Begins to read what all nodes share. */
  constructor({ documents, shared, polled, keys, clock, reporter }: ClusterInit) {
    this.node = shared ? randomText(16) : undefined;
    this.#reporter = reporter;
    this.#clock = clock;
    this.#polled = polled;
    const announce = (name: string) => this.publish({ kind: "document", name });
    this.documents = new SharedDocuments({
      documents,
      keys,
      clock,
      reporter,
      shared: polled,
      announce,
    });
    this.#drain = this.documents.open(DRAIN, ({ draining }) => {
      this.#drainingAll = draining === true;
    });
  }

  /** Whether this node refuses new sessions. */
  get draining(): boolean {
    return this.#drainingHere || this.#drainingAll;
  }

  /** Whether every node does. */
  get drainingAll(): boolean {
    return this.#drainingAll;
  }

  /** The connection to the other nodes. */
  get connection(): NodeConnection | undefined {
    return this.#connection;
  }

  /** Calls a function with the messages of other nodes' operators, until the returned function is called. */
  onOperator(listener: OperatorListener): () => void {
    this.#onOperator = listener;
    return () => this.#onOperator = undefined;
  }

  /**
   * Connects to the other nodes, with the code that the store brings: an application whose store has only
   * one handler doesn't bundle it.
   *
   * @throws {TypeError} If the store doesn't bring it
   */
  connect(
    { bus, nodes, claims, connect, durable = false }: Backplane,
    init: Omit<
      ConnectionInit,
      | "node"
      | "bus"
      | "nodes"
      | "claims"
      | "durable"
      | "documents"
      | "onOperatorMessage"
      | "onDispatcherMessage"
    >,
  ): void {
    const { node, documents } = this;
    if (typeof connect !== "function") {
      throw new TypeError(
        `Give connectNodes of @mooring/mcp/store as the store's "connect": ${typeof connect}`,
      );
    }
    if (node === undefined) throw new TypeError("Connect only nodes that share their store");
    // The contract of the store names the one implementation
    const make = connect as (init: ConnectionInit) => NodeConnection;
    const onOperatorMessage: OperatorListener = (message, from) =>
      this.#onOperator?.(message, from);
    const onDispatcherMessage = ({ value }: DispatcherMessage) => {
      for (const listener of [...this.dispatcherListeners]) listener(value);
    };
    this.#connection = make({
      ...init,
      node,
      bus,
      nodes,
      claims,
      durable,
      documents,
      onOperatorMessage,
      onDispatcherMessage,
    });
  }

  /** The pinned sessions, if sessions are pinned. */
  get pinned(): PinnedSessions | undefined {
    return this.connection?.pinned;
  }

  /** Publishes a message to all other nodes, if there may be any. */
  publish(message: BusMessage | OperatorMessage): void {
    const { connection } = this;
    if (connection === undefined) return;
    this.#reporter.background(
      "publishing to the other nodes",
      () => connection.messenger.publish(message),
    );
  }

  /**
   * Sends a message to one other node.
   *
   * @returns `false` if the node has certainly not received the message, and never will
   */
  send(to: string, message: NodeMessage): MaybePromise<boolean> {
    return this.connection?.messenger.send(to, message) ?? false;
  }

  /**
   * Sends a message to one other node, again while that node may have received nothing: its subscription to
   * the bus, or this node's connection, may be broken, and begin anew. The receiver must ignore the message
   * when it comes twice.
   *
   * @returns `false` if the node has certainly not received the message within {@linkcode AGAIN_TRIES} tries
   * @throws {Error} If the last try has failed
   */
  async sendAgain(to: string, message: NodeMessage): Promise<boolean> {
    for (let tries = 1;; tries++) {
      const isLast = tries === AGAIN_TRIES || this.#sending >= MOST_WAITING || this.#closed;
      try {
        const sent = await this.send(to, message);
        if (sent || isLast) return sent;
      } catch (error) {
        if (isLast) throw error;
      }
      this.#sending++;
      await this.#pause();
      this.#sending--;
    }
  }

  /**
   * Publishes a message to all other nodes, again for ten seconds: nobody knows whether one of them hears
   * nothing meanwhile. The receivers must ignore the message when it comes again.
   *
   * @param make Makes the message, with the time since it was first published, in milliseconds
   */
  publishAgain(make: (agoMs: number) => BusMessage): void {
    const began = preciseTime(this.#clock);
    this.#repeat(
      "publishing to the other nodes",
      ({ messenger }) => messenger.publish(make(preciseTime(this.#clock) - began)),
    );
  }

  /**
   * Sends a message to one other node, again for ten seconds, whether it seems to have arrived or not. The
   * receiver must ignore the message when it comes again.
   */
  sendRepeatedly(to: string, message: NodeMessage): void {
    this.#repeat("sending to another node", ({ messenger }) => messenger.send(to, message));
  }

  /** Says something again each second, and reports the error of the last try. */
  #repeat(during: string, say: (connection: NodeConnection) => unknown): void {
    const { connection } = this;
    if (connection === undefined) return;
    const repeats = this.#polled && this.#repeating < MOST_WAITING;
    const tries = repeats ? AGAIN_TRIES : 1;
    if (repeats) this.#repeating++;
    this.#reporter.background(during, async () => {
      try {
        for (let left = tries; !this.#closed; left--) {
          try {
            await say(connection);
          } catch (error) {
            if (left === 1) throw error;
          }
          if (left === 1) return;
          await this.#pause();
        }
      } finally {
        if (repeats) this.#repeating--;
      }
    });
  }

  /** Waits until a message is to be sent again, or the node leaves. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const over = () => {
        this.#waiting.delete(over);
        stop();
        resolve();
      };
      const stop = this.#clock.timer(AGAIN_MS, over);
      this.#waiting.add(over);
    });
  }

  /**
   * Answers the requests of a stream that a client has resumed here if their node is lost, until the returned
   * function is called, which is safe to call twice.
   */
  followRun(session: string, stream: string): () => void {
    return this.connection?.lostRuns?.follow(session, stream) ?? (() => {});
  }

  /** Keeps what another node needs to run a request again, if its tool allows that. */
  keepRequest(inbound: Inbound, session: string, stream: string): void {
    this.connection?.retries?.keep(inbound, session, stream);
  }

  /** Returns the stream of a lost node's answer, if the request is being run again. */
  continueReply(inbound: Inbound, session: StreamSession): ReplyStream | undefined {
    return this.connection?.retries?.reply(inbound, session);
  }

  /** Forwards a request to the node that has claimed its session. */
  forward(inbound: Inbound, session: string): Promise<Reply> {
    if (this.connection?.forward !== undefined) return this.connection.forward(inbound, session);
    return Promise.reject(new TypeError("Forward a request only where sessions are pinned"));
  }

  /** Makes this node refuse new sessions, or accept them again. */
  drainHere(draining: boolean): void {
    this.#drainingHere = draining;
  }

  /**
   * Makes every node refuse new sessions, also nodes that join later, or accept them again.
   *
   * @throws {TypeError} If `draining` is not a boolean
   */
  async drain(draining: boolean): Promise<void> {
    if (typeof draining !== "boolean") {
      throw new TypeError(`Give a boolean as "draining": ${typeof draining}`);
    }
    await this.#drain.put({ draining });
  }

  /** Tells the other nodes that this one runs nothing any more. */
  async leave(): Promise<void> {
    await this.connection?.presence?.close();
  }

  /** Leaves the cluster. */
  dispose(): void {
    const { connection } = this;
    this.documents.close();
    this.#closed = true;
    for (const over of this.#waiting) over();
    if (connection === undefined) return;
    connection.returnShares?.();
    connection.lostRuns?.close();
    this.#reporter.background("leaving the other nodes", () => connection.messenger.leave());
  }
}
