import { describe, test } from "node:test";
import assert from "node:assert/strict";
import type { Clock } from "../../../src/internal/clock.ts";
import { DelayLine, Wait } from "../../../src/internal/delay_line.ts";
import { FakeClock } from "../../support/clock.ts";

/** A fake clock that counts how often a timer is asked for. */
class CountingClock extends FakeClock implements Clock {
  asked = 0;

  override timer(ms: number, callback: () => void): () => void {
    this.asked += 1;
    return super.timer(ms, callback);
  }
}

describe("DelayLine", () => {
  test("calls back after its time, in order, each wait once", async () => {
    const clock = new FakeClock();
    const line = new DelayLine(clock, 100);
    const calls: string[] = [];
    line.add(() => calls.push("a"));
    await clock.advance(30);
    line.add(() => calls.push("b"));
    await clock.advance(69);
    assert.deepEqual(calls, []);
    await clock.advance(1);
    assert.deepEqual(calls, ["a"]);
    await clock.advance(29);
    assert.deepEqual(calls, ["a"]);
    await clock.advance(1);
    assert.deepEqual(calls, ["a", "b"]);
    await clock.advance(1_000);
    assert.deepEqual(calls, ["a", "b"]);
    assert.equal(clock.pending, 0);
  });

  test("has one timer for all its waits", async () => {
    const clock = new FakeClock();
    const line = new DelayLine(clock, 100);
    let calls = 0;
    for (let i = 0; i < 1_000; i++) line.add(() => calls++);
    assert.equal(clock.pending, 1);
    await clock.advance(100);
    assert.equal(calls, 1_000);
  });

  test("calls nothing that was cancelled before or meanwhile", async () => {
    const clock = new FakeClock();
    const line = new DelayLine(clock, 100);
    const calls: string[] = [];
    line.add(() => calls.push("a")).cancel();
    const b = line.add(() => {
      calls.push("b");
      b.cancel();
      c.cancel();
    });
    const c = line.add(() => calls.push("c"));
    line.add(() => calls.push("d"));
    await clock.advance(100);
    assert.deepEqual(calls, ["b", "d"]);
    b.cancel();
    c.cancel();
  });

  test("restart() begins a wait anew while it lasts, after it and after cancel()", async () => {
    const clock = new FakeClock();
    const line = new DelayLine(clock, 100);
    let calls = 0;
    const delay = line.add(() => calls++);
    await clock.advance(60);
    delay.restart();
    await clock.advance(99);
    assert.equal(calls, 0);
    await clock.advance(1);
    assert.equal(calls, 1);
    delay.restart();
    await clock.advance(100);
    assert.equal(calls, 2);
    delay.restart();
    delay.cancel();
    await clock.advance(100);
    assert.equal(calls, 2);
    delay.restart();
    await clock.advance(100);
    assert.equal(calls, 3);
  });

  test("replaceWith() lets another wait go on in the same place, and no wait that doesn't last", async () => {
    const clock = new FakeClock();
    const line = new DelayLine(clock, 100);
    const calls: string[] = [];
    class Named extends Wait {
      readonly name: string;
      constructor(name: string) {
        super();
        this.name = name;
      }
      elapsed(): void {
        calls.push(this.name);
      }
    }
    const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => new Named(name));
    assert.ok(a && b && c && d);
    line.begin(a);
    await clock.advance(60);
    line.begin(b);
    a.replaceWith(c);
    assert.deepEqual([a.pending, b.pending, c.pending], [false, true, true]);
    a.replaceWith(d);
    assert.equal(d.pending, false);
    await clock.advance(40);
    assert.deepEqual(calls, ["c"]);
    await clock.advance(100);
    assert.deepEqual(calls, ["c", "b"]);
  });

  test("a wait that begins anew in its callback makes no other late", async () => {
    const clock = new FakeClock();
    const line = new DelayLine(clock, 100);
    const start = clock.now();
    const calls: [string, number][] = [];
    const a = line.add(() => {
      calls.push(["a", clock.now() - start]);
      a.restart();
    });
    await clock.advance(10);
    line.add(() => calls.push(["b", clock.now() - start]));
    await clock.advance(200);
    assert.deepEqual(calls, [["a", 100], ["b", 110], ["a", 200]]);
  });

  test("waits for no more than its time once more when the clock is set back", async () => {
    const clock = new CountingClock();
    const line = new DelayLine(clock, 1_000);
    const calls: string[] = [];
    line.add(() => calls.push("a"));
    line.add(() => calls.push("b"));
    clock.set(clock.now() - 3_600_000);
    line.add(() => calls.push("c"));
    await clock.advance(2_000);
    assert.deepEqual(calls, ["a", "b", "c"]);
    assert.ok(clock.asked <= 4, `asked for ${clock.asked} timers`);
    assert.equal(clock.pending, 0);
  });

  test("goes on after the clock was set forward and back while something waited", async () => {
    const clock = new CountingClock();
    const line = new DelayLine(clock, 1_000);
    const calls: string[] = [];
    line.add(() => calls.push("a"));
    clock.set(clock.now() + 3_600_000);
    line.add(() => calls.push("b"));
    clock.set(clock.now() - 3_600_000);
    await clock.advance(1_000);
    assert.deepEqual(calls, ["a"]);
    await clock.advance(1_000);
    assert.deepEqual(calls, ["a", "b"]);
    assert.ok(clock.asked <= 4, `asked for ${clock.asked} timers`);
  });

  test("does not spin when it is to last no time, nor when timers fire early", async () => {
    const clock = new CountingClock();
    const line = new DelayLine(clock, 0);
    let calls = 0;
    const delay = line.add(() => {
      calls += 1;
      delay.restart();
    });
    await clock.advance(5);
    assert.equal(calls, 5);

    let now = 0;
    const early: Clock = {
      now: () => now,
      timer(ms, callback) {
        assert.ok(ms >= 1);
        timers.push(callback);
        return () => {};
      },
    };
    const timers: (() => void)[] = [];
    let called = false;
    new DelayLine(early, 10).add(() => called = true);
    now = 9.5;
    timers.shift()?.();
    assert.equal(called, false);
    assert.equal(timers.length, 1);
    now = 10;
    timers.shift()?.();
    assert.equal(called, true);
    assert.equal(timers.length, 0);
  });

  test("a callback that throws keeps no other from being called", async () => {
    const fire: (() => void)[] = [];
    let now = 0;
    const line = new DelayLine({
      now: () => now,
      timer(_ms, callback) {
        fire.push(callback);
        return () => {};
      },
    }, 10);
    let called = false;
    line.add(() => {
      throw new Error("no");
    });
    line.add(() => called = true);
    now = 10;
    assert.throws(() => fire.shift()?.(), /no/);
    fire.shift()?.();
    assert.equal(called, true);
  });

  test("[END-2] clear() ends every wait and the timer, also from a callback", async () => {
    const clock = new FakeClock();
    const line = new DelayLine(clock, 100);
    let calls = 0;
    const delay = line.add(() => calls++);
    line.add(() => calls++);
    line.clear();
    line.clear();
    assert.equal(clock.pending, 0);
    delay.cancel();
    await clock.advance(200);
    assert.equal(calls, 0);
    line.add(() => {
      calls++;
      line.clear();
    });
    line.add(() => calls++);
    await clock.advance(200);
    assert.equal(calls, 1);
    assert.equal(clock.pending, 0);
  });
});
