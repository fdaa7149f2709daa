/**
 * Declares what is done with each kind of Redis client: sending commands and subscribing.
 *
 * @module
 */

/** Sends commands over a client. */
export interface RedisConnection {
  /** Whether commands are sent at once. */
  readonly ready: boolean;
  /**
   * Says whether the client sends commands to several servers: then only a command with a key has
   * an order, among those of its slot.
   */
  readonly cluster?: boolean;
  /**
   * Says whether the client itself keeps commands while a server is away. {@linkcode send} then
   * needs the signal, so that it never sends them late.
   */
  readonly keepsCommands?: boolean;
  /**
   * Sends a command, after those sent before.
   *
   * @param signal Aborted when the time of the command is over; needed if `keepsCommands`
   */
  send(args: readonly string[], signal?: AbortSignal): Promise<unknown>;
  /** Calls `listener` each time that the connection becomes ready. */
  onReady(listener: () => void): void;
  /** Creates a connection for subscriptions. `onMessage` is called with every message. */
  subscriber(onMessage: (channel: string, text: string) => void): SubscriberConnection;
}

/** Subscribes to channels on a connection of its own. */
export interface SubscriberConnection {
  /** Subscribes to channels. Repeating it is harmless. */
  subscribe(channels: string[]): Promise<unknown>;
  /** Ends subscriptions to channels. */
  unsubscribe(channels: string[]): Promise<unknown>;
  /** Calls `listener` each time that the connection becomes ready. */
  onReady(listener: () => void): void;
  /** Disconnects for good. */
  close(): void;
}

/** A duplicate of a client of the package `redis`, for subscriptions. */
export interface NodeRedisSubscriber {
  /** Whether the client is connected. */
  readonly isReady: boolean;
  /** Adds a listener for an event of the client. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Connects. */
  connect(): Promise<unknown>;
  /** Subscribes to channels. */
  subscribe(
    channels: string[],
    listener: (message: string, channel: string) => void,
  ): Promise<unknown>;
  /** Ends a listener's subscriptions to channels. */
  unsubscribe(
    channels: string[],
    listener: (message: string, channel: string) => void,
  ): Promise<unknown>;
  /** Disconnects for good. */
  destroy(): unknown;
}

/** A duplicate of a client of the package `ioredis`, for subscriptions. */
export interface IoRedisSubscriber {
  /** Adds a listener for an event of the client. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** The state of the connection. */
  readonly status: string;
  /** Connects. */
  connect(): Promise<unknown>;
  /** Subscribes to channels. */
  subscribe(...channels: string[]): Promise<unknown>;
  /** Ends subscriptions to channels. */
  unsubscribe(...channels: string[]): Promise<unknown>;
  /** Disconnects for good. */
  disconnect(): void;
}

/**
 * Refuses a client that adds a prefix of its own to the names of keys, but not of channels.
 *
 * @throws {TypeError} If there is one
 */
export function refuseKeyPrefix(keyPrefix: string | undefined): void {
  if (keyPrefix) {
    throw new TypeError('Give the prefix as "prefix", not to the client as "keyPrefix"');
  }
}

/**
 * Connects a client that was created with `lazyConnect`. It would otherwise wait for its first
 * command, which waits for the connection.
 */
export function connectLazy(
  client: { readonly status: string; connect(): Promise<unknown> },
): void {
  if (client.status === "wait") client.connect().catch(ignore);
}

function ignore(): void {}
