/**
 * Redis away, slow and emptied: requests are refused in time, nothing is kept elsewhere, and when it is
 * back everything goes on without a restart.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { noBinary, OwnServer } from "../../support/redis.ts";
import { logData, refused, soon, textOf } from "../../support/wire.ts";
import { away, back, BACK_MS, hears, numbers, works } from "./checks.ts";
import { Follower } from "./follower.ts";
import { aliceAt, callPatiently, Cluster, type ClusterNode, until } from "./cluster.ts";

const JSON_ONLY = "application/json";

describe("Redis", { skip: noBinary }, () => {
  let folder: string;
  let redis: OwnServer;
  let cluster: Cluster;
  let nodes: readonly ClusterNode[];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "mooring-redis-"));
    redis = await OwnServer.start(
      ...["--dir", folder, "--appendonly", "yes", "--appendfsync", "always"],
    );
    cluster = await Cluster.start(redis.url);
  });

  beforeEach(() => {
    nodes = cluster.nodes;
  });

  after(async () => {
    await cluster?.stop();
    await redis?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test("[CLU-8] paused: 503 within 2 s on every verb and node, nothing runs, and then all goes on", async () => {
    const peers = await aliceAt(nodes, "shared");
    const pinned = await aliceAt(nodes, "pinned");
    const [here, there, third] = peers;
    assert.ok(here && there && third);
    const follower = new Follower(peers);
    await until(() => follower.listening, "the stream");
    redis.pause();
    try {
      await Promise.all([
        ...peers.map((peer) => away(() => peer.call(1, "add", { call: "paused", a: 1, b: 1 }))),
        ...pinned.map((peer) => away(() => peer.call(1, "bump", { call: "paused" }))),
        ...peers.map((peer) => {
          const stranger = peer.with({});
          stranger.sessionId = undefined;
          return away(() => stranger.post(stranger.initializeRequest()));
        }),
        away(() => there.get()),
        away(() => there.delete()),
      ]);
    } finally {
      redis.resume();
    }
    await back(peers);
    await back(pinned);
    assert.equal(cluster.count("ran", "paused"), 0);
    await there.result(await there.call(2, "emit", { from: 1, to: 10 }));
    await hears(follower, numbers(1, 10));
    for (const [n, peer] of pinned.entries()) {
      assert.equal(textOf(await peer.result(await peer.call(3, "bump"))), String(n + 1));
    }
    await here.delete();
    await until(() => follower.gone, "the end");
  });

  test("[CLU-8] paused while a call speaks: its client hears everything in order, and the answer", async () => {
    const [here] = await aliceAt(nodes, "shared");
    assert.ok(here);
    const stream = here.frames(
      await here.call(1, "count", { call: "speaks", to: 40, everyMs: 50 }),
    );
    const heard = [logData(await stream.message())];
    redis.pause();
    await pause(1_000);
    redis.resume();
    const rest = await stream.messages();
    assert.equal(textOf(rest.pop()?.result), "counted to 40");
    assert.deepEqual([...heard, ...rest.map(logData)], numbers(1, 40));
    assert.equal(cluster.count("ran", "speaks"), 1);
  });

  test("[CLU-8] restarted with everything in it: sessions and streams are there", async () => {
    const peers = await aliceAt(nodes, "shared");
    const [here, there, third] = peers;
    assert.ok(here && there && third);
    const follower = new Follower(peers);
    await there.result(await there.call(1, "emit", { from: 1, to: 5 }));
    await until(() => follower.heard.length === 5, "what was told");
    await there.result(await there.call(2, "remember", { value: "kept" }));
    await redis.stop();
    await away(() => there.call(3, "whoami"));
    await redis.begin();
    await back(peers);
    assert.equal(textOf(await third.result(await third.call(4, "recall"))), "kept");
    await there.result(await there.call(5, "emit", { from: 6, to: 8 }));
    await hears(follower, numbers(1, 8));
    await works(cluster, peers);
    await here.delete();
    await until(() => follower.gone, "the end");
  });

  test("[CLU-8] restarted empty: sessions are unknown, and new ones work on all nodes", async () => {
    const old = await aliceAt(nodes, "shared");
    const oldPinned = await aliceAt(nodes, "pinned");
    const follower = new Follower(old);
    await until(() => follower.listening, "the stream");
    await redis.stop();
    await rm(join(folder, "appendonlydir"), { recursive: true, force: true });
    await redis.begin();
    for (const peer of [...old, ...oldPinned]) {
      await until(
        async () => {
          const { status, body } = await peer.call(1, "whoami");
          await body?.cancel();
          return status !== 503;
        },
        "Redis to be back",
        BACK_MS,
      );
      await refused(await peer.call(2, "whoami"), 404, -32001);
    }
    const [here, there, third] = await aliceAt(nodes, "shared");
    assert.ok(here && there && third);
    await works(cluster, [here, there]);
    const anew = new Follower([third]);
    await there.result(await there.call(1, "emit", { from: 1, to: 5 }));
    await hears(anew, numbers(1, 5));
    anew.stop();
    assert.deepEqual(follower.heard, []);
    follower.stop();
    for (const way of ["pinned"] as const) {
      for (const [n, peer] of (await aliceAt(nodes, way)).entries()) {
        assert.equal(textOf(await peer.result(await peer.call(3, "bump"))), String(n + 1));
      }
    }
  });

  test("[CLU-8] slow: everything takes longer, and stays in order", async () => {
    for (const { line } of nodes) line.delayMs = 25;
    try {
      const [here, there, third] = await aliceAt(nodes, "shared");
      assert.ok(here && there && third);
      const stream = await third.listen();
      const [counted] = await Promise.all([
        here.call(1, "count", { call: "slowly", to: 50 }),
        there.result(await there.call(2, "emit", { from: 1, to: 10 })),
      ]);
      const said = await here.frames(counted).messages();
      assert.equal(textOf(said.pop()?.result), "counted to 50");
      assert.deepEqual(said.map(logData), numbers(1, 50));
      for (const n of numbers(1, 10)) assert.equal(logData(await stream.message()), n);
      const [, far] = await aliceAt(nodes, "pinned");
      assert.ok(far);
      const rest = await far.frames(await far.call(3, "count", { call: "far", to: 50 })).messages();
      assert.equal(textOf(rest.pop()?.result), "counted to 50");
      assert.deepEqual(rest.map(logData), numbers(1, 50));
    } finally {
      for (const { line } of nodes) line.delayMs = 0;
    }
  });

  for (const how of ["cut", "stall"] as const) {
    test(`[CLU-8, CLU-5] one node without Redis (${how}): it refuses, the others go on, it comes back`, async () => {
      const [lonely, ...others] = nodes;
      assert.ok(lonely);
      const peers = await aliceAt(nodes, "shared");
      const [here, there, third] = peers;
      assert.ok(here && there && third);
      const stream = await here.listen();
      await stream.next();
      const held = await aliceAt(nodes, "pinned");
      const unsure: string[] = [];
      const refusals: string[] = [];
      lonely.line[how]();
      try {
        const call = `lonely ${how}`;
        await away(() => here.call(1, "add", { call, a: 1, b: 1 }));
        // The sessions that it holds: where nobody knows, what was asked for may happen later.
        await Promise.all(held.map(async (peer, n) => {
          const { status, body } = await callPatiently(
            peer,
            "bump",
            { call: `${call} ${n}` },
            JSON_ONLY,
          );
          await body?.cancel();
          assert.ok(status === 503 || status === 504, `${status}`);
          if (status === 504) unsure.push(`${call} ${n}`);
          else refusals.push(`${call} ${n}`);
        }));
        assert.equal(cluster.count("ran", call), 0);
        const next = await third.listen();
        await there.result(await there.call(3, "emit", { from: 1, to: 5 }));
        for (const n of numbers(1, 5)) assert.equal(logData(await next.message()), n);
        await works(cluster, await aliceAt(others, "shared"));
        await next.cancel();
      } finally {
        lonely.line.mend();
      }
      await back([...peers, ...held]);
      // The old stream has lost its lease: what comes now comes on the new one alone.
      const last = await there.listen();
      await third.result(await third.call(4, "emit", { from: 6, to: 9 }));
      for (const n of numbers(6, 9)) assert.equal(logData(await last.message()), n);
      assert.deepEqual(await soon(stream.messages(), "the old stream's end", BACK_MS), []);
      await works(cluster, peers);
      for (const call of refusals) assert.equal(cluster.count("ran", call), 0, call);
      for (const call of unsure) assert.ok(cluster.count("ran", call) <= 1, call);
      const late = unsure.filter((call) => cluster.count("ran", call) > 0).length;
      const counts = [];
      for (const peer of held) {
        counts.push(Number(textOf(await peer.result(await peer.call(5, "bump")))));
      }
      assert.deepEqual(counts, [1, 2, 3].map((n) => n + late));
    });
  }
});
