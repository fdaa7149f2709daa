import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { raced } from "../../../src/gateway/bounded.ts";

const NEVER = new Promise<never>(() => {});

/** A signal that counts who listens to it. */
function counted() {
  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--;
    remove(...args);
  };
  return { signal, abort: () => controller.abort("aborted"), listeners: () => listeners };
}

describe("raced()", () => {
  const ends: Readonly<
    Record<string, {
      readonly begin?: () => Promise<string>;
      readonly act?: (abort: () => void, failing: ReadonlySet<(error: unknown) => void>) => void;
      readonly outcome: unknown;
    }>
  > = {
    "a promise that resolves": { begin: () => Promise.resolve("value"), outcome: "value" },
    "a promise that rejects": { begin: () => Promise.reject("failed"), outcome: "failed" },
    "a signal that aborts": { act: (abort) => abort(), outcome: "aborted" },
    "somebody who lets it fail": {
      act: (_, failing) => {
        for (const fail of [...failing]) fail("let fail");
      },
      outcome: "let fail",
    },
  };
  for (const [name, { begin = () => NEVER, act, outcome }] of Object.entries(ends)) {
    test(`ends with ${name}, and nothing of it is left`, async () => {
      const { signal, abort, listeners } = counted();
      const failing = new Set<(error: unknown) => void>();
      const waited = raced(begin(), signal, failing);
      assert.equal(listeners(), 1);
      assert.equal(failing.size, 1);
      act?.(abort, failing);
      assert.equal(await waited.catch((error) => error), outcome);
      assert.equal(listeners(), 0);
      assert.equal(failing.size, 0);
    });
  }

  test("rejects at once where the signal has aborted, and nobody hears of the promise", async () => {
    const { signal, abort, listeners } = counted();
    const failing = new Set<(error: unknown) => void>();
    abort();
    await assert.rejects(raced(Promise.reject(new Error("failed")), signal, failing), /^aborted$/);
    assert.equal(listeners(), 0);
    assert.equal(failing.size, 0);
  });
});
