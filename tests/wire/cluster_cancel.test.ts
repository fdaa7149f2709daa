/**
 * Cancellations that reach another node than the one that runs the call, which hears nothing at times.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { alice, Cluster, type TestNode } from "../support/cluster.ts";
import { settle } from "../support/settle.ts";
import { soon } from "../support/wire.ts";

const JSON_ONLY = { accept: "application/json" };

function isCancel(text: string): boolean {
  return JSON.parse(text).kind === "cancel";
}

/** The published cancellations. */
function sent({ store }: Cluster): unknown[] {
  return store.texts.filter(({ opened }) => isCancel(opened)).map(({ opened }) =>
    JSON.parse(opened)
  );
}

/** Two nodes, and Alice's call 1 that runs at the first. */
async function running(pinned = false) {
  const cluster = new Cluster({ pinned });
  const [a, b] = [cluster.add(), cluster.add()];
  const { here, there } = await alice(a, b, JSON_ONLY);
  const call = here.call(1, "block");
  await a.blocker.running();
  return { cluster, a, b, here, there, call };
}

function stopped({ blocker }: TestNode): string[] {
  return blocker.reasons.map((reason) => String(reason));
}

describe("cluster: a cancellation while the node that runs the call hears nothing", () => {
  test("[CLU-18, CAN-2] reaches it once it hears again", async () => {
    const { cluster, a, there, call } = await running();
    cluster.store.fate = (text) => isCancel(text) ? "lost" : "arrives";
    await there.cancel(1, "changed my mind");
    await cluster.advance(5_000);
    assert.deepEqual(stopped(a), []);
    cluster.store.fate = () => "arrives";
    await cluster.advance(1_000);
    await soon(call);
    assert.equal(a.blocker.reasons.length, 1);
    assert.match(stopped(a).join(), /changed my mind/);
    assert.equal(a.handler.stats().requests, 0);
    await cluster.close();
    assert.equal(cluster.clock.pending, 0);
  });

  test("[CLU-18, CLU-8] is published again when the bus fails, and an error is told of once", async () => {
    const { cluster, a, b, there, call } = await running();
    cluster.store.fate = (text) => isCancel(text) ? "fails" : "arrives";
    await there.cancel(1);
    await cluster.advance(3_000);
    cluster.store.fate = () => "arrives";
    await cluster.advance(1_000);
    await soon(call);
    assert.equal(a.blocker.reasons.length, 1);
    await cluster.advance(10_000);
    assert.deepEqual(b.events.of("error"), []);
    cluster.store.fate = (text) => isCancel(text) ? "fails" : "arrives";
    await there.cancel(2);
    await cluster.advance(20_000);
    const during = b.events.of("error").map(({ during }) => during);
    assert.deepEqual(during, ["publishing to the other nodes"]);
    await cluster.close();
  });

  test("[CLU-18] is published ten times", async () => {
    const { cluster, there } = await running();
    await there.cancel(2);
    await cluster.advance(40_000);
    assert.equal(sent(cluster).length, 10);
    await cluster.close();
    assert.equal(cluster.clock.pending, 0);
  });

  for (const heard of [true, false]) {
    test(`[CLU-18] cancels no later call of the same id, events heard: ${heard}`, async () => {
      const options = heard ? {} : { onEvent: undefined };
      const cluster = new Cluster();
      const [a, b] = [cluster.add(options), cluster.add(options)];
      const { here, there } = await alice(a, b, JSON_ONLY);
      const begin = async (id: number) => {
        const { length } = a.blocker.runs;
        const call = here.call(id, "block");
        await a.blocker.running(length + 1);
        return { call };
      };
      const first = await begin(1);
      const mark = await begin(2);
      const last = await begin(3);
      await there.cancel(1);
      await soon(first.call);
      // Messages arrive in order.
      await there.cancel(2);
      await soon(mark.call);
      await cluster.advance(500);
      await begin(1);
      await cluster.advance(500);
      await there.cancel(3);
      await soon(last.call);
      assert.equal(a.blocker.reasons.length, 3);
      assert.ok(sent(cluster).length > 3);
      assert.equal(a.handler.stats().requests, 1);
      await cluster.close();
      assert.equal(cluster.clock.pending, 0);
    });
  }

  test("[CLU-18] is published once if the call is here, or nowhere else", async () => {
    for (const pinned of [false, true]) {
      const { cluster, a, here, there } = await running(pinned);
      await here.cancel(1);
      assert.equal(a.blocker.reasons.length, 1);
      if (pinned) await there.cancel(2);
      await cluster.advance(30_000);
      assert.equal(sent(cluster).length, pinned ? 2 : 1);
      await cluster.close();
    }
  });

  test("[CLU-18] at most a thousand wait; the others are published once", async () => {
    const { cluster, there } = await running();
    for (let id = 100; id < 1_110; id++) await there.cancel(id);
    await settle();
    assert.equal(sent(cluster).length, 1_010);
    await cluster.advance(1_000);
    assert.equal(sent(cluster).length, 2_010);
    await cluster.close();
    assert.equal(sent(cluster).length, 2_010);
    assert.equal(cluster.clock.pending, 0);
  });
});
