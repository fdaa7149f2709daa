import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { attempt, isPromise } from "../../../src/internal/types.ts";

const ERROR = new Error("no");

/** What follows, with what it was told. */
function follow<T>() {
  const calls: [string, unknown][] = [];
  const done = (value: T): string => {
    calls.push(["done", value]);
    return "after done";
  };
  const failed = (error: unknown): string => {
    calls.push(["failed", error]);
    return "after failure";
  };
  return { calls, done, failed };
}

describe("isPromise()", () => {
  test("knows anything with a method then, and nothing else", () => {
    const yes: unknown[] = [Promise.resolve(), { then() {} }];
    for (const value of yes) assert.equal(isPromise(value), true);
    const no: unknown[] = [undefined, null, 0, "then", {}, { then: 1 }, [], () => {}];
    for (const value of no) assert.equal(isPromise(value), false);
  });
});

describe("attempt()", () => {
  test("goes on at once where the work took no time", () => {
    for (const value of [1, 0, "", false, undefined, null]) {
      const { calls, done, failed } = follow<unknown>();
      assert.equal(attempt(() => value, done, failed), "after done");
      assert.deepEqual(calls, [["done", value]]);
    }
  });

  test("goes on at once where the work throws", () => {
    const { calls, done, failed } = follow();
    const work = () => {
      throw ERROR;
    };
    assert.equal(attempt(work, done, failed), "after failure");
    assert.deepEqual(calls, [["failed", ERROR]]);
  });

  test("goes on when the work is done", async () => {
    const { promise, resolve } = Promise.withResolvers<number>();
    const { calls, done, failed } = follow<number>();
    const outcome = attempt(() => promise, done, failed);
    assert.ok(isPromise(outcome));
    await Promise.resolve();
    assert.deepEqual(calls, []);
    resolve(7);
    assert.equal(await outcome, "after done");
    assert.deepEqual(calls, [["done", 7]]);
  });

  test("goes on when the work has failed", async () => {
    const { calls, done, failed } = follow();
    const outcome = attempt(() => Promise.reject(ERROR), done, failed);
    assert.equal(await outcome, "after failure");
    assert.deepEqual(calls, [["failed", ERROR]]);
  });

  test("waits for what follows, if that takes its time", async () => {
    const failed = () => 0;
    assert.equal(await attempt(() => 1, (value) => Promise.resolve(value + 1), failed), 2);
    assert.equal(await attempt(async () => 1, async (value) => value + 1, failed), 2);
    assert.equal(await attempt(() => Promise.reject(ERROR), () => 0, async () => 3), 3);
  });

  test("doesn't catch what follows throws", async () => {
    const { calls, failed } = follow();
    const done = () => {
      throw ERROR;
    };
    assert.throws(() => attempt(() => 1, done, failed), ERROR);
    await assert.rejects(async () => await attempt(() => Promise.resolve(1), done, failed), ERROR);
    await assert.rejects(
      async () => await attempt(() => 1, () => Promise.reject(ERROR), failed),
      ERROR,
    );
    assert.deepEqual(calls, []);
    const again = new Error("again");
    const fails = () => {
      throw again;
    };
    assert.throws(() => attempt(done, () => 0, fails), again);
    await assert.rejects(
      async () => await attempt(() => Promise.reject(ERROR), done, fails),
      again,
    );
  });
});
