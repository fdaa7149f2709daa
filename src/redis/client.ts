/**
 * Declares the two supported Redis clients, as far as they are used here, and adapts them to one
 * interface to send commands and one to subscribe.
 *
 * @module
 */

/** Represents a client of the package `redis` (node-redis), as far as it is used here. */
export interface NodeRedisClient {
  /** Adds a listener for an event of the client. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Says whether the client is connected, so that commands are sent at once. */
  readonly isReady: boolean;
  /** Sends a command. */
  sendCommand(args: readonly string[]): Promise<unknown>;
  /** Creates a client with the same settings, for subscriptions. */
  duplicate(): NodeRedisSubscriber;
}

/** Represents a duplicate of a {@linkcode NodeRedisClient}, for subscriptions. */
export interface NodeRedisSubscriber {
  /** Says whether the client is connected. */
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

/** Represents a client of the package `ioredis`, as far as it is used here. */
export interface IoRedisClient {
  /** Adds a listener for an event of the client. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Gives the state of the connection; `"ready"` when commands are sent at once. */
  readonly status: string;
  /** Holds the client's options. `keyPrefix` must not be set. */
  readonly options: { readonly keyPrefix?: string | undefined };
  /** Connects. */
  connect(): Promise<unknown>;
  /** Sends a command. */
  call(command: string, args: string[]): Promise<unknown>;
  /** Creates a client with the same settings, for subscriptions. */
  duplicate(): IoRedisSubscriber;
}

/** Represents a duplicate of an {@linkcode IoRedisClient}, for subscriptions. */
export interface IoRedisSubscriber {
  /** Adds a listener for an event of the client. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Gives the state of the connection. */
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

/** Represents a Redis client: of the package `redis` or `ioredis`. */
export type RedisClient = NodeRedisClient | IoRedisClient;

/** Sends commands over a client. */
export interface RedisConnection {
  /** Says whether commands are sent at once. */
  readonly ready: boolean;
  /** Sends a command, after those sent before. */
  send(args: readonly string[]): Promise<unknown>;
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

/**
 * Adapts a client to {@linkcode RedisConnection}.
 *
 * @throws {TypeError} If it is not a supported client, or has a key prefix
 */
export function connectionOf(client: RedisClient): RedisConnection {
  if (typeof client === "object" && client !== null) {
    if ("call" in client && typeof client.call === "function") return ioRedis(client);
    if ("sendCommand" in client && typeof client.sendCommand === "function") {
      return nodeRedis(client);
    }
  }
  throw new TypeError('Give a client of "redis" or of "ioredis" as "client"');
}

function nodeRedis(client: NodeRedisClient): RedisConnection {
  return {
    get ready() {
      return client.isReady;
    },
    send: (args) => client.sendCommand(args),
    onReady: (listener) => void client.on("ready", listener),
    subscriber(onMessage) {
      const duplicate = client.duplicate();
      const listener = (text: string, channel: string) => onMessage(channel, text);
      let closed = false;
      const close = () => {
        if (!closed) return;
        try {
          duplicate.destroy();
        } catch {
          // It is closed already.
        }
      };
      // An error without a listener would end the process. The client reconnects automatically.
      duplicate.on("error", close);
      duplicate.on("ready", close);
      duplicate.connect().catch(ignore);
      return {
        subscribe: (channels) => duplicate.subscribe(channels, listener),
        // Passing the listener keeps a subscription that begins anew meanwhile.
        unsubscribe: (channels) => duplicate.unsubscribe(channels, listener),
        onReady: (listener) => void duplicate.on("ready", listener),
        close() {
          closed = true;
          // Destroying the client while it connects would leave its socket open.
          if (duplicate.isReady) close();
        },
      };
    },
  };
}

function ioRedis(client: IoRedisClient): RedisConnection {
  if (client.options?.keyPrefix) {
    throw new TypeError('Give the prefix as "prefix", not to the client as "keyPrefix"');
  }
  connectLazy(client);
  return {
    get ready() {
      return client.status === "ready";
    },
    send: ([command = "", ...args]) => client.call(command, args),
    onReady: (listener) => void client.on("ready", listener),
    subscriber(onMessage) {
      const duplicate = client.duplicate();
      duplicate.on("error", ignore);
      duplicate.on("message", (channel, text) => onMessage(String(channel), String(text)));
      connectLazy(duplicate);
      return {
        subscribe: (channels) => duplicate.subscribe(...channels),
        unsubscribe: (channels) => duplicate.unsubscribe(...channels),
        onReady: (listener) => void duplicate.on("ready", listener),
        close: () => duplicate.disconnect(),
      };
    },
  };
}

/**
 * Connects a client that was created with `lazyConnect`. It would otherwise wait for its first
 * command, which waits for the connection.
 */
function connectLazy(client: { readonly status: string; connect(): Promise<unknown> }): void {
  if (client.status === "wait") client.connect().catch(ignore);
}

function ignore(): void {}
