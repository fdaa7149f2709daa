import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { DelayLine } from "../../../src/internal/delay_line.ts";
import { EndOfTurn } from "../../../src/internal/end_of_turn.ts";
import { AsyncRequestContext } from "../../../src/internal/request_context.ts";
import { FakeClock, flush } from "../../support/clock.ts";

/** A clock whose timers end with their request, as on Workers. */
class RequestClock extends FakeClock {
  readonly perRequest = true;
  #stops: (() => void)[] = [];

  override timer(ms: number, callback: () => void): () => void {
    const stop = super.timer(ms, callback);
    this.#stops.push(stop);
    return stop;
  }

  /** Ends the requests that have set timers. */
  endRequests(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }
}

describe("DelayLine where timers end with their request", () => {
  test("[WRK-2] each wait has a timer of its own", async () => {
    const clock = new RequestClock();
    const line = new DelayLine(clock, 100);
    const calls: string[] = [];
    line.add(() => calls.push("first"));
    clock.endRequests();
    await clock.advance(50);
    line.add(() => calls.push("second"));
    await clock.advance(100);
    assert.deepEqual(calls, ["second"]);
  });

  test("[WRK-2] a wait that another request restarts keeps its own request's timer", async () => {
    const clock = new RequestClock();
    const line = new DelayLine(clock, 100);
    let calls = 0;
    const wait = line.add(() => calls++);
    await clock.advance(60);
    wait.restart();
    assert.equal(clock.pending, 1);
    await clock.advance(60);
    assert.equal(calls, 0);
    await clock.advance(40);
    assert.equal(calls, 1);
    wait.restart();
    wait.cancel();
    await clock.advance(500);
    assert.equal(calls, 1);
  });

  test("[WRK-2] a wait that lost its timer ends when others begin, a few at a time", async () => {
    const clock = new RequestClock();
    const line = new DelayLine(clock, 100);
    const lost: number[] = [];
    for (let i = 0; i < 6; i++) line.add(() => assert.fail("elapsed"), () => lost.push(i));
    line.add(() => {
      throw new Error("of a request that is gone");
    });
    clock.endRequests();
    await clock.advance(5_000);
    assert.deepEqual(lost, []);
    line.add(() => {}).cancel();
    assert.deepEqual(lost, [0, 1, 2, 3]);
    line.add(() => {}).cancel();
    assert.deepEqual(lost, [0, 1, 2, 3, 4, 5]);
    assert.equal(line.oldest, undefined);
  });
});

describe("EndOfTurn where requests are kept apart", () => {
  test("[WRK-2] each work has a callback of its own, and can be cancelled", async () => {
    const turn = new EndOfTurn(true);
    const calls: string[] = [];
    turn.defer(() => calls.push("a"));
    turn.defer(() => calls.push("b")).cancel();
    turn.defer(() => calls.push("c"));
    await new Promise((resolve) => setTimeout(resolve, 0));
    await flush();
    assert.deepEqual(calls, ["a", "c"]);
  });
});

describe("RequestContext", () => {
  test("[WRK-2] runs functions later, in order, also those that functions ask for", async () => {
    const context = new AsyncRequestContext();
    const calls: string[] = [];
    context.run(() => {
      calls.push("a");
      context.run(() => calls.push("c"));
    });
    context.run(() => calls.push("b"));
    assert.equal(calls.length, 0);
    await flush();
    assert.equal(calls.join(), "a,b,c");
    context.run(() => calls.push("d"));
    await flush();
    assert.equal(calls.join(), "a,b,c,d");
  });
});
