import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { InFlight } from "../../../src/calls/lifetime/inflight.ts";
import { onAbort, RequestScope } from "../../../src/calls/lifetime/scope.ts";
import { StopError } from "../../../src/calls/lifetime/stop.ts";

class Scope extends RequestScope {
  readonly seen: string[] = [];
  done(reason?: StopError): boolean {
    return this.finish(reason);
  }
  protected override stopped(reason: StopError): void {
    this.seen.push(reason.kind);
  }
}

describe("RequestScope", () => {
  test("the signal aborts with the reason, also when it is first read afterwards", () => {
    const [early, late] = [new Scope(1), new Scope(1)];
    const { signal } = early;
    early.stop(new StopError("timeout"));
    late.stop(new StopError("shutdown"));
    assert.ok(signal.aborted);
    assert.equal(signal.reason, early.reason);
    assert.equal(late.signal.reason.kind, "shutdown");
  });

  test("[CAN-2] the first reason wins, and a finished request can't be stopped", () => {
    const scope = new Scope(1);
    assert.ok(scope.stop(new StopError("cancelled", "enough")));
    assert.ok(!scope.stop(new StopError("shutdown")));
    assert.deepEqual(scope.seen, ["cancelled"]);
    assert.equal(scope.reason?.message, "The client cancelled the request: enough");

    const finished = new Scope(1);
    assert.ok(finished.done());
    assert.ok(!finished.stop(new StopError("cancelled")));
    assert.ok(!finished.signal.aborted);
  });

  test("listeners are told once, however the request ends, and can be taken back", () => {
    const scope = new Scope(1);
    const told: string[] = [];
    scope.onOver(() => told.push("kept"));
    scope.onOver(() => told.push("taken back"))();
    scope.done();
    scope.stop(new StopError("shutdown"));
    assert.deepEqual(told, ["kept"]);
  });
});

test("a listener that another one takes back is not told", () => {
  for (
    const listen of [
      (scope: Scope, listener: () => void) => scope.onOver(listener),
      (scope: Scope, listener: () => void) => onAbort(scope.signal, listener),
    ]
  ) {
    const scope = new Scope(1);
    const told: string[] = [];
    const first = listen(scope, () => {
      told.push("first");
      takeBack();
    });
    const takeBack = listen(scope, () => told.push("second"));
    scope.stop(new StopError("shutdown"));
    first();
    assert.deepEqual(told, ["first"]);
  }
});

describe("onAbort()", () => {
  const told: string[] = [];
  const listen = (signal: AbortSignal) => {
    told.length = 0;
    onAbort(signal, () => told.push("taken back"))();
    onAbort(signal, () => told.push(`kept: ${signal.aborted}`));
  };

  test("[CAN-2] tells of a request that is stopped, or over with a reason, once the signal has it", () => {
    for (const end of ["stop", "done"] as const) {
      const scope = new Scope(1);
      listen(scope.signal);
      scope[end](new StopError("timeout"));
      scope.stop(new StopError("shutdown"));
      assert.deepEqual(told, ["kept: true"]);
    }
  });

  test("doesn't tell of a request that finished", () => {
    const scope = new Scope(1);
    listen(scope.signal);
    scope.done();
    assert.deepEqual(told, []);
  });

  test("tells of any other signal, once", () => {
    const controller = new AbortController();
    listen(controller.signal);
    controller.abort();
    controller.signal.dispatchEvent(new Event("abort"));
    assert.deepEqual(told, ["kept: true"]);
  });
});

describe("InFlight", () => {
  test("[CAN-1] two requests under one id are two entries", () => {
    const inflight = new InFlight();
    const [first, second] = [new Scope(1), new Scope(1)];
    inflight.add(first);
    inflight.add(second);
    inflight.delete(first);
    inflight.cancel(1);
    assert.equal(first.reason, undefined);
    assert.equal(second.reason?.kind, "cancelled");
  });

  test("[STR-5][CAN-2] ids are compared with their type, and 0 and the empty text are ids", () => {
    const inflight = new InFlight();
    const scopes = [0, "0", "", 1, "1"].map((id) => new Scope(id));
    for (const scope of scopes) inflight.add(scope);
    inflight.cancel(0);
    inflight.cancel("");
    inflight.cancel("1");
    assert.deepEqual(scopes.map(({ over }) => over), [true, false, true, false, true]);
  });

  test("[CAN-7] everything is stopped with the reason of what ended it", () => {
    const inflight = new InFlight();
    const scope = new Scope(1);
    inflight.add(scope);
    inflight.stopAll("session-ended");
    assert.equal(scope.signal.reason.kind, "session-ended");
  });
});
