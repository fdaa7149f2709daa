/**
 * Everything that a process hears from Redis, on one connection of its own.
 *
 * @module
 */
import { systemClock } from "../internal/clock.ts";
import type { RedisConnection, SubscriberConnection } from "./client.ts";

/** Who listens to a channel. Neither may throw. */
export interface ChannelListener {
  /** Called with what is published. */
  heard(text: string): void;
  /**
   * Called when the channel is heard from now on: at first, and each time that the connection has been
   * away. What was published before may have been missed.
   */
  restored(): void;
}

/** How many channels one command subscribes to at most. */
const AT_ONCE = 500;
/** How long until a subscription that failed is tried again, in milliseconds. */
const AGAIN_MS = 1_000;

/**
 * Hears channels, and comes back by itself when the connection does. The connection is there only while
 * there is anything to hear, so that nothing has to be closed.
 */
export class Subscriber {
  readonly #redis: RedisConnection;
  readonly #channels = new Map<string, Set<ChannelListener>>();
  /** Channels that are to be subscribed to with the next command. */
  readonly #wanted = new Set<string>();
  #scheduled = false;
  #connection: SubscriberConnection | undefined;
  #stopAgain: (() => void) | undefined;

  /** @param redis What makes the connection */
  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  /** Whether there is a connection. */
  get connected(): boolean {
    return this.#connection !== undefined;
  }

  /** Listens to a channel until the returned function is called. Safe to call that twice. */
  listen(channel: string, listener: ChannelListener): () => void {
    const listeners = this.#channels.get(channel) ?? new Set();
    const first = listeners.size === 0;
    listeners.add(listener);
    this.#channels.set(channel, listeners);
    if (first || this.#wanted.has(channel)) this.#want(channel);
    else queueMicrotask(() => listeners.has(listener) && listener.restored());
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
    // All channels that begin in one turn go out together.
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
    this.#stopAgain?.();
    this.#stopAgain = undefined;
    connection.close();
  }

  #connect(): SubscriberConnection {
    const connection = this.#redis.subscriber((channel, text) => {
      each(this.#channels.get(channel), (listener) => listener.heard(text));
    });
    let first = true;
    connection.onReady(() => {
      // What was asked for before the connection was there has waited for it.
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
        () => this.#restored(connection, channels),
        () => this.#again(connection, channels),
      );
    }
  }

  #restored(connection: SubscriberConnection, channels: readonly string[]): void {
    if (this.#connection !== connection) return;
    for (const channel of channels) {
      const listeners = this.#channels.get(channel);
      // It ended while it began, when there was nothing to end yet.
      if (listeners === undefined) connection.unsubscribe([channel]).catch(ignore);
      else each(listeners, (listener) => listener.restored());
    }
  }

  #again(connection: SubscriberConnection, channels: readonly string[]): void {
    if (this.#connection !== connection) return;
    for (const channel of channels) if (this.#channels.has(channel)) this.#wanted.add(channel);
    this.#stopAgain ??= systemClock.timer(AGAIN_MS, () => {
      this.#stopAgain = undefined;
      this.#subscribe(connection);
    });
  }
}

/** Calls each listener that is there and still is when its turn comes. */
function each(
  listeners: ReadonlySet<ChannelListener> | undefined,
  call: (listener: ChannelListener) => void,
): void {
  for (const listener of [...listeners ?? []]) if (listeners?.has(listener)) call(listener);
}

function ignore(): void {}
