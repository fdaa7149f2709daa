import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inTime, LateError, PendingAnswer } from "../../../src/gateway/session/in_time.ts";
import { RecentFailures } from "../../../src/gateway/session/recent_failures.ts";
import { FakeClock, flush } from "../../support/clock.ts";

const RETRY_MS = 10_000;
const WAIT_MS = 2_000;

/** Waits for an upstream that answers when the test says so. */
function world(isAlone = false) {
  const clock = new FakeClock();
  const failures = new RecentFailures(clock, { retryMs: RETRY_MS });
  const answer = Promise.withResolvers<string>();
  const reported: string[] = [];
  let starts = 0;
  let retained = 0;
  const pending = new PendingAnswer(() => answer.promise, new AbortController().signal, () => {
    retained += 1;
    return () => void (retained -= 1);
  });
  const wait = () =>
    inTime({
      upstream: "up",
      during: "tools/list",
      keys: ["list", "open"],
      failures,
      clock,
      waitMs: WAIT_MS,
      isAlone,
      isShared: true,
      signal: new AbortController().signal,
      report: ({ type }) => void reported.push(type),
      start: () => {
        starts += 1;
        return pending;
      },
    });
  return { clock, answer, pending, reported, wait, starts: () => starts, retained: () => retained };
}

describe("inTime()", () => {
  test("[GTW-14] an answer that several miss is reported once, and kept for once", async () => {
    const { clock, answer, reported, wait, retained } = world();
    const waits = [1, 2, 3].map(() => assert.rejects(wait(), LateError));
    await clock.advance(WAIT_MS);
    await Promise.all(waits);
    assert.deepEqual(reported, ["upstream-slow"]);
    assert.equal(retained(), 1);
    answer.resolve("late");
    await flush();
    assert.equal(retained(), 0);
    assert.equal(clock.pending, 0);
  });

  test("[GTW-14] what may still come is asked for again at once, while nobody waits", async () => {
    const { clock, answer, wait, starts } = world();
    const first = assert.rejects(wait(), LateError);
    await clock.advance(WAIT_MS);
    await first;
    await assert.rejects(wait(), LateError);
    assert.equal(starts(), 2);
    assert.equal(clock.pending, 0);
    answer.resolve("late");
    await flush();
  });

  test("[GTW-14] alone, it is not asked for again for a while", async () => {
    const { clock, answer, wait, starts } = world(true);
    const first = assert.rejects(wait(), LateError);
    await clock.advance(WAIT_MS);
    await first;
    await clock.advance(RETRY_MS - 1);
    await assert.rejects(wait(), LateError);
    assert.equal(starts(), 1);
    await clock.advance(1);
    const second = wait();
    assert.equal(starts(), 2);
    answer.resolve("there");
    assert.equal(await second, "there");
    assert.equal(clock.pending, 0);
  });
});
