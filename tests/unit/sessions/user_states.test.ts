import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { MemoryRecords, MemoryRecordTable } from "../../../src/cluster/memory/records.ts";
import type { RecordStore } from "../../../src/internal/record_store.ts";
import { ANONYMOUS } from "../../../src/protocol/exchange.ts";
import type { OwnedRecords } from "../../../src/sessions/owned_values.ts";
import { UserStates, type UserStatesInit } from "../../../src/sessions/user_states.ts";
import { FakeClock } from "../../support/clock.ts";

const IDLE_MS = 100_000;
const KEY = "a secret that is long enough for all of them";

/** Nodes over one table, whose records are read and written after other work, as over a network. */
function makeNodes(init: Partial<UserStatesInit> = {}) {
  const clock = new FakeClock();
  const table = new MemoryRecordTable();
  const most = init.most ?? 1_000;
  const memory = new MemoryRecords(clock, table, most);
  const counts = { reads: 0, writes: 0, lost: 0 };
  const records: OwnedRecords = {
    async get(key) {
      counts.reads++;
      await Promise.resolve();
      return memory.get(key);
    },
    async put(key, value, write) {
      await Promise.resolve();
      const version = memory.put(key, value, write);
      if (version === undefined) counts.lost++;
      else counts.writes++;
      return version;
    },
    async delete(key, expected) {
      await Promise.resolve();
      return memory.delete(key, expected);
    },
  };
  const node = (own: Partial<UserStatesInit> = {}) => {
    const states = new UserStates({
      ...{ records, keys: undefined, bytes: 1_000, most, idleMs: IDLE_MS, clock },
      ...init,
      ...own,
    });
    return (id: string) => states.of({ id }, id, undefined);
  };
  return { clock, table, counts, node };
}

