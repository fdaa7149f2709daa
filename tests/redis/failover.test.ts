/**
 * A server dies in the middle of load, and its replica takes over: with Sentinel, and in a Redis
 * Cluster. Waits here are real: they are for other processes.
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import { type RedisClient, redisStore } from "../../src/redis/mod.ts";
import { type OwnServer, uniquePrefix } from "../support/redis.ts";
import {
  ask,
  BINARIES,
  CLUSTER_CLIENTS,
  SENTINEL_CLIENTS,
  ServerCluster,
  until,
  WatchedServers,
} from "../support/redis_fleet.ts";
import {
  as,
  byToken,
  initialize,
  logData,
  type Peer,
  Stub,
  text,
  textOf,
} from "../support/wire.ts";

const STATE_KEY = "0123456789abcdef0123456789abcdef";
/** Valkey is the same in this, and each failover takes seconds. */
const LONG = process.env["MOORING_LONG"] === "1";
const binaries = BINARIES.filter(({ name }) => LONG || name === "redis-server");

/** Waits until a primary's replicas have what was written until now. */
async function replicated(primary: OwnServer): Promise<void> {
  await until(
    async () => await ask(primary, "WAIT", "1", "1000") === 1,
    "the replica is up to date",
  );
}

/** What a client's calls came to. */
interface Load {
  /** The number of answers, by when they came. */
  readonly before: number;
  readonly after: number;
  /** Statuses other than 200. */
  readonly others: ReadonlySet<number>;
}

/** Two nodes under load while `fail` kills a server. */
async function failover(
  clients: readonly RedisClient[],
  steady: () => Promise<unknown>,
  fail: () => Promise<void>,
): Promise<void> {
  const prefix = uniquePrefix();
  const ran = new Map<string, number>();
  const nodes: McpHandler[] = clients.map((client) =>
    createMcpHandler(
      new Stub({
        echo: ({ params }) => {
          const word = String((params.arguments as { word?: unknown }).word);
          ran.set(word, (ran.get(word) ?? 0) + 1);
          return text(word);
        },
      }),
      {
        store: redisStore({ client, prefix }),
        authenticate: byToken,
        requests: { stateKeys: [STATE_KEY] },
      },
    )
  );
  const [first, second] = nodes;
  assert.ok(first && second);
  try {
    const peers = await Promise.all(
      Array.from({ length: 6 }, (_, n) =>
        initialize(nodes[n % 2] ?? first, {
          headers: as(`user${n}`),
          accept: "application/json",
        })),
    );
    const listener = peers[0] ?? assert.fail();
    const stream = await listener.with({ fetch: second }).listen();
    await stream.next();
    await steady();
    let failed = false;
    let over = false;
    const loads = peers.map(async (peer, n): Promise<Load> => {
      const others = new Set<number>();
      let [before, after] = [0, 0];
      for (let i = 0; !over; i++) {
        const word = `${n}.${i}`;
        const began = failed;
        const response = await peer.with({ fetch: nodes[i % 2] ?? first }).call(i + 1, "echo", {
          word,
        });
        if (response.status === 200) {
          assert.equal(textOf(await peer.result(response)), word);
          if (began) after += 1;
          else before += 1;
        } else {
          others.add(response.status);
          await response.body?.cancel();
        }
        await sleep(response.status === 200 ? 2 : 50);
      }
      return { before, after, others };
    });
    await sleep(200);
    failed = true;
    await fail();
    await until(() => works(nodes, peers), "both nodes work again");
    await sleep(100);
    over = true;
    for (const { before, after, others } of await Promise.all(loads)) {
      assert.ok(before > 0 && after > 0, `${before} calls before, ${after} after`);
      assert.deepEqual([...others].filter((status) => status !== 503), []);
    }
    for (const [word, count] of ran) assert.equal(count, 1, word);
    // The news of a stream arrive again from the other node.
    const session = listener.sessionId ?? assert.fail();
    await until(async () => {
      const anew = await listener.with({ fetch: second }).get();
      if (anew.status !== 200) return false;
      const frames = listener.frames(anew);
      await frames.next();
      const params = { level: "info", data: "after" };
      await first.notify(session, { method: "notifications/message", params });
      return logData(await frames.message()) === "after";
    }, "a notification from the other node arrives");
  } finally {
    await Promise.all(nodes.map((node) => node.close({ graceMs: 0 })));
  }
}

/** Whether each session is served at each node. */
async function works(nodes: readonly McpHandler[], peers: readonly Peer[]): Promise<boolean> {
  const statuses = await Promise.all(
    peers.flatMap((peer) =>
      nodes.map(async (fetch) => {
        const { status, body } = await peer.with({ fetch }).request(0, "ping");
        await body?.cancel();
        return status;
      })
    ),
  );
  return statuses.every((status) => status === 200);
}

for (const { name: binary, skip } of binaries) {
  if (skip !== false) {
    test(`[RDS-2] ${binary}: a replica takes over`, { skip }, () => {});
    continue;
  }
  describe(binary, () => {
    for (const { name, connect } of SENTINEL_CLIENTS) {
      test(`[RDS-2] Sentinel, ${name}: the primary dies under load, and its replica takes over`, async () => {
        const servers = await WatchedServers.start(binary);
        const clients = await Promise.all([connect(servers), connect(servers)]);
        try {
          await failover(
            clients.map(({ client }) => client),
            () => replicated(servers.primary),
            () => servers.primary.stop(),
          );
        } finally {
          await Promise.all(clients.map((client) => client.close()));
          await servers.close();
        }
      });
    }
    for (const { name, connect } of LONG ? CLUSTER_CLIENTS : CLUSTER_CLIENTS.slice(0, 1)) {
      test(`[RDS-2] Redis Cluster, ${name}: a server dies under load, and its replica takes over`, async () => {
        const cluster = await ServerCluster.start(binary, 3, 1);
        const clients = await Promise.all([connect(cluster), connect(cluster)]);
        const [dying] = cluster.servers;
        assert.ok(dying);
        try {
          await failover(
            clients.map(({ client }) => client),
            () => replicated(dying),
            () => dying.stop(),
          );
        } finally {
          await Promise.all(clients.map((client) => client.close()));
          await cluster.close();
        }
      });
    }
  });
}
