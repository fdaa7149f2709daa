import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CoarseLine } from "../../../src/internal/coarse_line.ts";
import { Wait } from "../../../src/internal/delay_line.ts";
import { FakeClock } from "../../support/clock.ts";

class Named extends Wait {
  readonly #over: () => void;

  constructor(over: () => void) {
    super();
    this.#over = over;
  }

  over(): void {
    this.#over();
  }
}

/** A line whose waits last 100 ms at least, and what was over. */
function lineOf() {
  const clock = new FakeClock();
  const line = new CoarseLine(clock, 100);
  const over: string[] = [];
  const begin = (name: string): Wait => {
    const wait = new Named(() => over.push(name));
    line.begin(wait);
    return wait;
  };
  return { clock, line, over, begin };
}

describe("CoarseLine", () => {
  test("a wait lasts its time at least, and twice as long at most", async () => {
    for (let later = 0; later < 100; later += 9) {
      const { clock, over, begin } = lineOf();
      begin("first");
      await clock.advance(later);
      begin("second");
      await clock.advance(99);
      assert.ok(!over.includes("second"));
      await clock.advance(101);
      assert.deepEqual(over, ["first", "second"]);
      await clock.advance(1_000);
      assert.deepEqual(over, ["first", "second"]);
      assert.equal(clock.pending, 0);
    }
  });

  test("has one timer for all its waits, and none for nothing", async () => {
    const { clock, over, begin } = lineOf();
    assert.equal(clock.pending, 0);
    for (let n = 0; n < 1_000; n++) begin(`${n}`);
    assert.equal(clock.pending, 1);
    for (let n = 0; n < 1_000; n++) begin("").cancel();
    assert.equal(clock.pending, 1);
    await clock.advance(200);
    assert.equal(over.length, 1_000);
    assert.equal(clock.pending, 0);
    begin("cancelled").cancel();
    await clock.advance(100);
    assert.equal(clock.pending, 0);
  });

  test("ends nothing that was cancelled, before or by another one's end", async () => {
    const { clock, line, over, begin } = lineOf();
    begin("a").cancel();
    line.begin(new Named(() => last.cancel()));
    begin("b");
    const last = begin("c");
    await clock.advance(200);
    assert.deepEqual(over, ["b"]);
  });

  test("what begins when another one is over waits its own time", async () => {
    const { clock, line, over, begin } = lineOf();
    line.begin(new Named(() => void begin("next")));
    await clock.advance(200);
    assert.deepEqual(over, []);
    await clock.advance(200);
    assert.deepEqual(over, ["next"]);
  });

  test("has no timer where waits last for ever", async () => {
    const clock = new FakeClock();
    const line = new CoarseLine(clock, Infinity);
    line.begin(new Named(() => assert.fail("over")));
    assert.equal(clock.pending, 0);
    await clock.advance(1e12);
  });

  test("rests only when nobody waits, and can be used again", async () => {
    const { clock, line, over, begin } = lineOf();
    const wait = begin("older");
    await clock.advance(100);
    begin("newer");
    line.rest();
    wait.cancel();
    await clock.advance(200);
    assert.deepEqual(over, ["newer"]);

    begin("alone").cancel();
    assert.equal(clock.pending, 1);
    line.rest();
    assert.equal(clock.pending, 0);
    begin("again");
    await clock.advance(200);
    assert.deepEqual(over, ["newer", "again"]);
  });
});
