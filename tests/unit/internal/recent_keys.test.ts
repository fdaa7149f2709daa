import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { RecentKeys } from "../../../src/internal/recent_keys.ts";
import { FakeClock } from "../../support/clock.ts";

describe("RecentKeys", () => {
  test("remembers a text for its time, and not for ever", async () => {
    const clock = new FakeClock();
    const recent = new RecentKeys(clock, 1_000, 100);
    recent.add("a");
    assert.equal(recent.has("a"), true);
    assert.equal(recent.has("b"), false);
    await clock.advance(999);
    recent.add("b");
    assert.equal(recent.has("a"), true);
    await clock.advance(1_000);
    recent.add("c");
    assert.deepEqual([recent.has("b"), recent.has("c")], [true, true]);
    await clock.advance(1_000);
    recent.add("d");
    assert.deepEqual([recent.has("a"), recent.has("c"), recent.has("d")], [false, true, true]);
  });

  test("is full while another key would push one out before its time", async () => {
    const clock = new FakeClock();
    const recent = new RecentKeys(clock, 1_000, 2);
    recent.add("a");
    assert.equal(recent.full, false);
    recent.add("b");
    assert.equal(recent.full, true);
    await clock.advance(999);
    assert.equal(recent.full, true);
    await clock.advance(1);
    assert.deepEqual([recent.full, recent.has("a"), recent.has("b")], [false, true, true]);
  });

  test("remembers the newest when there are too many", () => {
    const recent = new RecentKeys(new FakeClock(), 1_000, 100);
    for (let i = 0; i < 10_000; i++) recent.add(`${i}`);
    assert.ok(recent.size <= 200);
    for (let i = 9_900; i < 10_000; i++) assert.equal(recent.has(`${i}`), true);
    assert.equal(recent.has("0"), false);
  });
});
