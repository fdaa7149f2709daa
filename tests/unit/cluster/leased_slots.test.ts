import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { LeasedSlots } from "../../../src/cluster/leased_slots.ts";
import { MemoryQuotas } from "../../../src/cluster/memory/quotas.ts";
import type { MaybePromise } from "../../../src/internal/types.ts";
import { FakeClock, flush } from "../../support/clock.ts";
import { RemoteQuotas } from "../../support/quotas.ts";

/** Nodes that share slots of a limit, over a store that answers later. */
function cluster(limit: number, size = 3) {
  const clock = new FakeClock();
  const store = new RemoteQuotas(clock);
  let nodes = 0;
  const add = () => new LeasedSlots({ store, node: `${++nodes}`, kind: "requests", limit, clock });
  return { clock, store, add, nodes: Array.from({ length: size }, add) };
}

/** Takes slots at once; returns how many there were. */
async function takeAll(
  clock: FakeClock,
  slots: LeasedSlots,
  count: number,
  owner = "alice",
): Promise<number> {
  const admitted = Array.from({ length: count }, () => slots.admit(owner));
  // As long as a request waits for a slot that may come back
  await clock.advance(500);
  return (await Promise.all(admitted)).filter((yes) => yes).length;
}

function giveAll(slots: LeasedSlots, count: number, owner = "alice"): void {
  for (let i = 0; i < count; i++) slots.give(owner);
}

