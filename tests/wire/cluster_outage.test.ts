/**
 * Sessions whose live state is in one process, while the store is away for longer than a node counts as
 * alive.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { alice, Cluster } from "../support/cluster.ts";
import { refused, textOf } from "../support/wire.ts";

const JSON_ONLY = { accept: "application/json" };

describe("pinned, after the store was away", () => {
  test("[CLU-7, CLU-8] a node that lives is not taken for dead before it can have said so", async () => {
    const cluster = new Cluster({ pinned: true });
    const [a, b] = [cluster.add(), cluster.add()];
    const { here, there } = await alice(a, b, JSON_ONLY);
    await there.result(await there.call(1, "hello"));
    const { nodes } = cluster.store.inside;
    const { beat } = nodes;
    Object.assign(nodes, { beat: () => Promise.reject(new Error("away")) });
    await cluster.advance(40_000);
    // The node that is asked is in touch again before the one that holds the session.
    const back = String(await cluster.store.inside.claims.holder(String(here.sessionId)));
    Object.assign(nodes, {
      beat: (...[facts, ttlMs]: Parameters<typeof beat>) =>
        facts.id === back ? Promise.reject(new Error("away")) : beat.call(nodes, facts, ttlMs),
    });
    await cluster.advance(10_000);
    await refused(await there.call(2, "hello"), 503, -32000, 2);
    Object.assign(nodes, { beat });
    await cluster.advance(10_000);
    assert.equal(textOf(await there.result(await there.call(3, "hello"))), "Hello");
    assert.equal(textOf(await here.result(await here.call(4, "hello"))), "Hello");
    await cluster.close();
  });

  test("[CLU-7, CLU-8] a node that says nothing for long after that is dead", async () => {
    const cluster = new Cluster({ pinned: true });
    const [a, b] = [cluster.add(), cluster.add()];
    const { here, there } = await alice(a, b, JSON_ONLY);
    await there.result(await there.call(1, "hello"));
    const { nodes } = cluster.store.inside;
    const { beat } = nodes;
    Object.assign(nodes, { beat: () => Promise.reject(new Error("away")) });
    await cluster.advance(40_000);
    Object.assign(nodes, { beat });
    cluster.store.dead.add(
      String(await cluster.store.inside.claims.holder(String(here.sessionId))),
    );
    await cluster.advance(10_000);
    await refused(await there.call(2, "hello"), 503, -32000, 2);
    await cluster.advance(15_000);
    await refused(await there.call(3, "hello"), 404, -32001);
    await cluster.close();
  });
});
