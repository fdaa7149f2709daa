import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { onStopSignals } from "../../../src/adapters/stop_signals.ts";
import { FakeClock } from "../../support/clock.ts";

/** Signals that a test sends. */
function world(force: boolean) {
  const clock = new FakeClock();
  const log: string[] = [];
  const listeners = new Set<() => void>();
  const forget = onStopSignals({
    listen: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    clock,
    stop: () => log.push("stop"),
    ...force && { force: () => log.push("force") },
  });
  /** Returns whether the signal was handled; if not it would end the process. */
  const signal = () => {
    const handled = listeners.size > 0;
    for (const listener of [...listeners]) listener();
    return handled;
  };
  return { clock, log, forget, signal };
}

describe("onStopSignals()", () => {
  test("[END-3] signals within half a second of the first are one", async () => {
    const { clock, log, signal } = world(true);
    assert.equal(signal(), true);
    signal();
    await clock.advance(499);
    assert.equal(signal(), true);
    assert.deepEqual(log, ["stop"]);
  });

  test("[END-3] the next one after that forces the end, once", async () => {
    const { clock, log, signal } = world(true);
    signal();
    await clock.advance(300);
    signal();
    // What counts is the first one: repetitions don't extend the time
    await clock.advance(200);
    assert.deepEqual(log, ["stop"]);
    assert.equal(signal(), true);
    assert.deepEqual(log, ["stop", "force"]);
    assert.equal(signal(), false);
    assert.deepEqual(log, ["stop", "force"]);
  });

  test("[END-3] without a function that forces it, that signal has its default effect", async () => {
    const { clock, log, signal } = world(false);
    signal();
    await clock.advance(499);
    assert.equal(signal(), true);
    await clock.advance(1);
    assert.equal(signal(), false);
    assert.deepEqual(log, ["stop"]);
  });

  test("[END-3] what is forgotten stops nothing", () => {
    const { log, forget, signal } = world(true);
    forget();
    assert.equal(signal(), false);
    assert.deepEqual(log, []);
  });
});
