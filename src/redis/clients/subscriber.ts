/**
 * Subscribes to Redis channels, on one connection for the whole process.
 *
 * @module
 */
import { systemClock } from "../../internal/clock.ts";
import type { RedisConnection, SubscriberConnection } from "./connection.ts";

/** Receives the messages of a channel. Neither method may throw. */
export interface ChannelListener {
  /** Handles one message. */
  onMessage(text: string): void;
  /**
   * Handles the start of the subscription: the first one, and each one after the connection was
   * lost. Messages from before may have been missed.
   */
  onSubscribed(): void;
}

/** The most channels of one command. */
const AT_ONCE = 500;
/** The delay before a failed subscription is tried again, in milliseconds. */
const RETRY_MS = 1_000;

/**
 * Subscribes to channels, and again after the connection was lost. The connection exists only while
 * there are subscriptions, so that nothing has to be closed.
 */
export class Subscriber {
  readonly #redis: RedisConnection;
  readonly #channels = new Map<string, Set<ChannelListener>>();
  /** The channels to subscribe to with the next command. */
  readonly #wanted = new Set<string>();
  #scheduled = false;
  #connection: SubscriberConnection | undefined;
  #stopRetry: (() => void) | undefined;

  /** @param redis Creates the connection for subscriptions */
  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  /** Whether there is a connection. */
  get connected(): boolean {
    return this.#connection !== undefined;
  }

  /** Listens to a channel until the returned function is called, which is safe to call twice. */
  listen(channel: string, listener: ChannelListener): () => void {
    const listeners = this.#channels.get(channel) ?? new Set();
    const first = listeners.size === 0;
    listeners.add(listener);
    this.#channels.set(channel, listeners);
    if (first || this.#wanted.has(channel)) this.#want(channel);
    else queueMicrotask(() => listeners.has(listener) && listener.onSubscribed());
    return () => {
      if (!listeners.delete(listener) || listeners.size > 0) return;
      this.#channels.delete(channel);
      this.#unwant(channel);
    };
  }

  #want(channel: string): void {
    this.#wanted.add(channel);
    this.#connection ??= this.#connect();
    if (this.#scheduled) return;
    this.#scheduled = true;
    // All subscriptions that begin in one turn share a command.
    queueMicrotask(() => {
      this.#scheduled = false;
      if (this.#connection !== undefined) this.#subscribe(this.#connection);
    });
  }

  #unwant(channel: string): void {
    this.#wanted.delete(channel);
    const connection = this.#connection;
    if (connection === undefined) return;
    if (this.#channels.size > 0) return void connection.unsubscribe([channel]).catch(ignore);
    this.#connection = undefined;
    this.#stopRetry?.();
    this.#stopRetry = undefined;
    connection.close();
  }

  #connect(): SubscriberConnection {
    const connection = this.#redis.subscriber((channel, text) => {
      each(this.#channels.get(channel), (listener) => listener.onMessage(text));
    });
    let first = true;
    connection.onReady(() => {
      // The first commands have waited in the client for the connection.
      if (first || this.#connection !== connection) {
        first = false;
        return;
      }
      for (const channel of this.#channels.keys()) this.#wanted.add(channel);
      this.#subscribe(connection);
    });
    return connection;
  }

  #subscribe(connection: SubscriberConnection): void {
    if (this.#connection !== connection) return;
    const wanted = [...this.#wanted];
    this.#wanted.clear();
    for (let i = 0; i < wanted.length; i += AT_ONCE) {
      const channels = wanted.slice(i, i + AT_ONCE);
      connection.subscribe(channels).then(
        () => this.#subscribed(connection, channels),
        () => this.#retry(connection, channels),
      );
    }
  }

  #subscribed(connection: SubscriberConnection, channels: readonly string[]): void {
    if (this.#connection !== connection) return;
    for (const channel of channels) {
      const listeners = this.#channels.get(channel);
      // The last listener left while the subscription began, when there was nothing to end yet.
      if (listeners === undefined) connection.unsubscribe([channel]).catch(ignore);
      else each(listeners, (listener) => listener.onSubscribed());
    }
  }

  #retry(connection: SubscriberConnection, channels: readonly string[]): void {
    if (this.#connection !== connection) return;
    for (const channel of channels) if (this.#channels.has(channel)) this.#wanted.add(channel);
    this.#stopRetry ??= systemClock.timer(RETRY_MS, () => {
      this.#stopRetry = undefined;
      this.#subscribe(connection);
    });
  }
}

/** Calls each listener that is still registered when its turn comes. */
function each(
  listeners: ReadonlySet<ChannelListener> | undefined,
  call: (listener: ChannelListener) => void,
): void {
  for (const listener of [...listeners ?? []]) if (listeners?.has(listener)) call(listener);
}

function ignore(): void {}
