import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { SequenceNumbers } from "../../../src/cluster/messages/sequence_numbers.ts";
import { FakeClock } from "../../support/clock.ts";
import { growthBy } from "../../wire/memory.ts";

describe("SequenceNumbers", () => {
  test("[CLU-6] no number counts twice, in whatever order they come", () => {
    fc.assert(fc.property(
      fc.array(
        fc.record({ from: fc.constantFrom("a", "b"), n: fc.integer({ min: 1, max: 3_000 }) }),
      ),
      (steps) => {
        const numbers = new SequenceNumbers(new FakeClock(), 60_000);
        const taken = new Set<string>();
        for (const { from, n } of steps) {
          const key = `${from} ${n}`;
          if (numbers.take(from, n)) {
            assert.equal(taken.has(key), false);
            taken.add(key);
          }
        }
      },
    ));
  });

  test("[CLU-6] numbers that rise are all taken, and so are those up to 1,023 behind", () => {
    const numbers = new SequenceNumbers(new FakeClock(), 60_000);
    for (let n = 1; n <= 10_000; n++) {
      if (n !== 8_977 && n !== 8_976) assert.ok(numbers.take("a", n));
    }
    assert.equal(numbers.take("a", 8_976), false);
    assert.equal(numbers.take("a", 8_977), true);
    assert.equal(numbers.take("a", 8_977), false);
    for (let n = 8_978; n <= 10_000; n++) assert.equal(numbers.take("a", n), false);
  });

  test("[CLU-6] a number that comes late makes no older one count again", () => {
    const numbers = new SequenceNumbers(new FakeClock(), 60_000);
    for (let n = 1; n <= 3_000; n++) if (n !== 2_000) assert.ok(numbers.take("a", n));
    assert.ok(numbers.take("a", 2_000));
    for (let n = 1; n <= 3_000; n++) assert.equal(numbers.take("a", n), false, `${n}`);
    assert.ok(numbers.take("a", 3_001));
  });

  test("[CLU-6] a sender is remembered from its last number on, not from its first", async () => {
    const clock = new FakeClock();
    const numbers = new SequenceNumbers(clock, 60_000);
    assert.ok(numbers.take("a", 1));
    await clock.advance(40_000);
    assert.ok(numbers.take("a", 2));
    await clock.advance(40_000);
    // Senders are forgotten when another one is heard.
    assert.ok(numbers.take("b", 1));
    assert.equal(numbers.size, 2);
    for (const n of [1, 2]) assert.equal(numbers.take("a", n), false);
  });

  test("[CLU-6] however much a sender sends, little is remembered", async () => {
    const clock = new FakeClock();
    const numbers = new SequenceNumbers(clock, 60_000);
    const grown = await growthBy(async () => {
      const sender = `sender ${clock.now()}`;
      for (let n = 1; n <= 200_000; n++) assert.ok(numbers.take(sender, n));
      await clock.advance(1);
    }, 1_000_000);
    assert.ok(grown < 1_000_000, `It grew by ${grown} bytes`);
  });

  test("[CLU-6] senders are forgotten when all that they sent is stale, and bounded before", async () => {
    const clock = new FakeClock();
    const numbers = new SequenceNumbers(clock, 60_000);
    for (let i = 0; i < 4_096; i++) assert.ok(numbers.take(`node ${i}`, 1));
    // One more is turned away: to forget another would let its envelopes count again.
    assert.equal(numbers.take("one more", 1), false);
    assert.equal(numbers.take("node 0", 1), false);
    assert.ok(numbers.take("node 0", 2));
    assert.equal(numbers.size, 4_096);
    await clock.advance(60_000);
    assert.ok(numbers.take("one more", 1));
    assert.equal(numbers.size, 1);
  });
});
