import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SingleUse } from "../../../src/calls/state/single_use.ts";
import { MemoryClaims } from "../../../src/cluster/memory/nodes.ts";
import { FakeClock } from "../../support/clock.ts";

const HOUR = 3_600_000;

function makeNode(ttlMs = 1_000, clock = new FakeClock(), claims = new MemoryClaims(clock)) {
  const claimed: number[] = [];
  const node = new SingleUse({
    ttlMs,
    clock,
    claim(key, holder, ttlMs) {
      claimed.push(ttlMs);
      return claims.claim(key, holder, ttlMs);
    },
  });
  return { node, clock, claims, claimed };
}

describe("SingleUse", () => {
  test("[ASK-5] accepts each pass once, at any node", async () => {
    const { node, clock, claims } = makeNode();
    const { node: other } = makeNode(1_000, clock, claims);
    const passes = [node.issue(), node.issue(), other.issue()];
    assert.equal(new Set(passes.map(({ id }) => id)).size, 3);
    for (const pass of passes) {
      assert.equal(await other.use(pass, "alice"), true);
      assert.equal(await node.use(pass, "alice"), false);
      assert.equal(await other.use(pass, "alice"), false);
    }
  });

  test("[ASK-5] accepts a pass as long as it is valid, for an hour at most", async () => {
    for (const [ttlMs, validMs] of [[1_000, 1_000], [Infinity, HOUR]] as const) {
      const { node, clock, claimed } = makeNode(ttlMs);
      const [early, late] = [node.issue(), node.issue()];
      await clock.advance(validMs - 1);
      assert.equal(await node.use(early, "alice"), true);
      await clock.advance(1);
      assert.equal(await node.use(late, "alice"), false);
      assert.deepEqual(claimed, [2 * validMs]);
      node.dispose();
      assert.equal(clock.pending, 0);
    }
  });

  test("[ASK-5] accepts nothing else", async () => {
    const { node } = makeNode();
    const { id, until } = node.issue();
    for (const odd of [null, {}, "", { id }, { until }, { id: 7, until }, { id, until: "9" }]) {
      assert.equal(await node.use(odd, "alice"), false);
    }
    assert.equal(node.size, 0);
  });

  test("[ASK-5] remembers a bounded number, with a share for each principal, and forgets in time", async () => {
    const { node, clock } = makeNode();
    const use = (owner: string) => node.use(node.issue(), owner);
    const first = node.issue();
    assert.equal(await node.use(first, "alice"), true);
    for (let i = 1; i < 1_000; i++) assert.equal(await use("alice"), true);
    // What was used already takes no place
    assert.equal(await node.use(first, "bob"), false);
    await assert.rejects(use("alice"), { code: -32000, message: /too many/ });
    for (let i = 1_000; i < 10_000; i++) assert.equal(await use(`owner ${i % 10}`), true);
    assert.equal(node.size, 10_000);
    await assert.rejects(use("bob"), { code: -32000 });
    await clock.advance(1_999);
    assert.equal(node.size, 10_000);
    await clock.advance(1);
    assert.equal(node.size, 0);
    assert.equal(await use("alice"), true);
    node.dispose();
    assert.equal(clock.pending, 0);
  });

  test("[ASK-5] takes no place for a pass while the store fails", async () => {
    const clock = new FakeClock();
    const claims = new MemoryClaims(clock);
    let fails = true;
    const node = new SingleUse({
      ttlMs: 1_000,
      clock,
      claim(key, holder, ttlMs) {
        if (fails) throw new Error("The store is away");
        return claims.claim(key, holder, ttlMs);
      },
    });
    const pass = node.issue();
    for (let i = 0; i < 2_000; i++) {
      await assert.rejects(node.use(pass, "alice"), { message: "The store is away" });
    }
    assert.equal(node.size, 0);
    fails = false;
    assert.equal(await node.use(pass, "alice"), true);
    node.dispose();
  });
});
