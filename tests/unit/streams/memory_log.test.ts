import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { MemoryEventLog } from "../../../src/streams/memory_log.ts";
import { FakeClock } from "../../support/clock.ts";

const LIMITS = { events: 256, eventBytes: 1 << 20, retainMs: 60_000 };

describe("MemoryEventLog", () => {
  test("[STR-7] keeps the last 256 events and 1 MiB of a session", () => {
    const log = new MemoryEventLog(LIMITS, new FakeClock());
    for (let i = 0; i < 300; i++) log.append("session", "s", "x");
    assert.equal(log.read("session", "s", 0)?.events.length, 256);
    const text = "x".repeat(100_000);
    for (let i = 0; i < 500; i++) log.append("session", "s", text);
    assert.equal(log.read("session", "s", 0)?.events.length, 10);
  });

  test("answers at once, so that an append has reached whoever watches when it returns", () => {
    const log = new MemoryEventLog(LIMITS, new FakeClock());
    const oldest: number[] = [];
    log.watch("session", "s", (first) => oldest.push(first));
    assert.equal(log.append("session", "s", "x"), 1);
    assert.equal(log.append("session", "s", "x".repeat(1 << 20)), 2);
    log.end("session", "s");
    assert.deepEqual(oldest, [1, 2, 2]);
  });

  test("has one timer, however many streams are to be forgotten", async () => {
    const clock = new FakeClock();
    const log = new MemoryEventLog(LIMITS, clock);
    for (let i = 0; i < 100; i++) {
      log.append(`session${i}`, "s", "x");
      log.end(`session${i}`, "s");
      log.deliver(`session${i}`, "s", 1);
    }
    assert.equal(clock.pending, 1);
    await clock.advance(LIMITS.retainMs);
    assert.equal(clock.pending, 0);
  });

  test("[SES-6] a dropped session stays dropped while 5,000 others are, and for a minute", async () => {
    const clock = new FakeClock();
    const log = new MemoryEventLog(LIMITS, clock);
    log.drop("first");
    for (let i = 0; i < 4_999; i++) log.drop(`other${i}`);
    assert.equal(log.append("first", "s", "x"), 0);
    log.drop("more");
    assert.equal(log.append("first", "s", "x"), 0);
    await clock.advance(59_999);
    assert.equal(log.append("more", "s", "x"), 0);
    log.drop("last");
    assert.equal(log.append("more", "s", "x"), 0);
  });

  test("an ended stream that somebody still watches shows its gap until nobody does", () => {
    const log = new MemoryEventLog({ ...LIMITS, events: 2 }, new FakeClock());
    const unwatch = log.watch("session", "s", () => {});
    log.append("session", "s", "x");
    log.end("session", "s");
    for (let i = 0; i < 2; i++) log.append("session", "t", "x");
    assert.deepEqual(log.read("session", "s", 0), { events: [], ended: true, gap: true, last: 1 });
    unwatch();
    assert.equal(log.read("session", "s", 0), undefined);
  });

  test("an ended stream that never had events has no gap either, while somebody watches", () => {
    const log = new MemoryEventLog({ ...LIMITS, events: 2 }, new FakeClock());
    log.watch("session", "s", () => {});
    log.end("session", "s");
    for (let i = 0; i < 2; i++) log.append("session", "t", "x");
    assert.deepEqual(log.read("session", "s", 0), { events: [], ended: true, gap: false, last: 0 });
  });

  test("stopping to watch a forgotten stream leaves a new one of its name alone", async () => {
    const clock = new FakeClock();
    const log = new MemoryEventLog(LIMITS, clock);
    log.append("session", "other", "x");
    const unwatch = log.watch("session", "s", () => {});
    log.end("session", "s");
    await clock.advance(LIMITS.retainMs);
    assert.equal(log.append("session", "s", "new"), 1);
    unwatch();
    assert.deepEqual(log.read("session", "s", 0)?.events, [{ n: 1, data: "new" }]);
  });
});
