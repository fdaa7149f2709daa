/**
 * Makes many processes one endpoint: keeps sessions, event logs and the messages between nodes in
 * Redis.
 *
 * {@linkcode redisStore} creates the store from your client of the package `redis` or `ioredis`.
 * All handlers that get a store with the same prefix serve the same sessions. While Redis is
 * unavailable, requests that need it are answered with 503 within two seconds (see `timeoutMs`),
 * nothing falls back to memory, and everything recovers when Redis is back.
 *
 * @example
 * ```ts ignore
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { redisStore } from "@mooring/mcp/redis";
 * import { createClient } from "redis";
 *
 * const client = createClient({ url: "redis://redis:6379" });
 * client.on("error", (error) => console.error(error));
 * await client.connect();
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * const handler = createMcpHandler(server, {
 *   store: redisStore({ client, prefix: "demo" }),
 *   // The same keys in all processes: they protect what Redis holds, messages between nodes, and the
 *   // state of clients
 *   requests: { stateKeys: [secret] },
 * });
 * ```
 *
 * @module
 */
export { redisStore, type RedisStoreOptions } from "./store.ts";
export type { IoRedisClient, NodeRedisClient, RedisClient } from "./clients/client.ts";
export type { IoRedisSubscriber, NodeRedisSubscriber } from "./clients/connection.ts";
export type { IoRedisClusterClient, NodeRedisClusterClient } from "./clients/cluster_client.ts";
export type {
  NodeRedisLease,
  NodeRedisSentinelClient,
  NodeRedisSentinelSubscriber,
} from "./clients/sentinel_client.ts";
