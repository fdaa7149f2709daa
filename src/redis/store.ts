/**
 * Creates the store that many processes share.
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import { integerOption } from "../internal/check.ts";
import type { Clock } from "../internal/clock.ts";
import { randomText } from "../internal/random.ts";
import { connectNodes } from "../cluster/connect.ts";
import type { Backplane, Store, StoreSettings } from "../cluster/types.ts";
import { RedisBus } from "./bus.ts";
import { connectionOf, type RedisClient } from "./clients/client.ts";
import { RedisCommands } from "./clients/commands.ts";
import { RedisDocuments } from "./documents.ts";
import { RedisEventLog } from "./events/event_log.ts";
import { Keys } from "./keys.ts";
import { RedisLeases } from "./leases.ts";
import { RedisClaims, RedisNodes } from "./nodes.ts";
import { RedisQuotas } from "./quotas.ts";
import { RedisRecords } from "./records.ts";
import { Sealer } from "./seal.ts";
import { RedisSessionStore } from "./sessions/session_store.ts";
import { RedisTaskStore } from "./task_store.ts";
import { Subscriber } from "./clients/subscriber.ts";

/** Configures {@linkcode redisStore}. */
export interface RedisStoreOptions {
  /**
   * Gives access to Redis: a client of the package `redis` (6) or `ioredis` (6), also one of a Redis
   * Cluster or one that asks Sentinel. You keep control
   * of it: connect it, listen to its `error` event, and close it after the handlers. Leave its
   * reconnecting on. While a handler is open, the store also uses a duplicate of the client for its
   * subscriptions.
   */
  readonly client: RedisClient;
  /**
   * Begins the name of every key and channel, without `{` and `}`. Handlers with the same prefix in
   * the same Redis are one endpoint.
   *
   * @default {"mooring"}
   */
  readonly prefix?: string;
  /**
   * Limits the wait for Redis in each call, in milliseconds, whether Redis is slow or unavailable;
   * the request that needs it is then answered with 503. The command may still take effect.
   *
   * @default {2_000}
   */
  readonly timeoutMs?: number;
}

/**
 * Creates a {@linkcode Store} in Redis 6.2 or newer, for handlers in any number of processes.
 *
 * Expiry uses the time of the Redis server, so that the clocks of processes may differ; a handler
 * with its own `clock` uses that one. Every key expires. What sessions, streams and tasks contain is
 * encrypted with the handlers' keys.
 *
 * @returns The store, for the option `store` of `createMcpHandler`
 * @throws {TypeError} If an option has the wrong type, or the client is not supported
 * @throws {RangeError} If a number is out of range, or the prefix is empty or contains a brace
 *
 * @example
 * ```ts
 * import { redisStore } from "@mooring/mcp/redis";
 * import { createClient } from "redis";
 *
 * const store = redisStore({ client: createClient(), prefix: "demo" });
 *
 * console.assert(store.shared);
 * ```
 */
export function redisStore(options: RedisStoreOptions): Store {
  checkNames("redisStore()", options, { client: true, prefix: true, timeoutMs: true });
  const prefix = checkPrefix(options.prefix ?? "mooring");
  const connection = connectionOf(options.client);
  const timeoutMs = integerOption("timeoutMs", options.timeoutMs, 2_000);
  const keys = new Keys(prefix);
  const commands = new RedisCommands(connection, timeoutMs);
  let backplane: Backplane | undefined;
  return {
    shared: true,
    open: (settings) => backplane ??= open(settings),
    quotas: (clock: Clock) => new RedisQuotas({ commands, keys, clock }),
    records: (clock: Clock) => new RedisRecords({ commands, keys: keys.records, clock }),
    userStates: (clock: Clock, most: number) =>
      new RedisRecords({ commands, keys: keys.users, clock, most }),
    answers: (clock: Clock, most: number) =>
      new RedisRecords({ commands, keys: keys.answers, clock, most }),
  };

  function open({ caps, lifetimes, log, clock, keys: secrets }: StoreSettings): Backplane {
    const sealer = new Sealer(secrets, `mooring redis 2 ${prefix}`);
    const node = randomText(16);
    const subscriber = new Subscriber(connection);
    const { absoluteMs } = lifetimes;
    return {
      sessions: new RedisSessionStore({ commands, keys, sealer, node, caps, lifetimes, clock }),
      log: new RedisEventLog({
        ...{ commands, subscriber, keys, sealer, node, absoluteMs, clock },
        limits: log,
      }),
      bus: new RedisBus({ commands, subscriber, keys }),
      leases: new RedisLeases({ commands, subscriber, keys, node, clock }),
      nodes: new RedisNodes({ commands, keys, clock }),
      claims: new RedisClaims({ commands, keys, clock }),
      documents: new RedisDocuments({ commands, keys }),
      tasks: new RedisTaskStore({ commands, keys, sealer, clock }),
      connect: connectNodes,
    };
  }
}

function checkPrefix(prefix: string): string {
  if (typeof prefix !== "string") {
    throw new TypeError(`Give a string as "prefix": ${typeof prefix}`);
  }
  if (!/^[^{}]+$/.test(prefix)) {
    throw new RangeError(`Give a "prefix" of one character or more without braces: "${prefix}"`);
  }
  return prefix;
}
