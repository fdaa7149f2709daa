import { after, describe, test } from "node:test";
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../src/internal/clock.ts";
import type { StoreSettings } from "../../src/cluster/types.ts";
import type { IoRedisClient, NodeRedisClient } from "../../src/redis/mod.ts";
import type { SessionStore } from "../../src/sessions/types.ts";
import { uniqueId } from "../contracts/unique.ts";
import { CLIENTS, noRedis, type TestClient, useServer } from "../support/redis.ts";
import { makeNodes, type RedisNodes } from "./nodes.ts";

const TWO = { caps: { sessions: 2, sessionsPerPrincipal: 2 } };

if (noRedis !== false) {
  test("nodes share one Redis", { skip: noRedis }, () => {});
} else {
  for (const { name, connect } of CLIENTS) {
    const server = await useServer();
    const connection = await connect(server.url);
    describe(name, () => {
      sessions(connection);
      streams(connection);
      others(connection);
      after(async () => {
        await connection.close();
        await server.stop();
      });
    });
  }
}

async function using(
  connection: TestClient,
  run: (nodes: RedisNodes) => Promise<void>,
  settings: Partial<StoreSettings> = {},
): Promise<void> {
  const nodes = makeNodes(connection, settings);
  try {
    await run(nodes);
  } finally {
    await nodes.close();
  }
}

async function begin(store: SessionStore, now: number, owner?: string): Promise<string> {
  const id = uniqueId();
  assert.equal((await store.reserve(id, owner)).admitted, true);
  const record = { id, owner, createdAt: now, protocolVersion: undefined, initialized: true };
  const client = { capabilities: {} };
  assert.equal(await store.create({ ...record, client, logLevel: undefined }), true);
  return id;
}

