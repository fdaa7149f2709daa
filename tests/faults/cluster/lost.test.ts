/**
 * Calls whose node dies, stands still or is cut off: whoever comes back for the answer elsewhere gets one, in
 * time, and it stays the only one.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { isObject, type JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { noRedis, type Server, useServer } from "../../support/redis.ts";
import { logData, type Peer, soon, textOf } from "../../support/wire.ts";
import { Caller, type Outcome } from "./caller.ts";
import { numbers } from "./checks.ts";
import { aliceAt, callPatiently, Cluster, type ClusterNode, until } from "./cluster.ts";

/** The time within which every call has its answer, and what a busy machine may add, in milliseconds. */
const ANSWERED_MS = 10_000 + 3_000;
/** Longer than a call may go unanswered, in milliseconds. */
const LONG_MS = 60_000;

/** A call whose node is about to be lost. */
interface Calling {
  readonly caller: Caller;
  /** The client at the nodes that remain. */
  readonly there: readonly Peer[];
  readonly outcome: Promise<Outcome>;
}

/** Starts a call at one node whose client comes back to the others. */
async function begin(
  nodes: readonly ClusterNode[],
  id: number,
  tool: string,
  args: JsonObject,
  endpoint: "shared" | "pinned" = "shared",
): Promise<Calling> {
  const peers = await aliceAt(nodes, endpoint);
  const caller = new Caller(peers);
  const outcome = caller.call(id, tool, args);
  await until(() => caller.heard.length > 0, `the beginning of ${tool}`);
  return { caller, there: peers.slice(1), outcome };
}

/** Checks that a call ends with the error, and that this is all that ever comes. */
async function failed({ there, outcome }: Calling, id: number): Promise<Outcome> {
  const ended = await soon(outcome, "the error", ANSWERED_MS);
  assert.deepEqual(ended.responses.map((response) => response.id), [id]);
  const error = ended.responses[0]?.error;
  assert.ok(isObject(error));
  assert.match(String(error.message), /stopped responding: the tool may have run/);
  assert.deepEqual(error.data, { reason: "node-lost", mayHaveRun: true });
  await onlyAnswer(there, ended);
  return ended;
}

/** Checks that a stream that is read again from its first event has the same answer, and no other. */
async function onlyAnswer(peers: readonly Peer[], { firstId, responses }: Outcome): Promise<void> {
  for (const peer of peers) {
    const again = await soon(new Caller([peer]).replay(firstId ?? ""), "the stream's end");
    assert.deepEqual(again.responses, responses);
  }
}

