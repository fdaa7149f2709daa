import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RecentFailures } from "../../../src/gateway/session/recent_failures.ts";
import { FakeClock } from "../../support/clock.ts";

const RETRY_MS = 10_000;
/** How long a failure is remembered. */
const KEPT_MS = RETRY_MS + 60_000;

function failure(error: string) {
  return { error, isSlow: false };
}

describe("RecentFailures", () => {
  test("[GTW-14] a failure is tried again at its time, and forgotten a minute later", async () => {
    const clock = new FakeClock();
    const failures = new RecentFailures(clock, { retryMs: RETRY_MS });
    const now = clock.now();
    failures.add("up", "a", failure("1"));
    failures.add("up", "b", failure("2"), 0);
    assert.equal(failures.get("up", "a")?.retryAt, now + RETRY_MS);
    assert.equal(failures.get("up", "b")?.retryAt, now);
    await clock.advance(KEPT_MS - 1);
    assert.equal(failures.get("up", "a")?.error, "1");
    assert.equal(failures.get("up", "b")?.error, "2");
    await clock.advance(1);
    assert.equal(failures.get("up", "a"), undefined);
    assert.equal(failures.get("up", "b"), undefined);
  });

  test("[GTW-14] those that are forgotten take no memory after the next one", async () => {
    const clock = new FakeClock();
    const failures = new RecentFailures(clock, { retryMs: RETRY_MS });
    failures.add("up", "a", failure("1"));
    failures.add("up", "b", failure("2"));
    await clock.advance(KEPT_MS);
    failures.add("up", "c", failure("3"));
    assert.equal(failures.size, 1);
  });

  test("[GTW-14] at the bound the oldest goes; a new failure of the same is the newest", () => {
    const failures = new RecentFailures(new FakeClock(), { retryMs: RETRY_MS, most: 3 });
    failures.add("up", "a", failure("1"));
    failures.add("up", "b", failure("2"));
    failures.add("up", "a", failure("3"));
    assert.equal(failures.size, 2);
    failures.add("up", "c", failure("4"));
    failures.add("up", "d", failure("5"));
    assert.equal(failures.size, 3);
    assert.equal(failures.get("up", "a")?.error, "3");
    assert.equal(failures.get("up", "b"), undefined);
  });

  test("[GTW-14] an upstream is forgotten without others whose names begin alike", () => {
    const failures = new RecentFailures(new FakeClock(), { retryMs: RETRY_MS });
    failures.add("up", "a", failure("1"));
    failures.add("up", "b", failure("2"));
    failures.add("upper", "a", failure("3"));
    failures.removeAll("up");
    assert.equal(failures.size, 1);
    assert.equal(failures.get("upper", "a")?.error, "3");
  });
});
