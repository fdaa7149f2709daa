/**
 * Shares and rate limits that handlers with one Redis count together.
 */
import { after, describe, test } from "node:test";
import assert from "node:assert/strict";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import { tokenBucket } from "../../src/http/gates/token_bucket.ts";
import { redisStore } from "../../src/redis/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import {
  CLIENTS,
  deleteKeys,
  lastingKeys,
  noBinary,
  noRedis,
  OwnServer,
  type TestClient,
  uniquePrefix,
  useServer,
} from "../support/redis.ts";
import { as, Blocker, byToken, initialize, Stub, text } from "../support/wire.ts";

const STATE_KEY = "0123456789abcdef0123456789abcdef";

/** Handlers, each with a store of its own on the same prefix. */
function cluster(connection: TestClient, shared: McpHandlerOptions = {}) {
  const { client } = connection;
  const prefix = uniquePrefix();
  const blocker = new Blocker();
  const handlers: McpHandler[] = [];
  const store = () => redisStore({ client, prefix, timeoutMs: 500 });
  const add = (options: McpHandlerOptions = {}) => {
    const handler = createMcpHandler(new Stub({ hello: () => text("Hello"), block: blocker.act }), {
      store: store(),
      authenticate: byToken,
      requests: { stateKeys: [STATE_KEY] },
      ...shared,
      ...options,
    });
    handlers.push(handler);
    return handler;
  };
  const close = async () => {
    blocker.gate.open("done");
    await Promise.all(handlers.map((handler) => handler.close({ graceMs: 0 })));
    await connection.settle();
    assert.deepEqual(await lastingKeys(connection, prefix), []);
    await deleteKeys(connection, prefix);
    connection.sent.length = 0;
  };
  return { add, blocker, close, store };
}

async function call(handler: McpHandler, name = "hello", who = "alice"): Promise<number> {
  const peer = new ModernPeer(handler, { headers: as(who), accept: "application/json" });
  return (await peer.call(name)).status;
}

function shares(connection: TestClient): void {
  test("[CLU-14] a share of 1: calls one after the other run at any node, and of a burst one", async () => {
    const { add, blocker, close } = cluster(connection, { limits: { requestsPerPrincipal: 1 } });
    const nodes = [add(), add(), add()];
    for (let i = 0; i < 30; i++) assert.equal(await call(nodes[i % 3] ?? assert.fail()), 200);
    const burst = nodes.flatMap((node) => [call(node, "block"), call(node, "block")]);
    // All but the one that runs are refused.
    let refused = 0;
    await new Promise<void>((resolve) => {
      for (const status of burst) {
        status.then((status) => status === 503 && ++refused === 5 && resolve());
      }
    });
    assert.equal(blocker.runs.length, 1);
    blocker.gate.open("done");
    const statuses = await Promise.all(burst);
    assert.deepEqual(statuses.toSorted(), [200, 503, 503, 503, 503, 503]);
    assert.equal(await call(nodes[1] ?? assert.fail()), 200);
    await close();
  });

  test("[CLU-17] 2026 calls far below the limits cost no command; with a small limit two", async () => {
    const { add, close } = cluster(connection);
    const [a, small] = [add(), add({ limits: { requestsPerPrincipal: 2 } })];
    assert.equal(await call(a), 200);
    await connection.settle();
    const before = connection.sent.length;
    for (let i = 0; i < 20; i++) assert.equal(await call(a), 200);
    const peer = new ModernPeer(a, { headers: as("bob") });
    for (let i = 0; i < 20; i++) assert.equal((await peer.call("hello")).status, 200);
    assert.deepEqual(connection.sent.slice(before), []);
    for (let i = 0; i < 5; i++) {
      assert.equal(await call(small), 200);
      await connection.settle();
    }
    assert.equal(connection.sent.length - before, 10);
    await close();
  });

  test("[CLU-17] a 2025 call costs the one command that it cost before, JSON or not", async () => {
    const { add, close } = cluster(connection);
    const a = add();
    for (const accept of ["application/json", "application/json, text/event-stream"]) {
      const here = await initialize(a, { headers: as("alice"), accept });
      await here.result(await here.call(1, "hello"));
      await connection.settle();
      const before = connection.sent.length;
      for (let i = 0; i < 10; i++) await here.result(await here.call(i, "hello"));
      const sent = connection.sent.slice(before).map(([command]) => command);
      assert.deepEqual(sent, Array.from({ length: 10 }, () => "EVALSHA"));
    }
    await close();
  });

  test("[CLU-15] what a node that is gone had leased is free after a lease, and no sooner", async () => {
    const { add, blocker, close } = cluster(connection, { limits: { requestsPerPrincipal: 2 } });
    // The dead node's clock stands still, so that it renews nothing.
    const clock = new FakeClock();
    const [dead, other] = [add({ clock: new FakeClock(clock.now()) }), add({ clock })];
    const calls = [call(dead, "block"), call(dead, "block")];
    await blocker.running(2);
    const refused = async () => {
      const status = call(other);
      for (let i = 0; i < 8; i++) {
        await clock.advance(50);
        await connection.settle();
      }
      return await status;
    };
    assert.equal(await refused(), 503);
    await clock.advance(28_000);
    await connection.settle();
    assert.equal(await refused(), 503);
    await clock.advance(1_500);
    await connection.settle();
    assert.equal(await call(other), 200);
    blocker.gate.open("done");
    await Promise.all(calls);
    await close();
  });

  test("[CLU-16] a rate limiter with the store lets one burst through, whoever is asked", async () => {
    const { add, close, store } = cluster(connection);
    const nodes = [1, 2, 3].map(() =>
      add({
        principalRateLimit: tokenBucket({
          store: store(),
          perSecond: 0.01,
          burst: 4,
          key: (_request, _context, principal) => principal?.id,
        }),
      })
    );
    const statuses = await Promise.all(nodes.flatMap((node) => [1, 2, 3].map(() => call(node))));
    assert.deepEqual(statuses.toSorted(), [200, 200, 200, 200, 429, 429, 429, 429, 429]);
    assert.equal(await call(nodes[0] ?? assert.fail(), "hello", "bob"), 200);
    await close();
  });
}

if (noRedis !== false) {
  test("handlers count together in Redis", { skip: noRedis }, () => {});
} else {
  for (const { name, connect } of CLIENTS) {
    const server = await useServer();
    const connection = await connect(server.url);
    describe(name, () => {
      shares(connection);
      after(async () => {
        await connection.close();
        await server.stop();
      });
    });
  }
}

test(
  "[CLU-15, CLU-8] while Redis is silent 2026 calls have their allowance, a small share gets 503",
  {
    skip: noBinary,
  },
  async () => {
    const server = await OwnServer.start();
    const [{ connect } = assert.fail()] = CLIENTS;
    const connection = await connect(server.url);
    const { add, close } = cluster(connection);
    const [a, small] = [add(), add({ limits: { requestsPerPrincipal: 2 } })];
    try {
      assert.deepEqual([await call(a), await call(small)], [200, 200]);
      server.pause();
      for (let i = 0; i < 10; i++) assert.equal(await call(a), 200);
      assert.equal(await call(small), 503);
      server.resume();
      // It comes back by itself.
      let status = 0;
      for (let i = 0; i < 100 && status !== 200; i++) status = await call(small);
      assert.equal(status, 200);
      await close();
    } finally {
      await connection.close();
      await server.close();
    }
  },
);
