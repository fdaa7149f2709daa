/**
 * What a session is told while its client is just becoming ready.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { noRedis, type Server, useServer } from "../../support/redis.ts";
import { logData } from "../../support/wire.ts";
import { numbers } from "./checks.ts";
import { aliceAt, Cluster } from "./cluster.ts";

describe("a session that begins", { skip: noRedis }, () => {
  let redis: Server;
  let cluster: Cluster;

  before(async () => {
    redis = await useServer();
    cluster = await Cluster.start(redis.url, 2);
  });

  after(async () => {
    await cluster?.stop();
    await redis?.stop();
  });

  test("[SES-9, CLU-8] what is told meanwhile comes in the order in which it was acknowledged", async () => {
    // The node that learns that the client is ready is slower than the one that tells it something.
    const [slow] = cluster.nodes;
    assert.ok(slow);
    slow.line.delayMs = 10;
    try {
      const [here, there] = await aliceAt(cluster.nodes, "shared", { ready: false });
      assert.ok(here && there);
      const stream = await there.listen();
      const [response] = await Promise.all([
        there.call(1, "emit", { from: 1, to: 40 }),
        here.notify("notifications/initialized"),
      ]);
      const heard: unknown[] = [];
      while (heard.length < 40) heard.push(logData(await stream.message()));
      assert.deepEqual(heard, numbers(1, 40));
      await there.result(response);
      await here.delete();
    } finally {
      slow.line.delayMs = 0;
    }
  });

  test("[CLU-8, SES-9] that the client is ready is acknowledged only when it is known", async () => {
    const [lonely] = cluster.nodes;
    const [here, there] = await aliceAt(cluster.nodes, "shared", { ready: false });
    assert.ok(lonely && here && there);
    lonely.line.delayMs = 300;
    const ready = { jsonrpc: "2.0", method: "notifications/initialized" };
    const response = here.post(ready);
    // The session has been found by then, and nothing is written yet.
    await pause(800);
    lonely.line.cut();
    assert.equal((await response).status, 503);
    lonely.line.delayMs = 0;
    lonely.line.mend();
    assert.equal((await there.post(ready)).status, 202);
    const stream = await there.listen();
    await there.result(await there.call(1, "emit", { from: 1, to: 3 }));
    for (const n of numbers(1, 3)) assert.equal(logData(await stream.message()), n);
    await there.delete();
    assert.deepEqual(await stream.messages(), []);
  });
});