describe("LeasedSlots", () => {
  test("[CLU-14] a limit of 1 over three nodes lets one run, wherever it arrives", async () => {
    const { clock, nodes, store } = cluster(1);
    for (const slots of [...nodes, ...nodes]) {
      assert.equal(await slots.admit("alice"), true);
      const taken = await Promise.all(nodes.map((other) => takeAll(clock, other, 3)));
      assert.deepEqual(taken, [0, 0, 0]);
      slots.give("alice");
    }
    assert.equal(await nodes[1]?.admit("bob"), true);
    nodes[1]?.give("bob");
    await clock.advance(2_000);
    assert.equal(store.inner.hold("requests alice", "x", ask(1, 1)), 1);
    assert.equal(clock.pending, 0);
  });

  test("[CLU-14] a limit below 20 is exact, in a burst at all nodes too", async () => {
    for (const limit of [2, 3, 9, 10, 19]) {
      const { clock, nodes } = cluster(limit);
      const taken = await Promise.all(nodes.map((slots) => takeAll(clock, slots, limit)));
      const sum = taken.reduce((sum, each) => sum + each, 0);
      // A spare slot of each other node may be out of reach.
      assert.ok(sum <= limit && sum >= limit - (limit < 10 ? 0 : 2), `${taken} of ${limit}`);
      nodes.forEach((slots, i) => giveAll(slots, taken[i] ?? 0));
      await clock.advance(3_000);
      assert.equal(await takeAll(clock, nodes[2] ?? assert.fail(), limit + 5), limit);
    }
  });

  test("[CLU-14] a slot that another node gives back within 200 ms is taken, and no later one", async () => {
    const { clock, nodes: [a, b] } = cluster(2);
    assert.ok(a && b);
    assert.equal(await takeAll(clock, a, 2), 2);
    const waiting = b.admit("alice");
    await clock.advance(100);
    a.give("alice");
    await clock.advance(100);
    assert.equal(await waiting, true);
    const refused = b.admit("alice");
    await clock.advance(250);
    assert.equal(await refused, false);
  });

  test("[CLU-14] three nodes are over a limit by two allowances at most", async () => {
    const { clock, nodes } = cluster(100);
    const taken: number[] = [];
    for (const slots of nodes) taken.push(await takeAll(clock, slots, 200));
    assert.deepEqual(taken, [100, 5, 5]);
    nodes.forEach((slots, i) => giveAll(slots, taken[i] ?? 0));
    const again = await Promise.all(nodes.map((slots) => takeAll(clock, slots, 200)));
    const sum = again.reduce((sum, each) => sum + each, 0);
    assert.ok(sum >= 80 && sum <= 110, `${again}`);
  });

  test("[CLU-14] what a node has to spare another gets within two seconds", async () => {
    const { clock, nodes: [a, b] } = cluster(100);
    assert.ok(a && b);
    assert.equal(await takeAll(clock, a, 60), 60);
    giveAll(a, 60);
    await clock.advance(2_000);
    assert.equal(await takeAll(clock, b, 100), 100);
  });

  test("[CLU-14] what is on its way back is not used any more", async () => {
    const { clock, nodes: [a], store } = cluster(100);
    assert.ok(a);
    assert.equal(await takeAll(clock, a, 60), 60);
    giveAll(a, 60);
    // What was leased ahead goes first.
    await clock.advance(1_000);
    store.latencyMs = 100;
    const before = store.commands;
    for (let i = 0; i < 100 && store.commands === before; i++) await clock.advance(25);
    assert.equal(Array.from({ length: 60 }, () => a.take("alice")).filter((yes) => yes).length, 5);
  });

  test("[CLU-17] where nothing is to be had, the store isn't asked for more each time", async () => {
    const { clock, nodes: [a], store } = cluster(100);
    assert.ok(a);
    assert.equal(store.inner.hold("requests alice", "other", ask(100, 100)), 100);
    assert.equal(await takeAll(clock, a, 5), 5);
    const before = store.commands;
    for (let i = 0; i < 100; i++) {
      a.give("alice");
      assert.equal(a.take("alice"), true);
      await clock.advance(1);
    }
    assert.ok(store.commands - before <= 2, `${store.commands - before} commands`);
  });

  test("[CLU-17] a principal far below its limit costs no command, and never waits", async () => {
    const { clock, nodes: [a], store } = cluster(100);
    assert.ok(a);
    for (let i = 0; i < 1_000; i++) {
      for (let n = 0; n < 4; n++) assert.equal(a.admit(`user ${i}`), true);
      for (let n = 0; n < 4; n++) a.give(`user ${i}`);
      await clock.advance(10);
    }
    assert.equal(store.commands, 0);
    assert.equal(clock.pending, 0);
  });

  test("[CLU-17] a busy principal costs two commands a second at most, and seldom waits", async () => {
    const { clock, nodes: [a], store } = cluster(100);
    assert.ok(a);
    await takeAll(clock, a, 20);
    let waited = 0;
    const before = store.commands;
    for (let i = 0; i < 1_000; i++) {
      // Between 20 and 40 run, and 4,000 begin.
      const count = 4 * (1 + i % 5);
      for (let n = 0; n < count; n++) {
        const admitted: MaybePromise<boolean> = a.admit("alice");
        if (admitted !== true) waited++;
        assert.equal(await admitted, true);
      }
      await clock.advance(10);
      giveAll(a, count);
    }
    assert.ok(store.commands - before <= 2 * 10 + 2, `${store.commands - before} commands`);
    assert.ok(waited <= 20, `${waited} waited`);
  });

  test("[CLU-17] a lease is renewed every ten seconds, by one command", async () => {
    const { clock, nodes: [a, b], store } = cluster(2);
    assert.ok(a && b);
    assert.equal(await takeAll(clock, a, 1), 1);
    const before = store.commands;
    for (let i = 0; i < 60; i++) await clock.advance(1_000);
    assert.equal(store.commands - before, 6);
    assert.equal(await takeAll(clock, b, 2), 1);
  });

  test("[CLU-17] a flood above the limit costs 25 commands a second, and few wait", async () => {
    const { clock, nodes: [a, b], store } = cluster(4);
    assert.ok(a && b);
    assert.equal(await takeAll(clock, a, 4), 4);
    const before = store.commands;
    let waiting = 0;
    let most = 0;
    for (let i = 0; i < 1_000; i++) {
      for (let n = 0; n < 20; n++) {
        const admitted = b.admit("alice");
        if (typeof admitted === "boolean") continue;
        most = Math.max(most, ++waiting);
        void admitted.then(() => waiting--);
      }
      await clock.advance(1);
    }
    assert.ok(store.commands - before <= 25, `${store.commands - before} commands`);
    assert.equal(most, 4);
    // What runs here is all that the principal may have: the store isn't asked.
    const asked = store.commands;
    for (let n = 0; n < 20; n++) assert.equal(a.admit("alice"), false);
    assert.equal(store.commands, asked);
  });

  test("[CLU-15] what a dead node had leased is free after 30 seconds", async () => {
    const { clock, nodes: [, b], store } = cluster(3);
    assert.ok(b);
    // Nothing renews it.
    assert.equal(store.inner.hold("requests alice", "dead", ask(3, 3)), 3);
    assert.equal(await takeAll(clock, b, 3), 0);
    await clock.advance(29_000);
    assert.equal(await takeAll(clock, b, 3), 0);
    await clock.advance(1_000);
    assert.equal(await takeAll(clock, b, 3), 3);
  });

  test("[CLU-15] while the store is away a node uses what it has leased, then its allowance", async () => {
    const { clock, nodes: [a, b], store } = cluster(100);
    assert.ok(a && b);
    assert.equal(await takeAll(clock, a, 40), 40);
    store.away = true;
    // As many again as it has leased
    giveAll(a, 10);
    assert.equal(a.admit("alice"), true);
    for (let i = 0; i < 5; i++) assert.equal(b.admit("alice"), true);
    await assert.rejects(async () => await b.admit("alice"), /away/);
    for (let i = 0; i < 31; i++) await clock.advance(1_000);
    // 31 run, which is more than the allowance.
    await assert.rejects(async () => await a.admit("alice"), /away/);
    giveAll(a, 30);
    assert.equal(a.admit("alice"), true);
    store.away = false;
    assert.equal(await takeAll(clock, a, 50), 50);
  });

  test("[CLU-15] a small limit can't be counted while the store is away, and can at once after", async () => {
    const { nodes: [a], store } = cluster(3);
    assert.ok(a);
    store.away = true;
    for (let i = 0; i < 3; i++) await assert.rejects(async () => await a.admit("alice"), /away/);
    store.away = false;
    assert.equal(await a.admit("alice"), true);
  });

  test("[CLU-15] a node that slept for longer than a lease says what it still runs", async () => {
    const { clock, nodes: [a, b] } = cluster(4);
    assert.ok(a && b);
    assert.equal(await takeAll(clock, a, 3), 3);
    // No timer fires meanwhile.
    clock.set(clock.now() + 40_000);
    assert.equal(await takeAll(clock, b, 1), 1);
    await clock.advance(2_000);
    assert.equal(await takeAll(clock, b, 3), 0);
    giveAll(a, 1);
    assert.equal(await takeAll(clock, b, 3), 1);
  });

  test("[CLU-15] a node that slept for longer than a lease takes none of it before it has asked", async () => {
    const { clock, nodes: [a] } = cluster(100);
    assert.ok(a);
    assert.equal(await takeAll(clock, a, 40), 40);
    clock.set(clock.now() + 40_000);
    giveAll(a, 30);
    assert.equal(a.take("alice"), false);
    assert.equal(await takeAll(clock, a, 10), 10);
  });

  test("[CLU-14] closing returns everything, and refuses what waits", async () => {
    const { clock, nodes: [a, b], store } = cluster(4);
    assert.ok(a && b);
    assert.equal(await takeAll(clock, a, 3), 3);
    assert.equal(await takeAll(clock, b, 1), 1);
    const waiting = b.admit("alice");
    a.dispose();
    b.dispose();
    await flush();
    assert.equal(await waiting, false);
    assert.equal(store.inner.hold("requests alice", "x", ask(4, 4)), 4);
    giveAll(a, 3);
    await clock.advance(5_000);
    assert.equal(clock.pending, 0);
  });

  test("[CLU-14] what is expected is there when it is taken, and returned when it is not", async () => {
    const { clock, nodes: [a, b] } = cluster(2);
    assert.ok(a && b);
    assert.equal(a.take("alice"), false);
    await a.expect("alice");
    assert.equal(a.take("alice"), true);
    a.unexpect("alice");
    await b.expect("alice");
    assert.equal(b.take("alice"), true);
    // There is none for it, which is no failure.
    await a.expect("alice");
    assert.equal(a.take("alice"), false);
    a.unexpect("alice");
    b.unexpect("alice");
    giveAll(a, 1);
    giveAll(b, 1);
    await a.expect("alice");
    a.unexpect("alice");
    assert.equal(await takeAll(clock, b, 2), 2);
  });

  test("[CLU-14] with a store in this process nothing waits", () => {
    const clock = new FakeClock();
    const store = new MemoryQuotas(clock);
    const [a, b] = ["a", "b"].map((node) =>
      new LeasedSlots({ store, node, kind: "requests", limit: 2, clock })
    );
    assert.ok(a && b);
    assert.deepEqual([a.admit("alice"), b.admit("alice"), a.admit("alice")], [true, true, false]);
    b.give("alice");
    assert.deepEqual([a.admit("alice"), b.admit("alice")], [true, false]);
    assert.equal(a.expect("alice"), undefined);
  });

  test("[CLU-14, CLU-15] whatever happens, the limit holds but for the margin, and nothing is left", async () => {
    const act = fc.record({
      node: fc.nat(2),
      owner: fc.constantFrom("alice", "bob"),
      kind: fc.constantFrom("admit", "admit", "take", "give", "expect", "away", "wait", "turn"),
      count: fc.integer({ min: 1, max: 12 }),
      ms: fc.constantFrom(10, 300, 1_500, 12_000),
    });
    const limits = fc.constantFrom(1, 2, 5, 10, 19, 20, 45, 100);
    await fc.assert(
      fc.asyncProperty(limits, fc.boolean(), fc.array(act, { maxLength: 60 }), async (
        limit,
        slow,
        acts,
      ) => {
        const { clock, store, nodes } = cluster(limit);
        if (slow) store.latencyMs = 15;
        const margin = 2 * Math.floor(limit / 20);
        const used = nodes.map(() => ({ alice: 0, bob: 0 }));
        const sum = (owner: "alice" | "bob") => used.reduce((sum, each) => sum + each[owner], 0);
        const expected: (() => void)[] = [];
        for (const { node, owner, kind, count, ms } of acts) {
          const slots = nodes[node] ?? assert.fail();
          const here = used[node] ?? assert.fail();
          for (let i = 0; i < count; i++) {
            if (kind === "give" && here[owner] > 0) {
              here[owner]--;
              slots.give(owner);
            } else if (kind === "take" && slots.take(owner)) here[owner]++;
            else if (kind === "expect") {
              void slots.expect(owner);
              expected.push(() => slots.unexpect(owner));
            } else if (kind === "admit") {
              const admitted = slots.admit(owner);
              if (admitted === true) here[owner]++;
              else if (admitted !== false) {
                admitted.then((yes) => yes && here[owner]++, () => {});
              }
            }
            assert.ok(sum(owner) <= limit + margin, `${sum(owner)} of ${limit}`);
          }
          // Shorter than a lease: what nobody can renew expires, and others take it.
          if (kind === "away") store.away = !store.away && ms < 12_000;
          if (kind === "turn") await flush();
          if (kind === "wait") {
            if (store.away && ms > 1_500) store.away = false;
            await clock.advance(ms);
            store.away = false;
          }
          for (const owner of ["alice", "bob"] as const) {
            assert.ok(sum(owner) <= limit + margin, `${sum(owner)} of ${limit}`);
          }
        }
        store.away = false;
        for (const done of expected) done();
        await clock.advance(1_000);
        nodes.forEach((slots, i) => {
          giveAll(slots, used[i]?.alice ?? 0, "alice");
          giveAll(slots, used[i]?.bob ?? 0, "bob");
        });
        // Leases whose return was lost expire.
        for (let i = 0; i < 35; i++) await clock.advance(1_000);
        assert.equal(clock.pending, 0);
        for (const owner of ["alice", "bob"]) {
          assert.equal(store.inner.hold(`requests ${owner}`, "x", ask(limit, limit)), limit);
        }
      }),
      { numRuns: 150 },
    );
  });
});

function ask(limit: number, need: number) {
  return { limit, keep: 0, need, spare: 0, ttlMs: 30_000 };
}