describe("the state of users", () => {
  test("[USER-1] has what was set for the user, at each node, and for nobody else", async () => {
    const { node } = makeNodes();
    const [a, b] = [node(), node()];
    const value = { items: [1, "two", null] };
    await a("ada").set("cart", value);
    value.items.push(3);
    assert.deepEqual(await b("ada").get("cart"), { items: [1, "two", null] });
    assert.equal(await b("ben").get("cart"), undefined);
    await b("ada").set("__proto__", 1);
    assert.equal(await a("ada").get("__proto__"), 1);
    assert.equal(await a("ada").get("constructor"), undefined);
    await b("ada").delete("__proto__");
    await b("ada").set("cart", undefined);
    assert.equal(await a("ada").get("cart"), undefined);
    await a("ada").delete("never set");
  });

  test("[USER-1] no record is left when the last key is deleted", async () => {
    const { node, table } = makeNodes();
    const ada = node()("ada");
    await ada.set("a", 1);
    assert.equal(table.records.size, 1);
    await ada.delete("a");
    assert.equal(table.records.size, 0);
  });

  test("[USER-2] changes at the same time, of many calls at three nodes, all take place", async () => {
    const { node, counts } = makeNodes({ bytes: 100_000 });
    const nodes = [node(), node(), node()];
    await Promise.all(
      Array.from({ length: 150 }, (_, i) => nodes[i % 3]?.("ada").set(`key ${i}`, i)),
    );
    for (let i = 0; i < 150; i++) assert.equal(await nodes[0]?.("ada").get(`key ${i}`), i);
    assert.ok(counts.writes < 50, `Changes that wait are written together: ${counts.writes}`);
  });

  test("[USER-2] a change that another one has preceded is made again on what that has left", async () => {
    const { node, counts } = makeNodes();
    const memory = new MemoryRecords(new FakeClock());
    const other = node({ records: memory })("ada");
    let precedes = 3;
    const records: OwnedRecords = {
      get: (key) => memory.get(key),
      async put(key, value, write) {
        if (precedes-- > 0) await other.set(`other ${precedes}`, precedes);
        const version = memory.put(key, value, write);
        if (version === undefined) counts.lost++;
        return version;
      },
      delete: (key, expected) => memory.delete(key, expected),
    };
    const ada = node({ records })("ada");
    await Promise.all([ada.set("mine", 1), ada.set("other 0", "changed")]);
    assert.equal(counts.lost, 3);
    assert.equal(await other.get("mine"), 1);
    assert.equal(await other.get("other 0"), "changed");
    assert.equal(await other.get("other 2"), 2);
  });

  test("[USER-2] a change that others always precede fails, after a bounded number of tries", async () => {
    let reads = 0;
    const records: OwnedRecords = {
      get: () => ({ value: '[0,[["a","1"]]]', version: String(++reads) }),
      put: () => undefined,
      delete: () => false,
    };
    const ada = makeNodes({ records }).node()("ada");
    await assert.rejects(ada.set("a", 2), /Try again: others keep changing/);
    assert.equal(reads, 100);
    await assert.rejects(ada.delete("a"), /Try again/);
  });

  test("[USER-2] one process keeps no more than 1,000 waiting changes of a user", async () => {
    const { node } = makeNodes({ bytes: 100_000 });
    const ada = node()("ada");
    const outcomes = await Promise.allSettled(
      Array.from({ length: 1_010 }, () => ada.set("a", 1)),
    );
    const refused = outcomes.filter(({ status }) => status === "rejected");
    assert.equal(refused.length, 9);
    assert.match(String((refused[0] as PromiseRejectedResult).reason), /1000 wait already/);
    await ada.set("a", 2);
  });

  test("[USER-2] a failure of the store fails those that wait for it, and nothing after", async () => {
    const { node } = makeNodes();
    let fails = true;
    const memory = new MemoryRecords(new FakeClock());
    const records: OwnedRecords = {
      get(key) {
        if (fails) throw new Error("The store is away");
        return memory.get(key);
      },
      put: (key, value, write) => memory.put(key, value, write),
      delete: (key, expected) => memory.delete(key, expected),
    };
    const ada = node({ records })("ada");
    const outcomes = await Promise.allSettled([ada.set("a", 1), ada.set("b", 1), ada.get("a")]);
    for (const outcome of outcomes) {
      assert.match(String((outcome as PromiseRejectedResult).reason), /The store is away/);
    }
    fails = false;
    await ada.set("a", 1);
    assert.equal(await ada.get("a"), 1);
  });

  test("[USER-3] bytes and keys of a user are bounded, and less may always be stored", async () => {
    const { node } = makeNodes({ bytes: 20 });
    const ada = node()("ada");
    await ada.set("a", "x".repeat(17)); // With its quotes and its key, 20 bytes
    await assert.rejects(ada.set("b", 1), {
      name: "RangeError",
      message: "Keep less state for a user: at most 20 bytes",
    });
    // What fits is stored beside what doesn't.
    const [refused, stored] = await Promise.allSettled([ada.set("b", 1), ada.set("a", "x")]);
    assert.deepEqual([refused.status, stored.status], ["rejected", "fulfilled"]);
    assert.equal(await ada.get("a"), "x");
    const many = makeNodes({ bytes: 1_000_000 }).node()("ada");
    await Promise.all(Array.from({ length: 1_000 }, (_, i) => many.set(`${i}`, 0)));
    await assert.rejects(many.set("one more", 0), /at most 1000/);
    await many.set("7", "other");
    await assert.rejects(ada.set("f", () => 1), /Give a JSON value as user state: function/);
  });

  test("[USER-3] users are bounded: one more is refused, and loses nobody's state", async () => {
    const { node } = makeNodes({ most: 2 });
    const states = node();
    await states("ada").set("a", 1);
    await states("ben").set("a", 2);
    await assert.rejects(states("eve").set("a", 3), {
      name: "RangeError",
      message: 'Raise "limits.userStates": state is kept for 2 users',
    });
    assert.equal(await states("eve").get("a"), undefined);
    assert.equal(await states("ada").get("a"), 1);
    await states("ben").delete("a");
    await states("eve").set("a", 3);
  });

  test("[USER-4] state is deleted after the idle time, which reading begins anew", async () => {
    const { node, clock, counts } = makeNodes();
    const ada = node()("ada");
    await ada.set("a", 1);
    for (let days = 0; days < 5; days++) {
      await clock.advance(IDLE_MS - 1);
      assert.equal(await ada.get("a"), 1);
    }
    const { writes } = counts;
    assert.equal(writes, 6);
    // A read soon after a use writes nothing.
    for (let i = 0; i < 10; i++) assert.equal(await ada.get("a"), 1);
    assert.equal(counts.writes, writes);
    await clock.advance(IDLE_MS);
    assert.equal(await ada.get("a"), undefined);
  });

  test("[USER-5] where others can read the store, they find neither users nor values", async () => {
    const { node, table } = makeNodes({ keys: [KEY] });
    await node()("ada@example.com").set("secret key", "secret value");
    const [[name, record] = []] = [...table.records];
    assert.doesNotMatch(JSON.stringify([name, record]), /ada|secret/);
    assert.equal(await node()("ada@example.com").get("secret key"), "secret value");
    // A record of another user in its place is not opened.
    await node()("ben").set("secret key", "of ben");
    const [[, ofAda] = [], [ben, ofBen] = []] = [...table.records];
    assert.ok(ofAda && ofBen && ben);
    table.records.set(ben, { ...ofBen, value: ofAda.value });
    assert.equal(await node()("ben").get("secret key"), undefined);
    await node()("ben").set("secret key", "again");
    assert.equal(await node()("ben").get("secret key"), "again");
  });

  test("[USER-5] keys rotate, and what was sealed with none of them counts as empty", async () => {
    const { node } = makeNodes({ keys: [KEY] });
    await node()("ada").set("a", 1);
    const next = node({ keys: [`next: ${KEY}`, KEY] });
    assert.equal(await next("ada").get("a"), 1);
    await next("ada").set("b", 2);
    assert.equal(await node({ keys: [`next: ${KEY}`] })("ada").get("a"), 1);
    assert.equal(await node()("ada").get("a"), undefined);
    await node()("ada").set("a", 3);
    assert.equal(await node()("ada").get("a"), 3);
  });

  test("[USER-6] nobody in particular has no state; the user of a pipe has", async () => {
    const { clock } = makeNodes();
    const records: RecordStore = new MemoryRecords(clock);
    const init = { records, keys: undefined, bytes: 100, most: 1, idleMs: IDLE_MS, clock };
    const states = new UserStates(init);
    for (const principal of [ANONYMOUS, { id: "anonymous" }]) {
      const nobody = states.of(principal, "anonymous", "127.0.0.1");
      for (const use of [nobody.get("a"), nobody.set("a", 1), nobody.delete("a")]) {
        await assert.rejects(use, { name: "TypeError", message: /^Give "authenticate"/ });
      }
    }
    const owner = states.of(ANONYMOUS, "anonymous", "pipe");
    await owner.set("a", 1);
    assert.equal(await owner.get("a"), 1);
    const without = new UserStates({ ...init, records: undefined });
    await assert.rejects(without.of({ id: "ada" }, "ada", undefined).get("a"), /"userStates"/);
  });
});
