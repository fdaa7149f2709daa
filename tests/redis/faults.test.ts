/**
 * Redis away, slow, and back again. Waits here are real: they are for another process.
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { RedisStoreOptions } from "../../src/redis/mod.ts";
import { uniqueId } from "../contracts/unique.ts";
import { CLIENTS, noBinary, OwnServer, type TestClient } from "../support/redis.ts";
import { makeNodes, type RedisNodes } from "./nodes.ts";

const QUICK = { timeoutMs: 300 };

interface World {
  readonly server: OwnServer;
  readonly connection: TestClient;
  readonly nodes: RedisNodes;
}

if (noBinary !== false) {
  test("[CLU-8] Redis goes away and comes back", { skip: noBinary }, () => {});
} else {
  for (const { name, connect } of CLIENTS) {
    describe(name, () => faults((url) => connect(url)));
  }
}

/** Waits until something is so. */
async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await what()) return;
    await sleep(25);
  }
  assert.fail("It never came to be");
}

/** Whether calls succeed again. */
async function works({ nodes }: World): Promise<boolean> {
  try {
    await nodes.node().documents.get("any");
    return true;
  } catch {
    return false;
  }
}

function faults(connect: (url: string) => Promise<TestClient>): void {
  async function using(
    run: (world: World) => Promise<void>,
    options: Partial<RedisStoreOptions> = QUICK,
    ...args: string[]
  ): Promise<void> {
    const server = await OwnServer.start(...args);
    const connection = await connect(server.url);
    try {
      await run({ server, connection, nodes: makeNodes(connection, {}, options) });
    } finally {
      await connection.close();
      await server.close();
    }
  }

  for (const fault of ["stop", "pause"] as const) {
    test(`[CLU-8] while Redis is away (${fault}) every call fails within 2 s`, async () => {
      await using(async ({ server, nodes }) => {
        const { sessions, log, leases, bus, nodes: live, claims, documents, tasks } = nodes.node();
        const member = bus.join("a", () => {});
        const id = uniqueId();
        assert.ok(tasks);
        const progress = { state: { status: "working" }, updatedAt: 1 } as const;
        const task = { id, owner: "o", runner: "a", createdAt: 1, ttlMs: 9_000, ...progress };
        await log.append(id, "s", "x");
        await server[fault]();
        const begun = Date.now();
        sessions.hold(id);
        sessions.free(id);
        const results = await Promise.allSettled([
          sessions.reserve(id, "o"),
          sessions.use(id, "o"),
          sessions.peek(id),
          sessions.end(id),
          sessions.sweep(10),
          sessions.ids(),
          sessions.getState(id, "k"),
          sessions.setState(id, "k", 1),
          sessions.subscribe(id, "a:b", 1),
          sessions.subscribers("a:b"),
          log.append(id, "s", "y"),
          log.append(id, "s", "z"),
          log.read(id, "s", 0),
          log.drop(id),
          leases.take(id, () => {}),
          member.publish("text"),
          member.send("b", "text"),
          live.beat({ id: "a" }, 1_000),
          live.find("a"),
          claims.claim(id, "a", 1_000),
          documents.get("d"),
          documents.put("d", "1"),
          tasks.create(task, { tasks: 1, tasksPerPrincipal: 1 }),
          tasks.get(id, "o"),
          tasks.update(id, "a", progress),
          tasks.cancel(id, "o", progress),
          tasks.take(id, "o", "b"),
          tasks.lose(id, "a", progress),
          tasks.delete(id),
          tasks.beat("a", 4_000),
          tasks.leave("a"),
        ]);
        const tookMs = Date.now() - begun;
        assert.deepEqual(results.map(({ status }) => status), results.map(() => "rejected"));
        assert.ok(tookMs < 2_500, `${tookMs} ms`);
        if (fault === "pause") server.resume();
        member.leave();
      }, {});
    });
  }

  test("[CLU-8] everything comes back by itself, with nothing kept in Redis", async () => {
    await using(async (world) => {
      const { server, nodes } = world;
      const [a, b] = [nodes.node(), nodes.node()];
      const heard: string[] = [];
      const member = a.bus.join("a", (text) => heard.push(text));
      const other = b.bus.join("b", () => {});
      const session = uniqueId();
      let woken = 0;
      const unwatch = a.log.watch(session, "s", () => woken += 1);
      let lost = 0;
      const lease = await a.leases.take(session, () => lost += 1);
      await nodes.settle();
      await server.stop();
      const late = (async () => await b.log.append(session, "s", "late"))();
      await assert.rejects(late);
      await server.begin();
      await until(() => works(world));
      await until(async () => {
        await other.publish("back");
        await nodes.settle();
        return heard.includes("back");
      });
      await nodes.settle();
      // What failed while Redis was away doesn't happen later.
      assert.equal(await b.log.append(session, "s", "x"), 1);
      const before = woken;
      await b.log.append(session, "s", "y");
      await until(() => woken > before);
      await nodes.advance(10_000);
      assert.equal(await b.leases.held(session), true);
      assert.equal(lost, 0);
      assert.equal((await b.sessions.reserve(uniqueId(), "o")).admitted, true);
      lease.release();
      unwatch();
      member.leave();
      other.leave();
    });
  });

  test("[CLU-8] what Redis has kept goes on where it was", async () => {
    await using(
      async (world) => {
        const { server, nodes } = world;
        const { log, sessions } = nodes.node();
        const id = uniqueId();
        await sessions.reserve(id, "o");
        const record = { id, owner: "o", createdAt: 1, protocolVersion: undefined };
        const rest = { client: { capabilities: {} }, initialized: true, logLevel: undefined };
        await sessions.create({ ...record, ...rest });
        await log.append(id, "s", "x");
        await server.stop();
        await server.begin();
        await until(() => works(world));
        assert.equal((await sessions.use(id, "o")).record?.owner, "o");
        assert.equal(await log.append(id, "s", "y"), 2);
        assert.deepEqual((await log.read(id, "s", 0))?.events.map(({ data }) => data), ["x", "y"]);
      },
      QUICK,
      "--appendonly",
      "yes",
      "--appendfsync",
      "always",
    );
  });

  test("[CLU-8] a watcher whose connection was away reads what it missed", async () => {
    await using(async ({ connection, nodes }) => {
      const [a, b] = [nodes.node(), nodes.node()];
      const session = uniqueId();
      let woken = 0;
      const unwatch = a.log.watch(session, "s", () => woken += 1);
      await nodes.settle();
      assert.equal(woken, 0);
      // Redis sends the news before the connection is back.
      const killed = connection.send("CLIENT", "KILL", "TYPE", "pubsub");
      await b.log.append(session, "s", "x");
      await killed;
      await until(() => woken > 0);
      unwatch();
    });
  });

  test("[CLU-8] scripts that Redis has forgotten are sent again, and nothing changes its order", async () => {
    await using(async ({ connection, nodes }) => {
      const { log } = nodes.node();
      const session = uniqueId();
      const appended: (number | Promise<number>)[] = [];
      for (let i = 0; i < 60; i++) {
        if (i % 20 === 0) void connection.send("SCRIPT", "FLUSH", "SYNC");
        appended.push(log.append(session, "s", String(i)));
        if (i % 7 === 0) await nodes.settle();
      }
      assert.deepEqual(await Promise.all(appended), appended.map((_, i) => i + 1));
      const events = (await log.read(session, "s", 0))?.events.map(({ data }) => data);
      assert.deepEqual(events, appended.map((_, i) => String(i)));
    }, {});
  });

  test("[CLU-8] a slow Redis slows and never reorders, whatever has failed meanwhile", async () => {
    await using(async ({ server, nodes }) => {
      const { log } = nodes.node();
      const session = uniqueId();
      const results: Promise<unknown>[] = [];
      for (let i = 0; i < 30; i++) {
        if (i === 5) server.pause();
        if (i === 25) server.resume();
        results.push((async () => await log.append(session, "s", String(i).padStart(2, "0")))());
        await Promise.race([results.at(-1), sleep(i === 15 ? 400 : 5)]).catch(() => {});
      }
      const settled = await Promise.allSettled(results);
      assert.ok(settled.some(({ status }) => status === "rejected"));
      const events = (await log.read(session, "s", 0))?.events.map(({ data }) => data) ?? [];
      assert.deepEqual(events, [...new Set(events)].sort());
      for (const [i, { status }] of settled.entries()) {
        if (status === "fulfilled") assert.ok(events.includes(String(i).padStart(2, "0")));
      }
    });
  });

  test("[CLU-4] two renewals that fail end a lease, once", async () => {
    await using(async ({ server, nodes }) => {
      const { leases } = nodes.node();
      let lost = 0;
      const lease = await leases.take(uniqueId(), () => lost += 1);
      await nodes.settle();
      server.pause();
      await nodes.clock.advance(10_000);
      await sleep(400);
      assert.equal(lost, 0);
      await nodes.clock.advance(10_000);
      await sleep(400);
      assert.equal(lost, 1);
      await nodes.clock.advance(30_000);
      server.resume();
      await nodes.settle();
      assert.equal(lost, 1);
      lease.release();
    });
  });
}