describe("lost nodes", { skip: noRedis }, () => {
  let redis: Server;
  let cluster: Cluster;
  let victim: ClusterNode;
  let sleeper: ClusterNode;
  let lonely: ClusterNode;
  let silent: Calling;
  let asking: Calling;
  let batch: Calling;
  let retried: Calling;
  let pinned: Calling;
  let asleep: Calling;
  let cut: Calling;
  let waiting: Promise<Response>;
  let lostAt: number;

  before(async () => {
    redis = await useServer();
    cluster = await Cluster.start(redis.url, 5);
    let others: readonly ClusterNode[];
    [victim = assert.fail(), sleeper = assert.fail(), lonely = assert.fail(), ...others] =
      cluster.nodes;
    const at = (node: ClusterNode) => [node, ...others];
    const count = (call: string, to = 5) => ({ call, to, thenMs: LONG_MS });
    silent = await begin(at(victim), 1, "count", count("silent"));
    asking = await begin(at(victim), 2, "ask", { call: "asking" });
    retried = await begin(at(victim), 3, "again", { call: "retried", to: 3, thenMs: 3_000 });
    pinned = await begin(at(victim), 4, "count", { call: "pinned", to: 1, ms: LONG_MS }, "pinned");
    asleep = await begin(at(sleeper), 5, "count", { ...count("asleep"), thenMs: 9_000 });
    cut = await begin(at(lonely), 6, "count", { ...count("cut"), thenMs: 9_000 });
    const peers = await aliceAt(at(victim), "shared", { version: "2025-03-26" });
    const caller = new Caller(peers);
    const call = (id: number, name: string, args: JsonObject) => ({
      id,
      method: "tools/call",
      params: { name, arguments: args },
    });
    batch = {
      caller,
      there: peers.slice(1),
      outcome: caller.send(call(7, "count", count("batch", 1)), call(8, "add", { a: 1, b: 2 })),
    };
    await until(() => caller.heard.length > 0, "the beginning of the batch");
    const [, via = assert.fail()] = pinned.there;
    waiting = callPatiently(via, "slow", { call: "waiting", ms: LONG_MS }, "application/json");
    await until(() => cluster.count("ran", "waiting") === 1, "the forwarded call");
    lostAt = Date.now();
    sleeper.pause();
    lonely.line.cut();
    await victim.kill();
    // Their own connections stay, and would say nothing: their clients come back elsewhere.
    for (const { caller } of [asleep, cut]) caller.leave();
  });

  after(async () => {
    sleeper?.resume();
    await cluster?.stop();
    await redis?.stop();
  });

  test("[CLU-10] kill -9: whoever resumes gets everything that was said, and one error", async () => {
    const { heard, endedAt } = await failed(silent, 1);
    assert.deepEqual(heard.map(logData), numbers(1, 5));
    assert.equal(cluster.count("ran", "silent"), 1);
    assert.ok(endedAt - lostAt < ANSWERED_MS);
  });

  test("[CLU-10] kill -9 in mid-question: the question is withdrawn, and the call has its error", async () => {
    const { heard } = await failed(asking, 2);
    const [question, withdrawn] = heard;
    assert.equal(question?.method, "elicitation/create");
    assert.equal(withdrawn?.method, "notifications/cancelled");
    assert.ok(isObject(withdrawn.params));
    assert.equal(withdrawn.params.requestId, question.id);
    // A reply that comes even so does no harm.
    await asking.there[0]?.reply(question.id, { action: "cancel" });
    assert.equal(cluster.count("ran", "asking"), 1);
  });

  test("[CLU-10] kill -9 in a batch: what was answered stays, the rest gets the error", async () => {
    const ended = await soon(batch.outcome, "the error", ANSWERED_MS);
    const answers = new Map(ended.responses.map((response) => [response.id, response]));
    assert.deepEqual([...answers.keys()].toSorted(), [7, 8]);
    assert.equal(ended.responses.length, 2);
    assert.equal(textOf(answers.get(8)?.result), "3");
    assert.ok(isObject(answers.get(7)?.error));
    await onlyAnswer(batch.there, ended);
  });

  test("[CLU-10] kill -9: a tool that may runs once more elsewhere, and its client sees one answer", async () => {
    const ended = await soon(retried.outcome, "the answer", ANSWERED_MS);
    assert.equal(ended.responses.length, 1);
    const [, node] = /^counted to 3 at (.*)$/.exec(String(textOf(ended.responses[0]?.result))) ??
      [];
    assert.ok(node !== undefined && node !== victim.name);
    assert.equal(cluster.count("ran", "retried"), 2);
    await onlyAnswer(retried.there, ended);
  });

  test("[CLU-10] kill -9 of the node of a pinned session: its streams end, and its calls", async () => {
    const { heard } = await failed(pinned, 4);
    assert.deepEqual(heard.map(logData), [1]);
    const response = await soon(waiting, "the forwarded call's answer", ANSWERED_MS);
    assert.equal(response.status, 504, await response.text());
    assert.ok(Date.now() - lostAt < ANSWERED_MS);
    assert.equal(cluster.count("ran", "waiting"), 1);
  });

  for (const how of ["paused", "cut off"] as const) {
    test(`[CLU-10] a node that is ${how} is fenced: its late answer reaches nobody`, async () => {
      const [calling, id, call] = how === "paused"
        ? [asleep, 5, "asleep"] as const
        : [cut, 6, "cut"] as const;
      const ended = await failed(calling, id);
      if (how === "paused") sleeper.resume();
      else lonely.line.mend();
      const left = lostAt + 12_000 - Date.now();
      if (left > 0) await pause(left);
      await onlyAnswer(calling.there, ended);
      assert.equal(cluster.count("ran", call), 1);
      // The node is one of the cluster again.
      const [peer] = await aliceAt([how === "paused" ? sleeper : lonely], "shared");
      assert.equal(textOf(await peer?.result(await peer.call(1, "add", { a: 2, b: 3 }))), "5");
    });
  }
});
