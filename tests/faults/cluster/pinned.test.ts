/**
 * Sessions whose live state one of three processes has: whatever arrives elsewhere is handed on, over
 * Redis or over HTTP.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { noRedis, type Server, useServer } from "../../support/redis.ts";
import { as, logData, refused, seen, soon, textOf } from "../../support/wire.ts";
import { aliceAt, Cluster, toUrl, until } from "./cluster.ts";
import { Front } from "./front.ts";

const WITHIN_MS = 2_000;

describe("three nodes with live state", { skip: noRedis }, () => {
  let redis: Server;
  let cluster: Cluster;

  before(async () => {
    redis = await useServer();
    cluster = await Cluster.start(redis.url);
  });

  after(async () => {
    await cluster?.stop();
    await redis?.stop();
  });

  for (const way of ["pinned"] as const) {
    test(`[CLU-5] behind a proxy every session keeps its count (${way})`, async () => {
      const front = await Front.before(cluster.nodes.map((node) => node.target(way)));
      try {
        const [five, three] = await Promise.all([5, 3].map(async (times) => {
          const [first] = await aliceAt(cluster.nodes, way);
          const peer = first?.with({ fetch: toUrl(front.url) }) ?? assert.fail();
          const counts = await Promise.all(Array.from({ length: times }, async (_, n) => {
            const call = `bump ${peer.sessionId} ${n}`;
            const result = await peer.result(await peer.call(n, "bump", { call }));
            assert.equal(cluster.count("ran", call), 1);
            return Number(textOf(result));
          }));
          const names = new Set<unknown>();
          for (let n = 0; n < 3; n++) {
            names.add(textOf(await peer.result(await peer.call(n, "whoami"))));
          }
          assert.equal(names.size, 1);
          return counts.toSorted();
        }));
        assert.deepEqual([five, three], [[1, 2, 3, 4, 5], [1, 2, 3]]);
        assert.equal(front.passed.size, 3);
      } finally {
        await front.close();
      }
    });

    test(`[CLU-5] a stream passes both ways, and is resumed by another (${way})`, async () => {
      const [, there, third] = await aliceAt(cluster.nodes, way);
      assert.ok(there && third);
      const asking = there.frames(await there.call(1, "ask", { call: "ask" }));
      const question = await asking.message();
      assert.equal(question?.method, "roots/list");
      await third.reply(question?.id, { roots: [] });
      assert.equal(textOf((await asking.messages()).at(-1)?.result), '{"roots":[]}');

      const call = `count ${there.sessionId}`;
      const stream = there.frames(await there.call(2, "count", { call, to: 20, ms: 20 }));
      let last: string | undefined;
      for (let n = 1; n <= 5; n++) {
        const frame = await stream.messageFrame();
        assert.equal(logData(frame?.message), n);
        last = frame?.id;
      }
      await stream.cancel();
      const rest = await (await third.listen(last)).messages();
      assert.deepEqual(rest.slice(0, -1).map(logData), Array.from({ length: 15 }, (_, n) => n + 6));
      assert.equal(textOf(rest.at(-1)?.result), "counted to 20");
      assert.equal(cluster.count("ran", call), 1);
    });

    test(`[CLU-5] a long answer comes whole (${way})`, async () => {
      const [, there] = await aliceAt(cluster.nodes, way);
      const result = await there?.result(await there.call(1, "long", { length: 1_000_000 }));
      assert.equal(textOf(result), "é".repeat(1_000_000));
    });

    test(`[CLU-5] what waits doesn't hold up others (${way})`, async () => {
      const [, there] = await aliceAt(cluster.nodes, way);
      assert.ok(there);
      const began = Date.now();
      await Promise.all(Array.from({ length: 20 }, async (_, n) => {
        await there.result(await there.call(n, "slow", { call: "wait", ms: 300 }));
      }));
      assert.ok(Date.now() - began < 3_000);
    });

    test(`[CLU-2, CLU-5] a call is cancelled, and a session ended, from anywhere (${way})`, async () => {
      const [here, there, third] = await aliceAt(cluster.nodes, way);
      assert.ok(here && there && third);
      const call = `slow ${here.sessionId}`;
      const one = there.call(1, "slow", { call, ms: 20_000 });
      await until(() => cluster.count("ran", call) === 1, "the call");
      await third.cancel(1);
      await until(() => cluster.count("stopped", call) === 1, "its end", WITHIN_MS);
      await (await one).body?.cancel();
      const two = there.call(2, "slow", { call, ms: 20_000 });
      const stream = await third.listen();
      await until(() => cluster.count("ran", call) === 2, "the call");
      assert.equal((await there.delete()).status, 204);
      await until(() => cluster.count("stopped", call) === 2, "its end", WITHIN_MS);
      assert.deepEqual(await soon(stream.messages(), "the stream's end", WITHIN_MS), []);
      await (await two).body?.cancel();
      for (const peer of [here, there, third]) {
        await refused(await peer.call(3, "whoami"), 404, -32001);
      }
    });

    test(`[CLU-5, OWN-3] what is somebody else's looks unknown from every node (${way})`, async () => {
      const call = `foreign ${way}`;
      for (const peer of await aliceAt(cluster.nodes, way)) {
        const thief = peer.with({ headers: as("mallory") });
        const unknown = thief.with({});
        unknown.sessionId = "x".repeat(32);
        const foreign = await seen(await thief.call(1, "bump", { call }));
        const none = await seen(await unknown.call(1, "bump", { call }));
        assert.deepEqual([foreign.status, foreign.body], [404, none.body]);
      }
      assert.equal(cluster.count("ran", call), 0);
    });
  }
});
