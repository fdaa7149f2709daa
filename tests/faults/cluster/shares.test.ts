/**
 * A principal's share of three processes: one share, not three, and right again when a process dies.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { envelope, headersFor } from "../../support/modern.ts";
import { noRedis, type Server, useServer } from "../../support/redis.ts";
import { as, URL_2025 } from "../../support/wire.ts";
import { Cluster, type ClusterNode, to, until } from "./cluster.ts";

/** A lease lasts for 30 seconds of the nodes' clock, which runs faster every day. */
const PACE = process.env["MOORING_LONG"] === "1" ? 1 : 6;
const LEASE_MS = 30_000 / PACE;
/** What a busy machine may add. */
const SLACK_MS = 10_000;

/** Calls a tool, for however long it runs. */
async function call(node: ClusterNode, name: string, args: Record<string, unknown> = {}) {
  const params = { name, arguments: args, _meta: envelope() };
  const headers = {
    "content-type": "application/json",
    accept: "application/json",
    ...headersFor("tools/call", params),
    ...as("alice"),
  };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
  const fetch = to(node.target("shared"));
  const response = await fetch(new Request(URL_2025, { method: "POST", headers, body }));
  await response.body?.cancel();
  return response.status;
}

describe("a share of three processes", { skip: noRedis }, () => {
  let redis: Server;
  let cluster: Cluster;

  before(async () => {
    redis = await useServer();
    const limits = { requestsPerPrincipal: 2 };
    cluster = await Cluster.start(redis.url, 3, { limits, pace: PACE });
  });

  after(async () => {
    await cluster?.stop();
    await redis?.stop();
  });

  /** Begins calls at some nodes at once, each of which runs on; returns how many were refused. */
  async function begin(nodes: readonly ClusterNode[], name: string): Promise<number> {
    let refused = 0;
    let running = 0;
    const calls = nodes.map((_, i) => `${name} ${i}`);
    nodes.forEach((node, i) => {
      call(node, "slow", { call: calls[i], ms: 120_000 }).then((status) => {
        if (status === 503) refused++;
      }, () => {});
    });
    await until(
      () => {
        running = calls.filter((each) => cluster.count("ran", each) > 0).length;
        return running + refused === nodes.length;
      },
      "every call to run or be refused",
      SLACK_MS,
    );
    assert.ok(running <= 2, `${running} run`);
    return refused;
  }

  test("[CLU-14, CLU-15] is one share, and whole again within a lease of a kill -9", async () => {
    const [victim = assert.fail(), ...others] = cluster.nodes;
    assert.equal(await begin([victim, victim], "first"), 0);
    assert.equal(await begin([...cluster.nodes, ...cluster.nodes], "more"), 6);
    await victim.kill();
    const killed = Date.now();
    const [other = assert.fail()] = others;
    while (await call(other, "whoami") !== 200) {
      const ms = Date.now() - killed;
      assert.ok(ms < LEASE_MS + SLACK_MS, `Not free after ${ms} ms`);
      await pause(50);
    }
    // Exactly the limit again, wherever the calls arrive: what a node returned may be on its way.
    let running = 4 - await begin([...others, ...others], "second");
    for (let i = 0; i < 50 && running < 2; i++) running += 1 - await begin([other], `then ${i}`);
    assert.equal(running, 2);
    assert.equal(await begin([...others, ...others], "last"), 4);
  });
});
