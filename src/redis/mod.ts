/**
 * Many processes as one endpoint: sessions, streams and what nodes tell each other, in Redis.
 *
 * {@linkcode redisStore} makes the store from a client that you have, of the package `redis` or `ioredis`,
 * and every handler that is given one with the same prefix serves the same sessions. When Redis is away,
 * requests that need it are answered with 503 within two seconds, nothing falls back to memory, and
 * everything goes on by itself when it is back.
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
 *   // The same for all processes: they sign what they tell each other, and what clients carry
 *   requests: { stateKeys: [secret] },
 * });
 * ```
 *
 * @module
 */
export { redisStore, type RedisStoreOptions } from "./store.ts";
export type {
  IoRedisClient,
  IoRedisSubscriber,
  NodeRedisClient,
  NodeRedisSubscriber,
  RedisClient,
} from "./client.ts";
