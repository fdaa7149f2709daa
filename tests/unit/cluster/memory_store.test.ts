import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { memoryStore } from "../../../src/cluster/memory/store.ts";
import type { StoreSettings } from "../../../src/cluster/types.ts";
import { FakeClock } from "../../support/clock.ts";

function settings(sessions: number): StoreSettings {
  return {
    clock: new FakeClock(),
    caps: { sessions, sessionsPerPrincipal: sessions },
    lifetimes: { idleMs: 1_000, absoluteMs: 5_000 },
    log: { events: 4, eventBytes: 100, retainMs: 1_000 },
  };
}

describe("memoryStore()", () => {
  test("every handler with the same store shares everything, under the first one's settings", async () => {
    const store = memoryStore();
    const first = store.open(settings(1));
    const second = store.open(settings(100));
    assert.equal(first, second);
    assert.equal((await first.sessions.reserve("1", "a")).admitted, true);
    assert.equal((await second.sessions.reserve("2", "a")).admitted, false);
  });

  test("two stores share nothing", async () => {
    const one = memoryStore().open(settings(1));
    const other = memoryStore().open(settings(1));
    await one.log.append("session", "s", "x");
    assert.equal(await other.log.read("session", "s", 0), undefined);
    assert.equal((await one.sessions.reserve("1", "a")).admitted, true);
    assert.equal((await other.sessions.reserve("1", "a")).admitted, true);
    await one.leases.take("key", () => assert.fail("another store's lease"));
    assert.notEqual(await other.leases.tryTake("key", () => {}), undefined);
  });

  test("[END-2] a store without sessions and streams has no timer", () => {
    const made = settings(1);
    memoryStore().open(made);
    assert.equal(made.clock instanceof FakeClock && made.clock.pending, 0);
  });
});
