/**
 * A call with a key whose node is killed: its client, which resumes the stream, and a repeat get the answer of
 * one further run.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { noRedis, type Server, useServer } from "../../support/redis.ts";
import { soon, textOf } from "../../support/wire.ts";
import { Caller } from "./caller.ts";
import { aliceAt, Cluster, until } from "./cluster.ts";

/** Longer than a call may be without an answer whose node is lost, on a machine that is busy. */
const LOST_MS = 30_000;

describe("calls with a key", { skip: noRedis }, () => {
  let redis: Server;
  let cluster: Cluster;

  before(async () => {
    redis = await useServer();
    cluster = await Cluster.start(redis.url, 3);
  });

  after(async () => {
    await cluster?.stop();
    await redis?.stop();
  });

  test("[ONCE-23] kill -9: the client that resumes and a repeat get the answer of one run", async () => {
    const [victim, ...others] = cluster.nodes;
    assert.ok(victim);
    const [first, ...there] = await aliceAt([victim, ...others], "shared");
    assert.ok(first);
    const request = (id: number): JsonObject => ({
      id,
      method: "tools/call",
      params: {
        name: "once",
        arguments: { call: "keyed", to: 1, thenMs: 2_000 },
        _meta: { "mooring/callKey": "key", progressToken: id },
      },
    });
    const caller = new Caller([first, ...there]);
    const outcome = caller.send(request(1));
    await until(() => caller.heard.length > 0, "the beginning of the call");
    await victim.kill();
    const repeat = new Caller(there.toReversed()).send(request(2));
    const answers = await soon(Promise.all([outcome, repeat]), "the answers", LOST_MS);
    const texts = answers.map(({ responses }) => {
      assert.equal(responses.length, 1, JSON.stringify(responses));
      return textOf(responses[0]?.result);
    });
    const ends = others.map(({ name }) => `counted to 1 at ${name}`);
    assert.ok(ends.includes(String(texts[0])), String(texts[0]));
    assert.equal(texts[1], texts[0]);
    assert.equal(cluster.count("ran", "keyed"), 2);
  });
});
