import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Slots } from "../../../src/internal/slots.ts";

describe("Slots", () => {
  test("[STR-11] places are bounded in all", () => {
    const slots = new Slots(2);
    assert.deepEqual([slots.take(), slots.take(), slots.take()], [true, true, false]);
    slots.give();
    assert.equal(slots.taken, 1);
    assert.ok(slots.take());
  });

  test("[STR-11] places are bounded for each owner, and a refusal takes none", () => {
    const slots = new Slots(3, 1);
    assert.ok(slots.take("a"));
    assert.ok(!slots.take("a"));
    assert.ok(slots.take("b"));
    assert.equal(slots.taken, 2);
    slots.give("a");
    assert.ok(slots.take("a"));
  });

  test("[STR-15] tells whether it is all places that are taken, or an owner's", () => {
    const slots = new Slots(2, 1);
    slots.take("a");
    assert.ok(!slots.take("a"));
    assert.equal(slots.full, false);
    slots.take("b");
    assert.ok(!slots.take("c"));
    assert.equal(slots.full, true);
  });

  test("whoever waits until nothing is taken is told once", () => {
    const slots = new Slots(2);
    let told = 0;
    slots.take();
    slots.whenFree(() => told++);
    assert.equal(told, 0);
    slots.give();
    slots.take();
    slots.give();
    assert.equal(told, 1);
    slots.whenFree(() => told++);
    assert.equal(told, 2);
  });
});
