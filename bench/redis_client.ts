/**
 * Redis, as the benchmark reaches it: with a count of what is sent, and further away on demand.
 *
 * @module
 */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "redis";
import type { NodeRedisClient } from "../src/redis/mod.ts";

/** How long to wait for a Redis that may not be there, in milliseconds. */
const CONNECT_MS = 1_000;

/** Where it is. */
export const REDIS_URL = process.env.REDIS_URL ?? "redis://127.0.0.1:6379";

/** A client that counts. */
export interface CountingClient {
  readonly client: NodeRedisClient;
  /** Commands that were sent so far. */
  readonly sent: number;
  /** How much longer than it takes an answer is kept back, in milliseconds. */
  delayMs: number;
}

/** Wraps a client, so that it counts what is sent by it. Its duplicates only listen: they don't count. */
export function counting(inner: NodeRedisClient): CountingClient {
  let sent = 0;
  const counted = {
    delayMs: 0,
    get sent() {
      return sent;
    },
    client: {
      get isReady() {
        return inner.isReady;
      },
      sendCommand(args: readonly string[]) {
        sent++;
        const reply = inner.sendCommand(args);
        return counted.delayMs === 0 ? reply : late(reply, counted.delayMs);
      },
      duplicate: () => inner.duplicate(),
      on: (event: string, listener: (...args: unknown[]) => void) => inner.on(event, listener),
    },
  };
  return counted;
}

/** An answer as if it came from further away. Answers that are under way together come together. */
async function late(reply: Promise<unknown>, ms: number): Promise<unknown> {
  const [settled] = await Promise.all([reply.catch(() => {}), sleep(ms)]);
  return settled === undefined ? await reply : settled;
}

/**
 * Connects.
 *
 * @throws {Error} If there is no Redis
 */
export async function connectRedis() {
  const socket = { connectTimeout: CONNECT_MS, reconnectStrategy: false } as const;
  const client = createClient({ url: REDIS_URL, socket });
  client.on("error", () => {});
  client.setMaxListeners(0);
  await client.connect();
  return client;
}

/** Why nothing can be measured on Redis, or `undefined`. */
export async function whyNoRedis(): Promise<string | undefined> {
  try {
    (await connectRedis()).destroy();
    return undefined;
  } catch {
    return `REDIS BENCHMARKS SKIPPED: no Redis answers at ${REDIS_URL}, set REDIS_URL`;
  }
}

/** Deletes what a benchmark has left. */
export async function deleteKeys(prefix: string): Promise<void> {
  const client = await connectRedis();
  for await (const keys of client.scanIterator({ MATCH: `${prefix}:*`, COUNT: 1_000 })) {
    if (keys.length > 0) await client.unlink(keys);
  }
  client.destroy();
}
