/**
 * The store that many processes share.
 *
 * @module
 */
import { integerOption } from "../internal/check.ts";
import { randomText } from "../internal/random.ts";
import type { Backplane, Store, StoreSettings } from "../cluster/types.ts";
import { RedisBus } from "./bus.ts";
import { connectionOf, type RedisClient } from "./client.ts";
import { Commands } from "./commands.ts";
import { RedisDocuments } from "./documents.ts";
import { RedisEventLog } from "./event_log.ts";
import { Keys } from "./keys.ts";
import { RedisLeases } from "./leases.ts";
import { RedisClaims, RedisNodes } from "./nodes.ts";
import { RedisSessionStore } from "./session_store.ts";
import { Subscriber } from "./subscriber.ts";

/** Options for {@linkcode redisStore}. */
export interface RedisStoreOptions {
  /**
   * A client of the package `redis` (6) or `ioredis` (6). It stays yours: connect it, listen to its
   * `error` event, and close it after the handlers. A connection that breaks is made again by the
   * client, so leave its reconnecting on. For what it subscribes to, the store makes a duplicate of it
   * while a handler is open.
   */
  readonly client: RedisClient;
  /**
   * What all keys and channels begin with, without `{` and `}`. Handlers with the same prefix in the
   * same Redis are one endpoint.
   *
   * @default {"mooring"}
   */
  readonly prefix?: string;
  /**
   * How long each call waits for Redis, in milliseconds, whether it is slow or away; the request that
   * needs it is then answered with 503. It may be that what was asked for happens all the same.
   *
   * @default {2_000}
   */
  readonly timeoutMs?: number;
}

/**
 * Makes a {@linkcode Store} in Redis 6.2 or newer, for handlers in any number of processes.
 *
 * Expiry goes by the time of the Redis server, so that the clocks of processes may differ; a handler that is
 * given a `clock` of its own goes by that one. Every key has an expiry.
 *
 * @throws {TypeError} If an option has the wrong type, or the client doesn't fit
 * @throws {RangeError} If a number is out of range, or the prefix is empty or has a brace
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
  const prefix = checkPrefix(options.prefix ?? "mooring");
  const connection = connectionOf(options.client);
  const timeoutMs = integerOption("timeoutMs", options.timeoutMs, 2_000);
  let backplane: Backplane | undefined;
  return {
    shared: true,
    open: (settings) => backplane ??= open(settings),
  };

  function open({ caps, lifetimes, log, clock }: StoreSettings): Backplane {
    const keys = new Keys(prefix);
    const node = randomText(16);
    const commands = new Commands(connection, timeoutMs);
    const subscriber = new Subscriber(connection);
    const { absoluteMs } = lifetimes;
    return {
      sessions: new RedisSessionStore({ commands, keys, node, caps, lifetimes, clock }),
      log: new RedisEventLog({ commands, subscriber, keys, node, limits: log, absoluteMs, clock }),
      bus: new RedisBus({ commands, subscriber, keys }),
      leases: new RedisLeases({ commands, subscriber, keys, node, clock }),
      nodes: new RedisNodes({ commands, keys, clock }),
      claims: new RedisClaims({ commands, keys, clock }),
      documents: new RedisDocuments({ commands, keys }),
    };
  }
}

function checkPrefix(prefix: string): string {
  if (typeof prefix !== "string") throw new TypeError(`Give a text as "prefix": ${typeof prefix}`);
  if (!/^[^{}]+$/.test(prefix)) {
    throw new RangeError(`Give a "prefix" of one character or more without braces: "${prefix}"`);
  }
  return prefix;
}
