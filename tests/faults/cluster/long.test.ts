/**
 * What takes as long as the cluster's own times: only where tests may take long.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { noBinary, OwnServer } from "../../support/redis.ts";
import { textOf } from "../../support/wire.ts";
import { back, BACK_MS, hears, numbers, works } from "./checks.ts";
import { aliceAt, Cluster, until } from "./cluster.ts";
import { Follower } from "./follower.ts";

const LONG = process.env["MOORING_LONG"] === "1";
/** Longer than a lease or a node's word lasts, in milliseconds. */
const LAPSED_MS = 35_000;

describe("for long", { skip: noBinary || !LONG }, () => {
  test("[CLU-5, CLU-8] Redis is away for longer than a node counts as alive: no session is lost", async () => {
    const folder = await mkdtemp(join(tmpdir(), "mooring-redis-"));
    const kept = ["--dir", folder, "--appendonly", "yes", "--appendfsync", "always"];
    const redis = await OwnServer.start(...kept);
    let cluster: Cluster | undefined;
    let follower: Follower | undefined;
    try {
      cluster = await Cluster.start(redis.url);
      const peers = await aliceAt(cluster.nodes, "shared");
      follower = new Follower(peers);
      const live = await Promise.all((["pinned"] as const).map(async (way) => {
        const [here, ...there] = await aliceAt(cluster?.nodes ?? [], way);
        assert.equal(textOf(await here?.result(await here.call(1, "bump"))), "1");
        return { here: here ?? assert.fail(), there };
      }));
      await redis.stop();
      await pause(LAPSED_MS);
      await redis.begin();
      for (const { here, there } of live) {
        await back(there);
        const counts = [];
        for (const peer of [...there, here]) {
          counts.push(Number(textOf(await peer.result(await peer.call(2, "bump")))));
        }
        assert.deepEqual(counts, [2, 3, 4]);
      }
      await back(peers);
      const [first = assert.fail()] = peers;
      await first.result(await first.call(3, "emit", { from: 1, to: 5 }));
      await hears(follower, numbers(1, 5));
      await works(cluster, peers);
    } finally {
      follower?.stop();
      await cluster?.stop();
      await redis.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });

  test("[CLU-4] a node that can't renew its lease ends the stream, and the next one is whole", async () => {
    const redis = await OwnServer.start();
    let cluster: Cluster | undefined;
    let follower: Follower | undefined;
    try {
      cluster = await Cluster.start(redis.url);
      const [here, there, third] = await aliceAt(cluster.nodes, "shared");
      assert.ok(here && there && third);
      await works(cluster, [here, there]);
      const stream = await here.listen();
      await stream.next();
      const [lonely = assert.fail()] = cluster.nodes;
      lonely.line.cut();
      await pause(LAPSED_MS - 10_000);
      const ended = () => stream.next().then((frame) => frame === undefined, () => false);
      await until(ended, "the end", BACK_MS);
      await there.result(await there.call(1, "emit", { from: 1, to: 5 }));
      follower = new Follower([third]);
      await hears(follower, numbers(1, 5));
      lonely.line.mend();
      await back([here]);
    } finally {
      follower?.stop();
      await cluster?.stop();
      await redis.stop();
    }
  });
});