function sessions(connection: TestClient): void {
  test("[SES-5] no burst from two nodes passes a cap", async () => {
    await using(connection, async ({ node }) => {
      const [a, b] = [node().sessions, node().sessions];
      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => (i % 2 ? a : b).reserve(uniqueId(), "o")),
      );
      assert.equal(answers.filter(({ admitted }) => admitted).length, 2);
    }, TWO);
  });

  test("[SES-5] a burst from two nodes at the cap ends each session once", async () => {
    await using(connection, async ({ node, clock }) => {
      const [a, b] = [node().sessions, node().sessions];
      const old = [await begin(a, clock.now(), "o"), await begin(b, clock.now(), "o")];
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, i) => (i % 2 ? a : b).reserve(uniqueId(), "o")),
      );
      assert.equal(answers.filter(({ admitted }) => admitted).length, 2);
      const ended = answers.flatMap(({ ended }) => ended.map(({ id }) => id));
      assert.deepEqual(ended.sort(), old.sort());
    }, TWO);
  });

  test("[SES-5] a use or hold on another node counts before the index has heard of it", async () => {
    await using(connection, async ({ node, clock, advance }) => {
      const [a, b] = [node().sessions, node().sessions];
      const first = await begin(a, clock.now(), "o");
      await clock.advance(10);
      const second = await begin(a, clock.now(), "o");
      await clock.advance(10);
      // Written down here and not told yet.
      await b.use(first, "o");
      const { ended } = await a.reserve(uniqueId(), "o");
      assert.deepEqual(ended, [{ id: second, reason: "evicted" }]);
      b.hold(first);
      await advance(1_000);
      assert.deepEqual(await a.reserve(uniqueId(), "o"), { admitted: false, ended: [] });
      b.free(first);
      await advance(0);
      const later = await a.reserve(uniqueId(), "o");
      assert.deepEqual(later.ended, [{ id: first, reason: "evicted" }]);
    }, TWO);
  });

  test("[RDS-5] a request that begins at another node protects its session before the hold is written", async () => {
    await using(connection, async ({ node, clock, advance }) => {
      const [a, b] = [node().sessions, node().sessions];
      const first = await begin(a, clock.now(), "o");
      await clock.advance(10);
      await begin(a, clock.now(), "o");
      const [, { ended }] = [await b.use(first, "o", true), await a.reserve(uniqueId(), "o")];
      assert.equal(ended.length, 1);
      assert.notEqual(ended[0]?.id, first);
      b.hold(first);
      // The node stands still when it should write the hold.
      clock.set(clock.now() + 1_900);
      assert.deepEqual(await a.reserve(uniqueId(), "o"), { admitted: false, ended: [] });
      await advance(1_000);
      assert.deepEqual(await a.reserve(uniqueId(), "o"), { admitted: false, ended: [] });
    }, TWO);
  });

  test("[RDS-5] a short hold is not written, and lapses with the request's own protection", async () => {
    await using(connection, async ({ node, clock, advance }) => {
      const [a, b] = [node().sessions, node().sessions];
      const first = await begin(a, clock.now(), "o");
      await clock.advance(10);
      await begin(a, clock.now(), "o");
      await b.use(first, "o", true);
      b.hold(first);
      await advance(499);
      b.free(first);
      await advance(1_500);
      const { ended } = await a.reserve(uniqueId(), "o");
      assert.notEqual(ended[0]?.id, first);
      await advance(1);
      assert.deepEqual((await a.reserve(uniqueId(), "o")).ended, [{
        id: first,
        reason: "evicted",
      }]);
    }, TWO);
  });

  test("[SES-4] the hold of a node that died lapses, and counts as a use until then", async () => {
    await using(connection, async ({ node, clock, advance, settle }) => {
      const [a, dead] = [node().sessions, node().sessions];
      const id = await begin(a, clock.now(), "o");
      dead.hold(id);
      await advance(1_000);
      // Its timers stop, which the others' don't.
      clock.set(clock.now() + 29_000);
      assert.deepEqual(await a.sweep(10), []);
      clock.set(clock.now() + 60_000);
      assert.notEqual(await a.peek(id), undefined);
      clock.set(clock.now() + 1_000);
      assert.deepEqual(await a.sweep(10), [{ id, reason: "idle" }]);
      await settle();
    });
  });

  test("[SES-4] a hold is renewed as long as it lasts", async () => {
    await using(connection, async ({ node, clock, advance }) => {
      const [a, b] = [node().sessions, node().sessions];
      const id = await begin(a, clock.now(), "o");
      b.hold(id);
      for (let i = 0; i < 20; i++) await advance(10_000);
      assert.deepEqual(await a.sweep(10), []);
      assert.notEqual(await a.peek(id), undefined);
      b.free(id);
      await advance(60_000);
      assert.deepEqual(await a.sweep(10), [{ id, reason: "idle" }]);
    });
  });

  test("[CLU-1] without a clock of its own everything goes by the server's time", async () => {
    await using(connection, async ({ node }) => {
      const { sessions, log, leases, claims } = node();
      const id = await begin(sessions, Date.now(), "o");
      await claims.claim(id, "node", 500);
      await log.end(id, "s");
      const lease = await leases.take(id, () => {});
      assert.ok(Math.abs(lease.token - Date.now()) < 60_000);
      assert.equal((await sessions.use(id, "o")).refusal, undefined);
      assert.equal(await claims.holder(id), "node");
      assert.notEqual(await log.read(id, "s", 0), undefined);
      // A real wait: the server's clock is nobody's to move.
      await sleep(600);
      assert.equal(await claims.holder(id), undefined);
      assert.equal(await log.read(id, "s", 0), undefined);
      assert.deepEqual(await sessions.sweep(10), [{ id, reason: "idle" }]);
      assert.equal(await leases.held(id), true);
      lease.release();
    }, {
      clock: systemClock,
      lifetimes: { idleMs: 500, absoluteMs: 60_000 },
      log: { events: 10, eventBytes: 1_000, retainMs: 500 },
    });
  });

  test("[SES-4] of many that sweep one ends a session", async () => {
    await using(connection, async ({ node, clock }) => {
      const stores = [node().sessions, node().sessions, node().sessions];
      const [a] = stores;
      assert.ok(a);
      const old: string[] = [];
      for (let i = 0; i < 6; i++) old.push(await begin(a, clock.now(), "o"));
      clock.set(clock.now() + 60_000);
      const ended = (await Promise.all(stores.map((store) => store.sweep(100)))).flat();
      assert.deepEqual(ended.map(({ id }) => id).sort(), old.sort());
    });
  });

  test("[SES-8] of many nodes that claim at once one has it", async () => {
    await using(connection, async ({ node, clock }) => {
      const [a, b] = [node().sessions, node().sessions];
      const id = await begin(a, clock.now());
      const found = await Promise.all(
        Array.from({ length: 10 }, (_, i) => (i % 2 ? a : b).use(id, `owner${i}`)),
      );
      const winners = found.flatMap(({ record }) => record?.owner ?? []);
      assert.equal(winners.length, 1);
      assert.equal((await b.peek(id))?.owner, winners[0]);
    });
  });

  test("[SES-5] a reservation whose node died is given back in time", async () => {
    await using(connection, async ({ node, clock }) => {
      const [a, dead] = [node().sessions, node().sessions];
      await Promise.all([dead.reserve(uniqueId(), "o"), dead.reserve(uniqueId(), "o")]);
      assert.equal((await a.reserve(uniqueId(), "o")).admitted, false);
      clock.set(clock.now() + 120_000);
      assert.equal((await a.reserve(uniqueId(), "o")).admitted, true);
    }, TWO);
  });

  test("[CLU-1] what other programs write under the prefix passes for nothing of ours", async () => {
    await using(connection, async ({ node, clock, prefix }) => {
      const store = node().sessions;
      const id = await begin(store, clock.now(), "o");
      const keys = await connection.send("KEYS", `${prefix}:*:s:*:record`) as string[]; // by KEYS
      const [key = ""] = keys;
      for (const rec of ["no JSON", "null", '{"id":"other"}', JSON.stringify({ id, client: 1 })]) {
        await connection.send("HSET", key, "rec", rec);
        await assert.rejects(async () => await store.use(id, "o"), /unexpected session/);
        await assert.rejects(async () => await store.peek(id), /unexpected session/);
      }
      await connection.send("DEL", key);
      await connection.send("SET", key, "a text", "PX", "60000");
      await assert.rejects(async () => await store.use(id, "o"), /WRONGTYPE/);
    });
  });
}

