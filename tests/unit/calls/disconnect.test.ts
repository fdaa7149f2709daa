import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { watchDisconnect } from "../../../src/calls/lifetime/disconnect.ts";
import { RequestScope } from "../../../src/calls/lifetime/scope.ts";
import { DelayLine } from "../../../src/internal/delay_line.ts";
import { FakeClock } from "../../support/clock.ts";

const WAIT_MS = 500;

class Scope extends RequestScope {
  protected override stopped(): void {}
}

/** A request, of whose signal it is known how many listeners it has. */
function make() {
  const clock = new FakeClock();
  const controller = new AbortController();
  const { signal } = controller;
  const { addEventListener, removeEventListener } = signal;
  let listeners = 0;
  Object.assign(signal, {
    addEventListener(...args: Parameters<typeof addEventListener>) {
      listeners++;
      addEventListener.apply(signal, args);
    },
    removeEventListener(...args: Parameters<typeof removeEventListener>) {
      listeners--;
      removeEventListener.apply(signal, args);
    },
  });
  const request = new Request("http://localhost/mcp", { method: "POST" });
  Object.defineProperty(request, "signal", { value: signal });
  const scope = new Scope(1);
  const line = new DelayLine(clock, WAIT_MS);
  return { clock, controller, request, scope, line, listeners: () => listeners };
}

describe("watchDisconnect()", () => {
  test("[CAN-6] listens after the wait, and stops the request when its client leaves", async () => {
    const { clock, controller, request, scope, line, listeners } = make();
    watchDisconnect(scope, request, line);
    await clock.advance(WAIT_MS - 1);
    assert.equal(listeners(), 0);
    await clock.advance(1);
    assert.equal(listeners(), 1);
    controller.abort();
    assert.equal(scope.reason?.kind, "disconnected");
  });

  test("[CAN-6] a client that has left before is noticed after the wait", async () => {
    const { clock, controller, request, scope, line } = make();
    watchDisconnect(scope, request, line);
    controller.abort();
    assert.equal(scope.over, false);
    await clock.advance(WAIT_MS);
    assert.equal(scope.reason?.kind, "disconnected");
  });

  test("[CAN-6] leaves neither a wait nor a listener when it is no longer needed", async () => {
    for (const ms of [0, WAIT_MS]) {
      const { clock, controller, request, scope, line, listeners } = make();
      const stop = watchDisconnect(scope, request, line);
      await clock.advance(ms);
      stop();
      line.rest();
      assert.equal(clock.pending, 0);
      assert.equal(listeners(), 0);
      controller.abort();
      assert.equal(scope.over, false);
    }
  });
});
