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
import { as, textOf } from "../../support/wire.ts";
import { Cluster, type ClusterNode, to, until } from "./cluster.ts";

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

  test("[LONG-22] kill -9: one runs again elsewhere, the other ends with the error", async () => {
    const [victim, second, third] = cluster.nodes;
    assert.ok(victim && second && third);
    const [a, b, c] = [victim, second, third].map((node) => clientOf(node));
    assert.ok(a && b && c);
    const args = (call: string, thenMs: number) => ({ call, to: 2, thenMs });
    const [again, never, done] = await Promise.all([
      handleOf(a("again", args("again", 3_000))),
      handleOf(a("count", args("never", LONG_MS))),
      handleOf(a("count", args("done", 1_000))),
    ]);
    await until(
      async () => (await b("wait_for_result", { handle: done })) === "counted to 2",
      "the one that ends in time",
    );
    await victim.kill();
    assert.ok((await endOf(c, never)).includes(NODE_LOST.message));
    assert.match(await endOf(b, again), /^counted to 2 at node [23]$/);
    // Whoever asks, and as often as it is asked for.
    assert.match(await endOf(c, again), /^counted to 2 at node [23]$/);
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