function streams(connection: TestClient): void {
  test("[CLU-3] appends of two nodes keep each node's order, with numbers that rise by one", async () => {
    await using(connection, async ({ node }) => {
      const [a, b] = [node().log, node().log];
      const session = uniqueId();
      const calls = Array.from(
        { length: 100 },
        (_, i) => (i % 2 ? a : b).append(session, "s", `${i % 2}:${String(i).padStart(3, "0")}`),
      );
      const numbers = await Promise.all(calls);
      assert.deepEqual(numbers.sort((x, y) => x - y), Array.from({ length: 100 }, (_, i) => i + 1));
      const events = (await a.read(session, "s", 0))?.events.map(({ data }) => data) ?? [];
      assert.equal(events.length, 100);
      for (const who of ["0:", "1:"]) {
        const own = events.filter((data) => data.startsWith(who));
        assert.deepEqual(own, [...own].sort());
      }
      await a.drop(session);
    });
  });

  test("[CLU-3] a watcher is woken by another node, and reads everything once and in order", async () => {
    await using(connection, async ({ node, settle }) => {
      const [a, b] = [node().log, node().log];
      const session = uniqueId();
      await b.append(session, "s", "before");
      const seen: string[] = [];
      let after = 0;
      let reading = Promise.resolve();
      const unwatch = a.watch(session, "s", () => {
        reading = reading.then(async () => {
          for (const { n, data } of (await a.read(session, "s", after))?.events ?? []) {
            after = n;
            seen.push(data);
          }
        });
      });
      await settle();
      for (let i = 0; i < 10; i++) await b.append(session, "s", String(i));
      await settle();
      await reading;
      assert.deepEqual(seen, ["before", ..."0123456789"]);
      unwatch();
      await b.drop(session);
    });
  });

  test("[CLU-3] a watcher misses nothing that happens before its channel is heard", async () => {
    await using(connection, async ({ node, settle }) => {
      const [a, b] = [node().log, node().log];
      const session = uniqueId();
      let woken = 0;
      const unwatch = a.watch(session, "s", () => woken += 1);
      await b.append(session, "s", "x");
      await settle();
      assert.ok(woken > 0);
      unwatch();
    });
  });

  test("[SES-6] a session that is dropped on another node wakes its watchers", async () => {
    await using(connection, async ({ node, settle }) => {
      const [a, b] = [node().log, node().log];
      const session = uniqueId();
      let woken = 0;
      const unwatch = a.watch(session, "s", () => woken += 1);
      await settle();
      await b.append(session, "s", "x");
      await settle();
      const before = woken;
      await b.drop(session);
      await settle();
      assert.ok(woken > before);
      assert.equal(await a.read(session, "s", 0), undefined);
      unwatch();
    });
  });

  test("[CLU-3] what a client sends again because its connection broke counts once", async () => {
    const { client } = connection;
    const twice: NodeRedisClient | IoRedisClient = "call" in client
      ? {
        ...client,
        status: "ready",
        on: client.on,
        call: (command, args) => again(() => client.call(command, args)),
      }
      : {
        ...client,
        isReady: true,
        on: client.on,
        sendCommand: (args) => again(() => client.sendCommand(args)),
      };
    const nodes = makeNodes(connection, {}, { client: twice });
    const [a, b] = [nodes.node(), nodes.node()];
    const session = uniqueId();
    const heard: string[] = [];
    const members = [a.bus.join("a", () => {}), b.bus.join("b", (text) => heard.push(text))];
    await nodes.settle();
    assert.deepEqual(
      [await a.log.append(session, "s", "x"), await b.log.append(session, "s", "y")],
      [
        1,
        2,
      ],
    );
    assert.deepEqual((await a.log.read(session, "s", 0))?.events.map(({ data }) => data), [
      "x",
      "y",
    ]);
    await members[0]?.publish("text");
    await members[0]?.send("b", "more");
    await nodes.settle();
    assert.deepEqual(heard, ["text", "more"]);
    for (const member of members) member.leave();
    await nodes.close();
  });

  test("[STR-10] many watched streams need one connection, which ends with the last", async () => {
    await using(connection, async ({ node, settle }) => {
      const { log } = node();
      const unwatch = Array.from({ length: 50 }, () => log.watch(uniqueId(), "s", () => {}));
      await settle();
      assert.equal(connection.duplicates.size, 1);
      for (const stop of unwatch) stop();
      await settle();
      assert.equal(connection.duplicates.size, 0);
    });
  });
}

