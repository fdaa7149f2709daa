import assert from "node:assert/strict";
import { test } from "node:test";
import { assertLinear } from "../../support/growth.ts";

/** A clock that only work moves on. */
class WorkClock {
  #now = 0;
  readonly now = (): number => this.#now;
  readonly spend = (ms: number): void => {
    this.#now += ms;
  };
}

test("what takes the square of its size explodes", async () => {
  const { now, spend } = new WorkClock();
  await assert.rejects(assertLinear("squares", 160, (size) => spend(size ** 2 / 400), now), {
    message: /^squares: all takes longer than 16 parts of it: /,
  });
});

test("what takes its size doesn't, even when it is held up most of the time", async () => {
  const { now, spend } = new WorkClock();
  let run = 0;
  await assertLinear(
    "lines",
    80,
    (size) => spend(size / 8 + (++run % 6 === 0 || size < 80 ? 0 : 100)),
    now,
  );
});
