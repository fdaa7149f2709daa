import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { tokenBucket, type TokenBucketOptions } from "../../../src/http/gates/token_bucket.ts";
import type { RateLimitDecision } from "../../../src/http/gates/rate_limit.ts";
import { FakeClock } from "../../support/clock.ts";
import { assertPassed, assertRefused, bare, pass } from "./support.ts";

function buckets(options: Omit<TokenBucketOptions, "key" | "clock">) {
  const clock = new FakeClock();
  const limiter = tokenBucket({ ...options, clock, key: (_request, context) => String(context) });
  const request = bare("GET");
  // The limiter answers at once, whatever its interface allows.
  const take = (key = "a") => limiter.check(request, key) as RateLimitDecision;
  return { clock, take };
}

const YES = { allowed: true };
const no = (retryAfterMs: number) => ({ allowed: false, retryAfterMs });

describe("tokenBucket()", () => {
  test("[GATE-4] allows a burst, then one request for each token that flows back", async () => {
    const { clock, take } = buckets({ perSecond: 2, burst: 3 });
    for (let i = 0; i < 3; i++) assert.deepEqual(take(), YES);
    assert.deepEqual(take(), no(500));
    await clock.advance(499);
    assert.deepEqual(take(), no(1));
    await clock.advance(1);
    assert.deepEqual(take(), YES);
    assert.deepEqual(take(), no(500));
  });

  test("[GATE-4] a bucket holds no more than its burst", async () => {
    const { clock, take } = buckets({ perSecond: 10, burst: 2 });
    take();
    await clock.advance(3_600_000);
    assert.deepEqual([take(), take(), take()], [YES, YES, no(100)]);
  });

  test("[GATE-4] a refused request takes no token", async () => {
    const { clock, take } = buckets({ perSecond: 1, burst: 1 });
    take();
    for (let i = 0; i < 50; i++) assert.deepEqual(take(), no(1000));
    await clock.advance(1000);
    assert.deepEqual(take(), YES);
  });

  test("[GATE-4] rates that are no whole milliseconds round a wait up, by no more than 1 ms", () => {
    const third = buckets({ perSecond: 3, burst: 1 });
    third.take();
    assert.deepEqual(third.take(), no(334));
    const slow = buckets({ perSecond: 0.3, burst: 1 });
    slow.take();
    assert.deepEqual(slow.take(), no(3334));
    const fast = buckets({ perSecond: 5000, burst: 1 });
    fast.take();
    assert.deepEqual(fast.take(), no(1));
  });

  test("[GATE-4] fractions of a millisecond never add up", async () => {
    for (const perSecond of [3, 7, 11, 13]) {
      const { clock, take } = buckets({ perSecond, burst: 3 });
      const start = clock.now();
      for (let i = 0; i < 3; i++) assert.deepEqual(take(), YES);
      for (let token = 1; token < 100; token++) {
        await clock.advance(take().retryAfterMs ?? 0);
        assert.equal(clock.now() - start, Math.ceil(token * 1000 / perSecond));
        assert.deepEqual(take(), YES);
      }
    }
  });

  test("[GATE-4] waiting as long as told suffices, and a millisecond less doesn't", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: 0.01, max: 900, noNaN: true }),
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 20 }),
        async (perSecond, burst, pauses) => {
          const clock = new FakeClock();
          let skew = 0;
          const now = () => clock.now() + skew;
          const limiter = tokenBucket({
            perSecond,
            burst,
            key: () => "a",
            clock: { now, timer: () => () => {} },
          });
          const take = () => limiter.check(bare("GET"), undefined) as RateLimitDecision; // at once
          for (const pause of pauses) {
            skew += pause;
            let decision = take();
            while (decision.allowed) decision = take();
            const wait = decision.retryAfterMs ?? 0;
            assert.ok(Number.isInteger(wait) && wait >= 1);
            if (wait > 1) {
              skew += wait - 1;
              assert.deepEqual(take(), no(1));
              skew += 1;
            } else {
              skew += wait;
            }
            assert.equal(take().allowed, true);
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  test("[GATE-4] keys have buckets of their own; `undefined` has none", () => {
    const { take } = buckets({ perSecond: 1, burst: 1 });
    assert.deepEqual([take("a"), take("b"), take("__proto__"), take("")], [YES, YES, YES, YES]);
    assert.deepEqual(
      [take("a"), take("b"), take("__proto__"), take("")],
      [1, 2, 3, 4].map(() => no(1000)),
    );
    const free = tokenBucket({ perSecond: 1, burst: 1, key: () => undefined });
    for (let i = 0; i < 5; i++) assert.deepEqual(free.check(bare("GET"), undefined), YES);
  });

  test("[GATE-4] remembers as many keys as it may, and forgets the one that was quiet for longest", () => {
    const { take } = buckets({ perSecond: 1, burst: 1, maxKeys: 3 });
    for (const key of ["a", "b", "c"]) assert.deepEqual(take(key), YES);
    assert.deepEqual(take("a"), no(1000));
    assert.deepEqual(take("d"), YES);
    assert.deepEqual(take("a"), no(1000));
    assert.deepEqual(take("c"), no(1000));
    assert.deepEqual(take("d"), no(1000));
    assert.deepEqual(take("b"), YES);
  });

  test("[GATE-4] a clock that is set back makes nobody wait longer than an empty bucket does", () => {
    const { clock, take } = buckets({ perSecond: 1, burst: 2 });
    take();
    take();
    clock.set(clock.now() - 3_600_000);
    assert.deepEqual(take(), no(1000));
    assert.deepEqual(take("b"), YES);
    assert.deepEqual(take("b"), YES);
    assert.deepEqual(take("b"), no(1000));
  });

  test("[GATE-4] limits requests at the gate, by what the host handed over", async () => {
    const rateLimit = tokenBucket({
      perSecond: 0.5,
      burst: 1,
      clock: new FakeClock(),
      key: (request, context) => `${context} ${request.method}`,
    });
    assertPassed(await pass(bare("DELETE"), { rateLimit }, "192.0.2.1"));
    assertPassed(await pass(bare("DELETE"), { rateLimit }, "192.0.2.2"));
    const outcome = await pass(bare("DELETE"), { rateLimit }, "192.0.2.1");
    assert.equal(outcome.response?.headers.get("retry-after"), "2");
    await assertRefused(outcome, 429, -32000, "rate-limit");
  });

  test("[GATE-4] a key that is no text, or a very long one, refuses", async () => {
    const keys = [
      () => {
        throw new Error("no key");
      },
      () => Promise.resolve("a"),
      () => 1,
      () => "x".repeat(1025),
    ];
    for (const key of keys) {
      // @ts-expect-error not all of them are texts
      const rateLimit = tokenBucket({ perSecond: 1, key });
      const outcome = await pass(bare("DELETE"), { rateLimit });
      await assertRefused(outcome, 429, -32000, "rate-limit");
      assert.equal(outcome.events[0]?.type, "error");
    }
  });

  test("[GATE-4] the burst is a second's worth of requests by default, and at least one", () => {
    const { take } = buckets({ perSecond: 2.5 });
    assert.deepEqual([take(), take(), take(), take().allowed], [YES, YES, YES, false]);
    const slow = buckets({ perSecond: 0.1 });
    assert.deepEqual([slow.take(), slow.take()], [YES, no(10_000)]);
  });

  test("[GATE-4] numbers out of range are misuse", () => {
    const key = () => "a";
    for (const perSecond of [0, -1, NaN, Infinity]) {
      assert.throws(() => tokenBucket({ perSecond, burst: 1, key }), RangeError, `${perSecond}`);
    }
    for (const burst of [0, -1, 1.5, NaN, Infinity]) {
      assert.throws(() => tokenBucket({ perSecond: 1, burst, key }), RangeError, `${burst}`);
    }
    for (const maxKeys of [0, -1, 1.5, NaN, Infinity]) {
      assert.throws(() => tokenBucket({ perSecond: 1, maxKeys, key }), RangeError, `${maxKeys}`);
    }
    // @ts-expect-error no function
    assert.throws(() => tokenBucket({ perSecond: 1 }), TypeError);
  });
});
