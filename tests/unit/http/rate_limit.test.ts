import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateSettings } from "../../../src/http/gates/options.ts";
import { Inbound } from "../../../src/http/inbound.ts";
import type { RateLimitDecision } from "../../../src/http/gates/rate_limit.ts";
import { assertPassed, assertRefused, bare, pass, passHead, post } from "./support.ts";

const says = (decision: RateLimitDecision) => ({ rateLimit: { check: () => decision } });
const saysLater = (decision: RateLimitDecision) => ({
  rateLimit: { check: () => Promise.resolve(decision) },
});

/** `retryAfterMs`, the Retry-After header. */
const WAITS: readonly (readonly [number | undefined, string | null])[] = [
  [undefined, null],
  [0, null],
  [-1, null],
  [-5000, null],
  [0.001, "1"],
  [1, "1"],
  [999, "1"],
  [1000, "1"],
  [1001, "2"],
  [60_000, "60"],
  [NaN, null],
  [Infinity, null],
];

describe("the rate limit gate", () => {
  test("[GATE-4] is asked once for each request, with its context, and nobody known yet", async () => {
    const asked: unknown[] = [];
    const check = (...args: unknown[]) => {
      asked.push(args);
      return { allowed: true };
    };
    const request = post();
    const context = { remote: "192.0.2.1" };
    assertPassed(await pass(request, { rateLimit: { check } }, context));
    assert.deepEqual(asked, [[request, context, undefined]]);
  });

  test("[GATE-4] is asked with its own `this`", async () => {
    const rateLimit = {
      left: 1,
      check() {
        return { allowed: this.left-- > 0 };
      },
    };
    assertPassed(await pass(post(), { rateLimit }));
    await assertRefused(await pass(post(), { rateLimit }), 429, -32000, "rate-limit");
  });

  for (const [ms, header] of WAITS) {
    test(`[GATE-4] a wait of ${ms} ms is Retry-After ${header}`, async () => {
      for (const options of [says, saysLater]) {
        const outcome = await pass(post(), options({ allowed: false, retryAfterMs: ms }));
        assert.equal(outcome.response?.headers.get("retry-after"), header);
        await assertRefused(outcome, 429, -32000, "rate-limit");
      }
    });
  }

  test("[GATE-4] counts every verb", async () => {
    const options = says({ allowed: false });
    for (const method of ["GET", "DELETE", "OPTIONS", "PUT"]) {
      await assertRefused(await pass(bare(method), options), 429, -32000, "rate-limit");
    }
  });

  test("[GATE-4] lets pass what the limiter allows later", async () => {
    assertPassed(await pass(post(), saysLater({ allowed: true })));
    assertPassed(await pass(bare("DELETE"), saysLater({ allowed: true })));
    const outcome = await pass(bare("PUT"), saysLater({ allowed: true }));
    await assertRefused(outcome, 405, -32000, "method");
  });

  test("[GATE-4] a limiter that throws or rejects refuses, and is reported", async () => {
    const error = new Error("redis://secret is away");
    const broken = [
      () => {
        throw error;
      },
      () => Promise.reject(error),
    ];
    for (const check of broken) {
      const outcome = await pass(post(), { rateLimit: { check } });
      const message = await assertRefused(outcome, 429, -32000, "rate-limit");
      assert.deepEqual(outcome.events[0], { type: "error", during: "rate-limit", error });
      assert.doesNotMatch(message, /secret/);
    }
  });

  test("[GATE-4] a limiter that answers with no decision refuses, and is reported", async () => {
    for (const check of [() => undefined, () => Promise.resolve(null)]) {
      // @ts-expect-error no decision
      const outcome = await pass(post(), { rateLimit: { check } });
      await assertRefused(outcome, 429, -32000, "rate-limit");
      assert.equal(outcome.events[0]?.type, "error");
    }
    // @ts-expect-error not a boolean
    await assertRefused(await pass(post(), says({ allowed: 1 })), 429, -32000, "rate-limit");
  });

  test("[GATE-4] is asked before the body is read", async () => {
    const request = post();
    await assertRefused(await pass(request, says({ allowed: false })), 429, -32000, "rate-limit");
    assert.equal(request.bodyUsed, false);
  });

  test("[GATE-4] a limiter that answers at once takes no promise", () => {
    const settings = gateSettings(says({ allowed: true }));
    assert.equal(passHead(new Inbound(bare("DELETE")), settings), undefined);
  });

  test("[GATE-4] a limiter without `check` is misuse", () => {
    // @ts-expect-error not a limiter
    assert.throws(() => gateSettings({ rateLimit: () => true }), TypeError);
    // @ts-expect-error not a limiter
    assert.throws(() => gateSettings({ rateLimit: null }), TypeError);
  });
});
