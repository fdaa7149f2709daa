/**
 * What the soak counts: how many calls ran at once, and how much was spent.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { mostAtOnce, mostOver } from "../../faults/cluster/metered.ts";
import type { Timed } from "../../faults/cluster/node.ts";

const timed = (...all: readonly (readonly [Timed["what"], string, number])[]): Timed[] =>
  all.map(([what, call, at]) => ({ what, call, at }));

describe("mostAtOnce()", () => {
  test("[CLU-14] counts the calls between their beginning and their end", () => {
    assert.equal(mostAtOnce([]), 0);
    assert.equal(mostAtOnce(timed(["began", "a", 1])), 1);
    const one = timed(["began", "a", 1], ["ended", "a", 2], ["began", "b", 3], ["ended", "b", 4]);
    assert.equal(mostAtOnce(one), 1);
    const two = timed(["began", "a", 1], ["began", "b", 2], ["ended", "a", 3], ["began", "c", 4]);
    assert.equal(mostAtOnce(two), 2);
    assert.equal(
      mostAtOnce(timed(...["a", "b", "c"].map((call) => ["began", call, 1] as const))),
      3,
    );
  });

  test("[CLU-14] goes by the times, in whatever order nodes tell them", () => {
    const late = timed(["ended", "b", 4], ["began", "b", 3], ["ended", "a", 2], ["began", "a", 1]);
    assert.equal(mostAtOnce(late), 1);
    const crossed = timed(["began", "b", 2], ["ended", "a", 5], ["ended", "b", 3], [
      "began",
      "a",
      1,
    ]);
    assert.equal(mostAtOnce(crossed), 2);
  });

  test("[CLU-14] what ends in the millisecond in which another begins makes room for it", () => {
    const same = timed(["began", "a", 1], ["began", "b", 2], ["ended", "a", 2]);
    assert.equal(mostAtOnce(same), 1);
    const short = timed(["began", "a", 1], ["ended", "a", 1], ["began", "b", 5]);
    assert.equal(mostAtOnce(short), 1);
  });

  test("[CLU-14] a call whose end nobody tells runs on, and what is spent does not run", () => {
    const dead = timed(["began", "dead", 1], ["spent", "s", 2], ["began", "a", 90], [
      "ended",
      "a",
      95,
    ]);
    assert.equal(mostAtOnce(dead), 2);
  });
});

describe("mostOver()", () => {
  test("[CLU-16] what is spent at once counts whole, and rest is forgotten at the rate", () => {
    assert.equal(mostOver([], 10), 0);
    assert.equal(mostOver([5, 5, 5], 10), 3);
    // Two a second are added: of those half a second apart each finds what the one before has used.
    assert.equal(mostOver([0, 500, 1_000, 1_500], 2), 1);
    assert.equal(mostOver([0, 250, 500, 750], 2), 2.5);
  });

  test("[CLU-16] a pause adds no more than a full bucket", () => {
    const burst = Array.from({ length: 10 }, () => 0);
    assert.equal(mostOver(burst, 5), 10);
    assert.equal(mostOver([...burst, ...burst.map(() => 60_000)], 5), 10);
    // One second adds five: ten more after it are five too many.
    assert.equal(mostOver([...burst, ...burst.map(() => 1_000)], 5), 15);
  });

  test("[CLU-16] goes by the times, in whatever order nodes tell them", () => {
    assert.equal(mostOver([1_500, 0, 1_000, 500], 2), 1);
  });

  test("[CLU-16] equals the most of any stretch of time", () => {
    const times = [0, 10, 10, 400, 401, 900, 900, 900, 2_000, 2_001, 2_100, 5_000];
    let most = 0;
    for (const [from, begin] of times.entries()) {
      for (const [to, end] of times.entries()) {
        if (to >= from) most = Math.max(most, to - from + 1 - (end - begin) / 1_000 * 3);
      }
    }
    assert.ok(Math.abs(mostOver(times, 3) - most) < 1e-9);
  });
});
