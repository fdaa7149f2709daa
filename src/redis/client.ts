/**
 * The two clients for Redis that fit, as far as they are used here, and what they look like from here
 * on: one thing that sends commands, one that subscribes.
 *
 * @module
 */

/** A client of the package `redis` (node-redis), as far as it is used here. */
export interface NodeRedisClient {
  /** Adds a listener for an event of the client. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Whether the client is connected and commands go out at once. */
  readonly isReady: boolean;
  /** Sends a command. */
  sendCommand(args: readonly string[]): Promise<unknown>;
  /** Makes a client of the same settings, for subscriptions. */
  duplicate(): NodeRedisSubscriber;
}

/** A duplicate of a {@linkcode NodeRedisClient}, which subscribes. */
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
  /** Ends a listener's subscriptions. */
  unsubscribe(
    channels: string[],
    listener: (message: string, channel: string) => void,
  ): Promise<unknown>;
  /** Disconnects for good. */
  destroy(): unknown;
}

/** A client of the package `ioredis`, as far as it is used here. */
export interface IoRedisClient {
  /** Adds a listener for an event of the client. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Where the connection stands; `"ready"` when commands go out at once. */
  readonly status: string;
  /** The client's options, of which none may rename keys. */
  readonly options: { readonly keyPrefix?: string | undefined };
  /** Connects. */
  connect(): Promise<unknown>;
  /** Sends a command. */
  call(command: string, args: string[]): Promise<unknown>;
  /** Makes a client of the same settings, for subscriptions. */
  duplicate(): IoRedisSubscriber;
}

/** A duplicate of an {@linkcode IoRedisClient}, which subscribes. */
export interface IoRedisSubscriber {
  /** Adds a listener for an event of the client. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Where the connection stands. */
  readonly status: string;
  /** Connects. */
  connect(): Promise<unknown>;
  /** Subscribes to channels. */
  subscribe(...channels: string[]): Promise<unknown>;
  /** Ends subscriptions. */
  unsubscribe(...channels: string[]): Promise<unknown>;
  /** Disconnects for good. */
  disconnect(): void;
}

/** A client for Redis: of the package `redis` or of `ioredis`. */
export type RedisClient = NodeRedisClient | IoRedisClient;

/** Sends commands. */
export interface RedisConnection {
  /** Whether commands go out at once. */
  readonly ready: boolean;
  /** Sends a command, behind those sent before. */
  send(args: readonly string[]): Promise<unknown>;
  /** Calls `listener` each time that the link has become ready. */
  onReady(listener: () => void): void;
  /** Makes what subscribes. */
  subscriber(heard: (channel: string, text: string) => void): SubscriberConnection;
}

/** Subscribes, on a connection of its own. */
export interface SubscriberConnection {
  /** Subscribes to channels; harmless where that is done already. */
  subscribe(channels: string[]): Promise<unknown>;
  /** Ends subscriptions. */
  unsubscribe(channels: string[]): Promise<unknown>;
  /** Calls `listener` each time that the connection has become ready. */
  onReady(listener: () => void): void;
  /** Disconnects for good. */
  close(): void;
}

/**
 * The link of a client.
 *
 * @throws {TypeError} If it is no client that fits
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
    subscriber(heard) {
      const duplicate = client.duplicate();
      const hear = (text: string, channel: string) => heard(channel, text);
      let closed = false;
      const close = () => {
        if (!closed) return;
        try {
          duplicate.destroy();
        } catch {
          // It is closed already.
        }
      };
      // Without a listener an error would end the process; the client connects again by itself.
      duplicate.on("error", close);
      duplicate.on("ready", close);
      duplicate.connect().catch(ignore);
      return {
        subscribe: (channels) => duplicate.subscribe(channels, hear),
        // Without the listener a subscription that begins anew meanwhile would be forgotten.
        unsubscribe: (channels) => duplicate.unsubscribe(channels, hear),
        onReady: (listener) => void duplicate.on("ready", listener),
        close() {
          closed = true;
          // Destroyed in the middle of connecting, the client would leave its socket open.
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
    subscriber(heard) {
      const duplicate = client.duplicate();
      duplicate.on("error", ignore);
      duplicate.on("message", (channel, text) => heard(String(channel), String(text)));
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

/** A client made with `lazyConnect` waits for its first command, which would wait for it. */
function connectLazy(client: { readonly status: string; connect(): Promise<unknown> }): void {
  if (client.status === "wait") client.connect().catch(ignore);
}

function ignore(): void {}