/** Does something twice, and answers what came of the second time. */
async function again(send: () => Promise<unknown>): Promise<unknown> {
  const [, second] = await Promise.all([send().catch(() => {}), send()]);
  return second;
}

function others(connection: TestClient): void {
  test("[CLU-4] a lease whose node died is free after its time", async () => {
    await using(connection, async ({ node, clock, settle }) => {
      const [a, dead] = [node().leases, node().leases];
      const key = uniqueId();
      const old = await dead.take(key, () => {});
      await settle();
      clock.set(clock.now() + 29_999);
      assert.equal(await a.tryTake(key, () => {}), undefined);
      clock.set(clock.now() + 1);
      const lease = await a.tryTake(key, () => {});
      assert.ok(lease !== undefined && lease.token > old.token);
      lease.release();
    });
  });

  test("[CLU-4] a lease is renewed as long as it is held", async () => {
    await using(connection, async ({ node, advance }) => {
      const [a, b] = [node().leases, node().leases];
      const key = uniqueId();
      let lost = 0;
      const lease = await a.take(key, () => lost += 1);
      for (let i = 0; i < 10; i++) await advance(10_000);
      assert.equal(await b.held(key), true);
      assert.equal(lost, 0);
      lease.release();
      await advance(0);
      assert.equal(await b.held(key), false);
    });
  });

  test("[CLU-4] a holder that nobody could tell finds out when it renews", async () => {
    await using(connection, async ({ node, prefix, advance }) => {
      const { leases } = node();
      const key = uniqueId();
      let lost = 0;
      await leases.take(key, () => lost += 1);
      await advance(0);
      const [name = ""] = await connection.send("KEYS", `${prefix}:*:l:*`) as string[]; // by KEYS
      await connection.send("HSET", name, "holder", "somebody/1", "token", "9000000000000000");
      await advance(9_999);
      assert.equal(lost, 0);
      await advance(1);
      assert.equal(lost, 1);
      await advance(60_000);
      assert.equal(lost, 1);
    });
  });

  test("[CLU-4] a lease that Redis has lost goes on", async () => {
    await using(connection, async ({ node, prefix, advance }) => {
      const [a, b] = [node().leases, node().leases];
      const key = uniqueId();
      let lost = 0;
      const lease = await a.take(key, () => lost += 1);
      await advance(0);
      const [name = ""] = await connection.send("KEYS", `${prefix}:*:l:*`) as string[]; // by KEYS
      await connection.send("DEL", name);
      await advance(10_000);
      assert.equal(lost, 0);
      assert.equal(await b.tryTake(key, () => {}), undefined);
      lease.release();
    });
  });

  test("[CLU-1] names of keys tell no session id", async () => {
    await using(connection, async ({ node, clock, prefix, settle }) => {
      const { sessions, log, leases, claims } = node();
      const id = await begin(sessions, clock.now(), "o");
      await sessions.setState(id, "k", 1);
      await sessions.subscribe(id, "a:b", 1);
      await log.append(id, "s", "x");
      await claims.claim(id, "node", 1_000);
      const lease = await leases.take(id, () => {});
      await settle();
      const names = await connection.send("KEYS", `${prefix}:*`) as string[]; // by KEYS
      assert.ok(names.length >= 10, names.join());
      assert.deepEqual(names.filter((name) => name.includes(id)), []);
      lease.release();
    });
  });
}
