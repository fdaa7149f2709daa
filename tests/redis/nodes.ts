/**
 * Nodes that share one prefix in one Redis, and a clock.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Backplane, StoreSettings } from "../../src/cluster/types.ts";
import type { QuotaStore } from "../../src/internal/quota_store.ts";
import type { RecordStore } from "../../src/internal/record_store.ts";
import { connectionOf } from "../../src/redis/clients/client.ts";
import { RedisCommands } from "../../src/redis/clients/commands.ts";
import { Keys } from "../../src/redis/keys.ts";
import { RedisLeases } from "../../src/redis/leases.ts";
import { type RedisClient, redisStore, type RedisStoreOptions } from "../../src/redis/mod.ts";
import { RedisRecords } from "../../src/redis/records.ts";
import { Subscriber } from "../../src/redis/clients/subscriber.ts";
import type { Leases } from "../../src/streams/leases.ts";
import { FakeClock } from "../support/clock.ts";
import { deleteKeys, lastingKeys, type TestClient, uniquePrefix } from "../support/redis.ts";

const SETTINGS = {
  keys: ["0123456789abcdef0123456789abcdef"],
  caps: { sessions: 10, sessionsPerPrincipal: 10 },
  lifetimes: { idleMs: 60_000, absoluteMs: 600_000 },
  log: { events: 256, eventBytes: 1_048_576, retainMs: 60_000 },
};

/** Nodes on one prefix, each with a store of its own. */
export interface RedisNodes {
  readonly prefix: string;
  readonly clock: FakeClock;
  /** Begins one more. */
  node(): Backplane;
  /** The quotas as one more node sees them. */
  quotas(): QuotaStore;
  /** The records as one more node sees them, so many at most. */
  records(most?: number): RecordStore;
  /** The state of users as one more node sees it, of so many at most. */
  userStates(most?: number): RecordStore;
  /** The kept answers as one more node sees them, so many records at most. */
  answers(most?: number): RecordStore;
  /** The leases as a node sees them whose takeovers no other node hears of. */
  quietLeases(): Leases;
  /** Lets everything arrive. */
  settle(): Promise<void>;
  /** Lets `ms` milliseconds pass, and everything happen that is then due. */
  advance(ms: number): Promise<void>;
  /** Closes all, and fails when a key is left that never expires. */
  close(): Promise<void>;
}

/** Keys of a node that notifies nobody of the leases that it takes over. */
class QuietKeys extends Keys {
  override leases(holder: string): string {
    return `${super.leases(holder)}:quiet`;
  }
}

/** Makes a place for nodes. */
export function makeNodes(
  connection: TestClient<RedisClient>,
  settings: Partial<StoreSettings> = {},
  options: Partial<RedisStoreOptions> = {},
): RedisNodes {
  const prefix = uniquePrefix();
  const clock = new FakeClock();
  const { client, settle, closeDuplicates } = connection;
  return {
    prefix,
    clock,
    settle,
    node: () =>
      redisStore({ client, prefix, ...options }).open({ ...SETTINGS, clock, ...settings }),
    quotas() {
      const quotas = redisStore({ client, prefix, ...options }).quotas?.(clock);
      assert.ok(quotas);
      return quotas;
    },
    records(most) {
      const commands = new RedisCommands(connectionOf(client), 2_000);
      return new RedisRecords({ commands, keys: new Keys(prefix).records, clock, most });
    },
    userStates(most) {
      const states = redisStore({ client, prefix, ...options }).userStates?.(clock, most ?? 1_000);
      assert.ok(states);
      return states;
    },
    answers(most) {
      const answers = redisStore({ client, prefix, ...options }).answers?.(clock, most ?? 1_000);
      assert.ok(answers);
      return answers;
    },
    quietLeases() {
      const redis = connectionOf(client);
      const commands = new RedisCommands(redis, 2_000);
      const subscriber = new Subscriber(redis);
      const keys = new QuietKeys(prefix);
      return new RedisLeases({ commands, subscriber, keys, node: "quiet", clock });
    },
    async advance(ms) {
      await clock.advance(ms);
      await settle();
    },
    async close() {
      await settle();
      closeDuplicates();
      assert.deepEqual(await lastingKeys(connection, prefix), []);
      await deleteKeys(connection, prefix);
      // Other tests have keys of their own.
      connection.sent.length = 0;
    },
  };
}
