/**
 * Three nodes that live: any of them serves any session, and what arrives at one reaches the others.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { isObject } from "../../../src/protocol/jsonrpc.ts";
import { noRedis, type Server, useServer } from "../../support/redis.ts";
import { as, logData, refused, seen, soon, textOf } from "../../support/wire.ts";
import { aliceAt, Cluster, type ClusterNode, toUrl, until } from "./cluster.ts";
import { Front } from "./front.ts";

const WITHIN_MS = 2_000;

describe("three nodes", { skip: noRedis }, () => {
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

  test("[CLU-1] every node behind a proxy serves a session, with its state", async () => {
    const front = await Front.before(cluster.nodes.map((node) => node.target("shared")));
    try {
      const [first] = await aliceAt(cluster.nodes, "shared");
      const peer = first?.with({ fetch: toUrl(front.url) }) ?? assert.fail();
      const names = new Set<unknown>();
      for (let n = 0; n < 3; n++) {
        names.add(textOf(await peer.result(await peer.call(n, "whoami"))));
      }
      for (let n = 0; n < 6; n++) {
        await peer.result(await peer.call(`r${n}`, "remember", { value: `v${n}` }));
        assert.equal(textOf(await peer.result(await peer.call(`g${n}`, "recall"))), `v${n}`);
      }
      assert.deepEqual([...names].toSorted(), ["node 1", "node 2", "node 3"]);
      const many = Array.from({ length: 60 }, async (_, n) => {
        const call = `many ${peer.sessionId} ${n}`;
        const result = await peer.result(await peer.call(n, "add", { call, a: n, b: n }));
        assert.equal(textOf(result), String(2 * n));
        assert.equal(cluster.count("ran", call), 1);
      });
      await Promise.all(many);
    } finally {
      await front.close();
    }
  });

  test("[CLU-1, OWN-3] a session looks unknown to everybody else, on every node", async () => {
    const peers = await aliceAt(cluster.nodes, "shared");
    for (const peer of peers) {
      const thief = peer.with({ headers: as("mallory") });
      const unknown = thief.with({});
      unknown.sessionId = "x".repeat(32);
      for (
        const send of [
          (one: typeof thief) => one.call(1, "whoami"),
          (one: typeof thief) => one.get(),
          (one: typeof thief) => one.delete(),
        ]
      ) {
        const [foreign, none] = [await seen(await send(thief)), await seen(await send(unknown))];
        const said = ({ status, body }: typeof foreign) => ({ status, body });
        assert.deepEqual(said(foreign), said(none));
        assert.equal(foreign.status, 404);
      }
    }
    for (const peer of peers) await peer.result(await peer.call(2, "whoami"));
  });

  test("[CLU-2] a request is cancelled wherever that is said", async () => {
    const [here, there] = await aliceAt(cluster.nodes, "shared");
    assert.ok(here && there);
    const call = `cancel ${here.sessionId}`;
    const slow = here.call(1, "slow", { call, ms: 20_000 });
    await until(() => cluster.count("ran", call) === 1, "the call");
    await there.cancel(1);
    await until(() => cluster.count("stopped", call) === 1, "the cancellation", WITHIN_MS);
    const response = await slow;
    await response.body?.cancel();
  });

  test("[CLU-2] a question is answered wherever the reply arrives, once", async () => {
    const [here, there, third] = await aliceAt(cluster.nodes, "shared");
    assert.ok(here && there && third);
    const call = `ask ${here.sessionId}`;
    const stream = here.frames(await here.call(1, "ask", { call }));
    const question = await stream.message();
    assert.equal(question?.method, "elicitation/create");
    await Promise.all(
      [there, third].map((peer, n) =>
        peer.reply(question?.id, { action: "accept", content: { username: `ada ${n}` } })
      ),
    );
    const messages = await stream.messages();
    assert.equal(messages.length, 1);
    assert.match(String(textOf(messages[0]?.result)), /^accept ada [01]$/);
    assert.equal(cluster.count("ran", call), 1);
  });

  test("[CLU-2] DELETE ends a session everywhere, with what runs and is open", async () => {
    const [here, there, third] = await aliceAt(cluster.nodes, "shared");
    assert.ok(here && there && third);
    const call = `delete ${here.sessionId}`;
    const stream = await third.listen();
    await stream.next();
    const slow = here.call(1, "slow", { call, ms: 20_000 });
    await until(() => cluster.count("ran", call) === 1, "the call");
    assert.equal((await there.delete()).status, 204);
    await until(() => cluster.count("stopped", call) === 1, "the end of the call", WITHIN_MS);
    assert.deepEqual(await soon(stream.messages(), "the end of the stream", WITHIN_MS), []);
    await (await slow).body?.cancel();
    for (const peer of [here, there, third]) {
      await refused(await peer.call(2, "whoami"), 404, -32001);
    }
  });

  test("[CLU-2, CLU-4] what a session is told comes on its one stream, from whatever node", async () => {
    const peers = await aliceAt(cluster.nodes, "shared");
    const [here, there, third] = peers;
    assert.ok(here && there && third);
    const first = await here.listen();
    await first.next();
    await there.result(await there.call(1, "emit", { from: 1, to: 5 }));
    for (let n = 1; n <= 5; n++) assert.equal(logData(await first.message()), n);
    const second = await third.listen();
    await second.next();
    assert.deepEqual(await soon(first.messages(), "the first stream's end", WITHIN_MS), []);
    await there.result(await there.call(2, "emit", { from: 6, to: 10 }));
    for (let n = 6; n <= 10; n++) assert.equal(logData(await second.message()), n);
    await second.cancel();
    await here.result(await here.call(3, "emit", { from: 11, to: 13 }));
    const last = await there.listen();
    for (let n = 11; n <= 13; n++) assert.equal(logData(await last.message()), n);
    await here.delete();
    assert.deepEqual(await last.messages(), []);
  });

  test("[CLU-2, STR-13] changes are told once to each session, on whatever node it listens", async () => {
    const [one] = await aliceAt(cluster.nodes, "shared");
    const [two] = await aliceAt(cluster.nodes.slice(1), "shared");
    const [, , from] = await aliceAt(cluster.nodes, "shared");
    assert.ok(one && two && from);
    const streams = await Promise.all([one, two].map((peer) => peer.listen()));
    for (const stream of streams) await stream.next();
    await from.result(await from.call(1, "hide", { hidden: true }));
    for (const stream of streams) {
      const message = await soon(stream.message(), "the change", WITHIN_MS);
      assert.equal(message?.method, "notifications/tools/list_changed");
    }
    await two.result(await two.request(2, "resources/subscribe", { uri: "weather://today" }));
    await from.result(await from.call(3, "rain"));
    const told = await soon(streams[1]?.message() ?? assert.fail(), "the update", WITHIN_MS);
    assert.equal(told?.method, "notifications/resources/updated");
    await Promise.all([one, two].map((peer) => peer.delete()));
    for (const stream of streams) assert.deepEqual(await stream.messages(), []);
    await from.result(await from.call(4, "hide", { hidden: false }));
  });

  test("[CLU-9] a drain that one node is told of reaches all, and one that joins", async () => {
    const peers = await aliceAt(cluster.nodes, "shared");
    const [here] = peers;
    assert.ok(here);
    const draining = async (peer: typeof here) => {
      const text = String(textOf(await peer.result(await peer.call(9, "stats"))));
      const stats: unknown = JSON.parse(text);
      return isObject(stats) && stats.draining === 1;
    };
    await here.result(await here.call(1, "drain", { on: true }));
    const joined = await cluster.add();
    try {
      for (const peer of peers) await until(() => draining(peer), "the drain", WITHIN_MS);
      const refused = (node: ClusterNode) =>
        aliceAt([node], "shared").then(() => false, (error: Error) => /503/.test(error.message));
      for (const node of cluster.nodes) await until(() => refused(node), "a refusal", WITHIN_MS);
    } finally {
      await here.result(await here.call(2, "drain", { on: false }));
      for (const peer of peers) {
        await until(async () => !await draining(peer), "its end", WITHIN_MS);
      }
      await joined.drain();
    }
    await aliceAt(cluster.nodes, "shared");
  });
});
