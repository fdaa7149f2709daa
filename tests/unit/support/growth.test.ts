import assert from "node:assert/strict";
import { test } from "node:test";
import { assertLinear } from "../../support/growth.ts";

/** Keeps the processor busy for so many milliseconds. */
function spin(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

test("what takes the square of its size explodes", async () => {
  await assert.rejects(assertLinear("squares", 160, (size) => spin(size ** 2 / 200)), {
    message: /^squares: 16 times as much takes /,
  });
});

test("what takes its size doesn't, even when it is held up most of the time", async () => {
  let run = 0;
  await assertLinear(
    "lines",
    80,
    (size) => spin(size / 8 + (++run % 6 === 0 || size < 80 ? 0 : 100)),
  );
});
