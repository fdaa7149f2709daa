/**
 * Calls that were answered with a handle, and whose node is killed then: one whose tool may run again does so
 * at another node, and its handle gives the result.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { NODE_LOST } from "../../../src/protocol/node_loss.ts";
import { ModernPeer } from "../../support/modern.ts";
import { noRedis, type Server, useServer } from "../../support/redis.ts";
import { as, soon, textOf } from "../../support/wire.ts";
import { Caller } from "./caller.ts";
import { aliceAt, Cluster, type ClusterNode, to, until } from "./cluster.ts";

/** Longer than a call may be without an end whose node is lost, on a machine that is busy. */
const LOST_MS = 30_000;
/** Longer than any tool may run before its test ends. */
const LONG_MS = 60_000;

/** Calls a tool at a node, and returns the text of the result or of the error. */
type Say = (name: string, args: JsonObject) => Promise<string>;

function clientOf(node: ClusterNode, who = "alice"): Say {
  const peer = new ModernPeer(to(node.target("long")), {
    headers: as(who),
    accept: "application/json",
  });
  return async (name, args) => {
    const { result, error } = (await peer.answer(await peer.call(name, args))).message;
    return textOf(result) as string | undefined ?? JSON.stringify(error);
  };
}

async function handleOf(answer: Promise<string>): Promise<string> {
  const [handle] = /call_[\w-]+/.exec(await answer) ?? assert.fail(await answer);
  return handle;
}

/** Waits until a call has a result or an error. */
async function endOf(say: Say, handle: string): Promise<string> {
  let text = "";
  await until(
    async () => !(text = await say("wait_for_result", { handle })).includes("still running"),
    "the end of the call",
    LOST_MS,
  );
  return text;
}

describe("calls with a handle", { skip: noRedis }, () => {
  let redis: Server;
  let cluster: Cluster;

  before(async () => {
    redis = await useServer();
    cluster = await Cluster.start(redis.url, 3, { long: true });
  });

  after(async () => {
    await cluster?.stop();
    await redis?.stop();
  });

  test("[LONG-24] kill -9 of the node that waits: its client has an answer, and then the result", async () => {
    const [victim, second, third] = cluster.nodes;
    assert.ok(victim && second && third);
    const [first, ...there] = await aliceAt([victim, second, third], "long");
    assert.ok(first);
    const args = { call: "waited", to: 80, everyMs: 200 };
    const handle = await handleOf(clientOf(second)("count", args));
    const caller = new Caller([first, ...there]);
    const outcome = caller.send({
      id: 1,
      method: "tools/call",
      params: { name: "wait_for_result", arguments: { handle }, _meta: { progressToken: 1 } },
    });
    await until(() => caller.heard.length > 0, "the beginning of the wait");
    await victim.kill();
    const { responses } = await soon(outcome, "the answer", LOST_MS);
    assert.equal(responses.length, 1);
    assert.match(String(textOf(responses[0]?.result)), /still running|^counted to 80$/);
    assert.equal(await endOf(clientOf(third), handle), "counted to 80");
    await cluster.add();
  });

  test("[LONG-22] kill -9: one runs again elsewhere, the other ends with the error", async () => {
    const [victim, second, third] = cluster.nodes;
    assert.ok(victim && second && third);
    const [a, b, c] = [victim, second, third].map((node) => clientOf(node));
    assert.ok(a && b && c);
    const args = (call: string, thenMs: number) => ({ call, to: 2, thenMs });
    const [again, never, done] = await Promise.all([
      handleOf(a("again", args("again", 5_000))),
      handleOf(a("count", args("never", LONG_MS))),
      handleOf(a("count", args("done", 4_000))),
    ]);
    await until(
      async () => (await b("wait_for_result", { handle: done })) === "counted to 2",
      "the one that ends in time",
      LOST_MS,
    );
    await victim.kill();
    assert.ok((await endOf(c, never)).includes(NODE_LOST.message));
    const ends = [second, third].map(({ name }) => `counted to 2 at ${name}`);
    const end = await endOf(b, again);
    assert.ok(ends.includes(end), end);
    // Whoever asks, and as often as it is asked for.
    assert.equal(await endOf(c, again), end);
    assert.equal(await endOf(c, done), "counted to 2");
    assert.deepEqual(["again", "never", "done"].map((call) => cluster.count("ran", call)), [
      2,
      1,
      1,
    ]);
    const mallory = clientOf(third, "mallory");
    assert.equal(
      await mallory("wait_for_result", { handle: again }),
      await mallory("wait_for_result", { handle: "call_none" }),
    );
  });
});
