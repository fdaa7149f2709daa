/**
 * Declares the supported Redis clients, as far as they are used here, and adapts them to one
 * interface to send commands and one to subscribe. Clients of a Redis Cluster are adapted in
 * `cluster_client.ts`, and those that ask Sentinel in `sentinel_client.ts`.
 *
 * @module
 */
import {
  ioRedisCluster,
  type IoRedisClusterClient,
  nodeRedisCluster,
  type NodeRedisClusterClient,
} from "./cluster_client.ts";
import {
  connectLazy,
  type IoRedisSubscriber,
  type NodeRedisSubscriber,
  type RedisConnection,
  refuseKeyPrefix,
} from "./connection.ts";
import { nodeRedisSentinel, type NodeRedisSentinelClient } from "./sentinel_client.ts";

/** A client of the package `redis` (node-redis), as far as it is used here. */
export interface NodeRedisClient {
  /** Adds a listener for an event of the client. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Whether the client is connected, so that commands are sent at once. */
  readonly isReady: boolean;
  /** Sends a command. */
  sendCommand(args: readonly string[]): Promise<unknown>;
  /** Creates a client with the same settings, for subscriptions. */
  duplicate(): NodeRedisSubscriber;
}

/** A client of the package `ioredis`, as far as it is used here. */
export interface IoRedisClient {
  /** Adds a listener for an event of the client. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** The state of the connection; `"ready"` when commands are sent at once. */
  readonly status: string;
  /** The client's options. `keyPrefix` must not be set. */
  readonly options: { readonly keyPrefix?: string | undefined };
  /** Connects. */
  connect(): Promise<unknown>;
  /** Sends a command. */
  call(command: string, args: string[]): Promise<unknown>;
  /** Creates a client with the same settings, for subscriptions. */
  duplicate(): IoRedisSubscriber;
}

/**
 * Represents a Redis client: of the package `redis` (`createClient`, `createCluster` or
 * `createSentinel`) or `ioredis` (`Redis`, also with `sentinels`, or `Cluster`).
 */
export type RedisClient =
  | NodeRedisClient
  | NodeRedisClusterClient
  | NodeRedisSentinelClient
  | IoRedisClient
  | IoRedisClusterClient;

/**
 * Adapts a client to {@linkcode RedisConnection}.
 *
 * @throws {TypeError} If it is not a supported client, or has a key prefix
 */
export function connectionOf(client: RedisClient): RedisConnection {
  if (typeof client === "object" && client !== null) {
    // The clients of a cluster have all methods of the others too.
    if ("nodes" in client) return ioRedisCluster(client);
    if ("masters" in client) return nodeRedisCluster(client);
    if ("acquire" in client) return nodeRedisSentinel(client);
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
  refuseKeyPrefix(client.options?.keyPrefix);
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

function ignore(): void {}
