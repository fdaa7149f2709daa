/**
 * Nodes that die, in the middle of anything: what was kept is there, nothing runs twice, nobody gets a
 * wrong answer, and those that are left go on.
 */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { noRedis, type Server, useServer } from "../../support/redis.ts";
import { accepted, BOTH, logData, type Peer, refused, soon, textOf } from "../../support/wire.ts";
import { numbers } from "./checks.ts";
import { aliceAt, callPatiently, Cluster, type ClusterNode, until } from "./cluster.ts";

/** Longer than a node counts as alive that says nothing, in milliseconds. */
const FORGOTTEN_MS = 45_000;

describe("kill -9", { skip: noRedis }, () => {
  let redis: Server;
  let cluster: Cluster;
  let mourning: readonly Mourning[];
  /** The node that dies, and two that go on. */
  let nodes: readonly ClusterNode[];
  let victim: ClusterNode;

  before(async () => {
    redis = await useServer();
    cluster = await Cluster.start(redis.url);
    mourning = await bereave(cluster);
  });

  beforeEach(async () => {
    victim = await cluster.add();
    nodes = [victim, ...cluster.nodes.filter((node) => node !== victim)];
  });

  after(async () => {
    await cluster?.stop();
    await redis?.stop();
  });

  test("[CLU-3] in mid-stream: the next node has everything that was said, once and in order", async () => {
    const [here, there, third] = await aliceAt(nodes, "shared");
    assert.ok(here && there && third);
    const args = { call: "count", to: 50, everyMs: 2, thenMs: 60_000 };
    const stream = here.frames(await here.call(1, "count", args));
    const first = await stream.messageFrame();
    assert.equal(logData(first?.message), 1);
    await until(() => cluster.count("said", "count 50") === 1, "everything to be said");
    await pause(300);
    await victim.kill();
    const resumed = await there.listen(first?.id);
    for (const n of numbers(2, 50)) assert.equal(logData(await resumed.message()), n);
    // Nothing more comes: the tool died. Once again from the middle, elsewhere.
    const again = await third.listen(first?.id);
    for (const n of numbers(2, 50)) assert.equal(logData(await again.message()), n);
    assert.deepEqual(await resumed.messages(), []);
    assert.equal(textOf(await third.result(await third.call(2, "add", { a: 1, b: 2 }))), "3");
    assert.equal(cluster.count("ran", "count"), 1);
  });

  test("[CLU-3] of the node that streams, not the one that works: the answer arrives", async () => {
    const [here, there, third] = await aliceAt(nodes, "shared");
    assert.ok(here && there && third);
    const args = { call: "work", to: 60, everyMs: 30 };
    const stream = there.frames(await there.call(1, "count", args));
    const first = await stream.messageFrame();
    await stream.cancel();
    const resumed = await here.listen(first?.id);
    const heard: unknown[] = [logData(first?.message)];
    let last = first?.id;
    while (heard.length < 20) {
      const frame = await resumed.messageFrame();
      heard.push(logData(frame?.message));
      last = frame?.id;
    }
    await victim.kill();
    const rest = await (await third.listen(last)).messages();
    const result = rest.pop();
    assert.deepEqual([...heard, ...rest.map(logData)], numbers(1, 60));
    assert.equal(textOf(result?.result), "counted to 60");
    assert.equal(cluster.count("ran", "work"), 1);
  });

  test("[CLU-2, CLU-4] of the node with the session's own stream: nothing that was acknowledged is lost", async () => {
    const [here, there, third] = await aliceAt(nodes, "shared");
    assert.ok(here && there && third);
    const stream = await here.listen();
    await there.result(await there.call(1, "emit", { from: 1, to: 10 }));
    let last: string | undefined;
    for (const n of numbers(1, 10)) {
      const frame = await stream.messageFrame();
      assert.equal(logData(frame?.message), n);
      last = frame?.id;
    }
    const emitting = there.call(2, "emit", { from: 11, to: 60 });
    await victim.kill();
    await third.result(await third.call(3, "emit", { from: 61, to: 61 }));
    await there.result(await emitting);
    const next = await third.listen(last);
    const heard: unknown[] = [];
    while (heard.length < 51) heard.push(logData(await next.message()));
    assert.deepEqual(heard.toSorted((x, y) => Number(x) - Number(y)), numbers(11, 61));
    assert.deepEqual(heard.filter((n) => Number(n) < 61), numbers(11, 60));
    await there.delete();
    assert.deepEqual(await next.messages(), []);
  });

  test("[CLU-2, CLU-3] in mid-question: the reply does no harm, and the session goes on", async () => {
    const [here, there, third] = await aliceAt(nodes, "shared");
    assert.ok(here && there && third);
    const stream = here.frames(await here.call(1, "ask", { call: "ask" }));
    const frame = await stream.next();
    const question = frame?.message ?? await stream.message();
    assert.equal(question?.method, "elicitation/create");
    await victim.kill();
    await there.reply(question?.id, { action: "accept", content: { username: "ada" } });
    // The question is there for whoever comes back, and nobody else asks it.
    const resumed = await there.listen(frame?.id);
    assert.deepEqual((await resumed.message())?.id, question?.id);
    await accepted(await third.post({ jsonrpc: "2.0", id: question?.id, result: {} }));
    assert.equal(cluster.count("ran", "ask"), 1);
    const asking = third.frames(await third.call(2, "ask", { call: "again" }));
    const second = await asking.message();
    await there.reply(second?.id, { action: "accept", content: { username: "eve" } });
    assert.equal(textOf((await asking.messages()).at(-1)?.result), "accept eve");
  });

  for (const way of ["pinned"] as const) {
    test(`[CLU-5] of the node that has handed a call on: it runs once, and its answer is kept (${way})`, async () => {
      const [, other, holder] = nodes;
      assert.ok(other && holder);
      const [, via, back] = await aliceAt([holder, victim, other], way);
      assert.ok(via && back);
      const args = { call: `handed ${way}`, to: 40, ms: 25 };
      const stream = via.frames(await via.call(1, "count", args));
      const first = await stream.messageFrame();
      assert.equal(logData(first?.message), 1);
      await victim.kill();
      const rest = await (await back.listen(first?.id)).messages();
      assert.deepEqual(rest.slice(0, -1).map(logData), numbers(2, 40));
      assert.equal(textOf(rest.at(-1)?.result), "counted to 40");
      assert.equal(cluster.count("ran", `handed ${way}`), 1);
    });
  }

  test("[CLU-5, CLU-7] of the node that holds sessions: 503 or 504 at first, 404 soon, then anew", async () => {
    await Promise.all(mourning.map(async ({ way, call, there, third, waiting, streaming }) => {
      const statuses = new Set<number>();
      await until(
        async () => {
          const { status } = await there.call(3, "bump", { call: `${call} bump` });
          statuses.add(status);
          await pause(500);
          return status === 404;
        },
        "the session to be gone",
        FORGOTTEN_MS,
      );
      assert.deepEqual([...statuses].filter((status) => ![503, 504, 404].includes(status)), []);
      await refused(await third.call(4, "whoami"), 404, -32001);
      const { status, body } = await soon(waiting, "the answer", FORGOTTEN_MS);
      assert.equal(status, 504, body);
      assert.doesNotMatch(await soon(streaming, "the end of the stream", FORGOTTEN_MS), /data: {/);
      assert.equal(cluster.count("ran", `${call} bump`), 0);
      assert.equal(cluster.count("ran", call), 1);
      const [anew, far] = await aliceAt(cluster.nodes, way);
      assert.equal(textOf(await far?.result(await far.call(5, "bump"))), "1");
      assert.equal(textOf(await anew?.result(await anew.call(6, "bump"))), "2");
    }));
  });
});

/** What a client is told. */
interface Mourned {
  readonly status: number;
  readonly body: string;
}

/** A session whose node is dead, and what its client waits for at other nodes. */
interface Mourning {
  readonly way: "pinned";
  readonly call: string;
  readonly there: Peer;
  readonly third: Peer;
  readonly waiting: Promise<Mourned>;
  /** The rest of a stream. */
  readonly streaming: Promise<string>;
}

/** Kills a node that holds sessions, in the middle of calls that others have handed on to it. */
async function bereave(cluster: Cluster): Promise<readonly Mourning[]> {
  const [b, c, holder] = cluster.nodes;
  assert.ok(b && c && holder);
  const sessions = await Promise.all((["pinned"] as const).map(async (way) => {
    const [, there, third] = await aliceAt([holder, b, c], way);
    assert.ok(there && third);
    const call = `slow ${way}`;
    const waiting = callPatiently(there, "slow", { call, ms: 120_000 }, "application/json").then(
      whole,
    );
    const stream = await callPatiently(third, "count", {
      call: `${call} count`,
      to: 1,
      ms: 120_000,
    }, BOTH);
    const streaming = await begun(stream, '"data":1');
    await until(() => cluster.count("ran", call) === 1, "the call");
    return { way, call, there, third, waiting, streaming };
  }));
  await holder.kill();
  return sessions.map(({ streaming: { rest }, ...session }) => ({ ...session, streaming: rest }));
}

async function whole(response: Response): Promise<Mourned> {
  return { status: response.status, body: await response.text() };
}

/** Reads a response until something has come. What follows is read on, without end. */
async function begun(
  response: Response,
  what: string,
): Promise<{ readonly rest: Promise<string> }> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  assert.ok(reader);
  const readOn = async (until?: string): Promise<string> => {
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done || (until !== undefined && (text + value).includes(until))) return text;
      text += value;
    }
  };
  await soon(readOn(what), what);
  return { rest: readOn() };
}
