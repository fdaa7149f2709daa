import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { type Deferred, EndOfTurn } from "../../../src/internal/end_of_turn.ts";
import { flush } from "../../support/clock.ts";

type Timers = "setImmediate" | "setTimeout";

/** Has another value stand in a global's place while something runs, which must not wait. */
function having<T>(name: Timers, value: unknown, run: () => T): T {
  const own = Object.getOwnPropertyDescriptor(globalThis, name);
  assert.ok(own);
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  try {
    return run();
  } finally {
    Object.defineProperty(globalThis, name, own);
  }
}

/** A turn of a host whose event loop a test moves by hand. */
class Loop {
  readonly turn = new EndOfTurn();
  readonly #looks: (() => void)[] = [];

  /** How often the host was asked to call back, and hasn't done so. */
  get looks(): number {
    return this.#looks.length;
  }

  defer(callback: () => void): Deferred {
    return this.#hosting(() => this.turn.defer(callback));
  }

  /** The host's turn is over: it calls back what it was asked to until then. */
  over(): void {
    for (const look of this.#looks.splice(0)) this.#hosting(look);
  }

  #hosting<T>(run: () => T): T {
    return having("setImmediate", (callback: () => void) => this.#looks.push(callback), run);
  }
}

/** Whether a wait is held by nothing and holds nothing. */
function assertLoose({ list, previous, next }: Deferred): void {
  assert.deepEqual({ list, previous, next }, {
    list: undefined,
    previous: undefined,
    next: undefined,
  });
}

describe("EndOfTurn", () => {
  test("calls each function once, in order, after all microtasks that are ready", async () => {
    const turn = new EndOfTurn();
    const calls: string[] = [];
    turn.defer(() => calls.push("a"));
    turn.defer(() => calls.push("b"));
    for (let i = 0; i < 100; i++) await Promise.resolve();
    calls.push("microtasks");
    await flush();
    assert.deepEqual(calls, ["microtasks", "a", "b"]);
    await flush();
    assert.equal(calls.length, 3);
  });

  test("asks the host once for all that begin in one turn, and again in the next", () => {
    const loop = new Loop();
    let calls = 0;
    for (const turn of [1, 2, 3]) {
      for (let i = 0; i < 1_000; i++) loop.defer(() => calls++);
      assert.equal(loop.looks, 1);
      loop.over();
      assert.equal(calls, turn * 1_000);
      assert.equal(loop.looks, 0);
    }
  });

  test("calls at the end of the turn where the host has timers alone", () => {
    const turn = new EndOfTurn();
    const timers: { readonly callback: () => void; readonly ms: number }[] = [];
    let calls = 0;
    const timer = (callback: () => void, ms: number) => timers.push({ callback, ms });
    const begin = () => turn.defer(() => calls++);
    having("setImmediate", undefined, () => having("setTimeout", timer, begin));
    assert.deepEqual(timers.map(({ ms }) => ms), [0]);
    assert.equal(calls, 0);
    timers[0]?.callback();
    assert.equal(calls, 1);
  });

  test("keeps none of 100,000 waits that are over before the turn is", () => {
    const loop = new Loop();
    const calls: string[] = [];
    const cancelled = () => calls.push("cancelled");
    const first = loop.defer(() => calls.push("first"));
    for (let i = 0; i < 100_000; i++) {
      const wait = loop.turn.defer(cancelled);
      assert.equal(wait.list, first.list);
      wait.cancel();
      assert.equal(wait.list, undefined);
    }
    assert.equal(first.list?.last, first);
    const last = loop.defer(() => calls.push("last"));
    assert.equal(first.next, last);
    assert.equal(last.previous, first);
    loop.over();
    assert.deepEqual(calls, ["first", "last"]);
    assertLoose(first);
    assertLoose(last);
  });

  test("a wait that is cancelled is never called, whether others wait or none", () => {
    const loop = new Loop();
    const calls: string[] = [];
    const wait = loop.defer(() => calls.push("a"));
    wait.cancel();
    wait.cancel();
    assertLoose(wait);
    loop.over();
    loop.defer(() => calls.push("b"));
    loop.over();
    assert.deepEqual(calls, ["b"]);
  });

  test("what begins in a callback waits for the next end", () => {
    const loop = new Loop();
    const calls: string[] = [];
    loop.defer(() => {
      calls.push("a");
      loop.defer(() => calls.push("of a"));
    });
    loop.defer(() => {
      calls.push("b");
      loop.defer(() => calls.push("of b"));
    });
    loop.over();
    assert.deepEqual(calls, ["a", "b"]);
    assert.equal(loop.looks, 1);
    loop.over();
    assert.deepEqual(calls, ["a", "b", "of a", "of b"]);
    assert.equal(loop.looks, 0);
  });

  test("a callback can cancel itself and others, of this end and of the next", () => {
    const loop = new Loop();
    const calls: string[] = [];
    const a = loop.defer(() => {
      calls.push("a");
      a.cancel();
      b.cancel();
      d.cancel();
      loop.defer(() => calls.push("of a")).cancel();
    });
    const b = loop.defer(() => calls.push("b"));
    loop.defer(() => {
      calls.push("c");
      a.cancel();
    });
    const d = loop.defer(() => calls.push("d"));
    loop.over();
    loop.over();
    assert.deepEqual(calls, ["a", "c"]);
    for (const wait of [a, b, d]) assertLoose(wait);
  });
});
