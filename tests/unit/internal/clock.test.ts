import { execFile } from "node:child_process";
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import process from "node:process";
import { promisify } from "node:util";
import { systemClock } from "../../../src/internal/clock.ts";
import { FakeClock } from "../../support/clock.ts";

describe("systemClock", () => {
  test("tells the time and calls back once", async () => {
    const before = Date.now();
    assert.ok(systemClock.now() >= before);
    let calls = 0;
    // The timer keeps no process alive, so another one has to.
    const alive = setTimeout(() => {}, 60_000);
    try {
      await new Promise<void>((resolve) => {
        systemClock.timer(1, () => {
          calls += 1;
          resolve();
        });
      });
      assert.equal(calls, 1);
      assert.ok(systemClock.now() - before >= 1);
    } finally {
      clearTimeout(alive);
    }
  });

  test("calls nothing back that was stopped, nor anything too early that is far away", async () => {
    let calls = 0;
    const stops = [0, 2 ** 31, 2 ** 40, Infinity].map((ms) => systemClock.timer(ms, () => calls++));
    stops[0]?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(calls, 0);
    for (const stop of stops) stop();
  });

  test("[END-2] a timer keeps no process alive", async () => {
    const module = new URL("../../../src/internal/clock.ts", import.meta.url).href;
    const script = `const { systemClock } = await import(${
      JSON.stringify(module)
    }); systemClock.timer(600000, () => {});`;
    const args = "Deno" in globalThis
      ? ["eval", script]
      : "Bun" in globalThis
      ? ["-e", script]
      : ["--input-type=module", "-e", script];
    await promisify(execFile)(process.execPath, args, { timeout: 20_000 });
  });
});

describe("FakeClock", () => {
  test("runs due timers in order, each at its own time, also those set meanwhile", async () => {
    const clock = new FakeClock(0);
    const calls: [string, number][] = [];
    clock.timer(20, () => calls.push(["b", clock.now()]));
    clock.timer(10, () => {
      calls.push(["a", clock.now()]);
      clock.timer(5, () => calls.push(["c", clock.now()]));
    });
    const stop = clock.timer(15, () => calls.push(["stopped", clock.now()]));
    clock.timer(31, () => calls.push(["late", clock.now()]));
    stop();
    assert.equal(clock.pending, 3);
    await clock.advance(30);
    assert.deepEqual(calls, [["a", 10], ["c", 15], ["b", 20]]);
    assert.equal(clock.now(), 30);
    assert.equal(clock.pending, 1);
  });

  test("lets what a timer set going run before the next timer", async () => {
    const clock = new FakeClock(0);
    const calls: string[] = [];
    clock.timer(10, () => {
      Promise.resolve().then(() => calls.push("after a"));
      calls.push("a");
    });
    clock.timer(10, () => calls.push("b"));
    await clock.advance(10);
    assert.deepEqual(calls, ["a", "after a", "b"]);
  });
});
