import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { abortable } from "../../../src/gateway/shared/deadline.ts";

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

describe("abortable()", () => {
  const ends: Readonly<
    Record<string, {
      readonly begin?: () => Promise<string>;
      readonly act?: (abort: () => void, rejects: ReadonlySet<(error: unknown) => void>) => void;
      readonly outcome: unknown;
    }>
  > = {
    "a promise that resolves": { begin: () => Promise.resolve("value"), outcome: "value" },
    "a promise that rejects": { begin: () => Promise.reject("failed"), outcome: "failed" },
    "a signal that aborts": { act: (abort) => abort(), outcome: "aborted" },
    "a function that rejects it": {
      act: (_, rejects) => {
        for (const reject of [...rejects]) reject("rejected");
      },
      outcome: "rejected",
    },
  };
  for (const [name, { begin = () => NEVER, act, outcome }] of Object.entries(ends)) {
    test(`ends with ${name}, and nothing of it is left`, async () => {
      const { signal, abort, listeners } = counted();
      const rejects = new Set<(error: unknown) => void>();
      const waited = abortable(begin(), signal, rejects);
      assert.equal(listeners(), 1);
      assert.equal(rejects.size, 1);
      act?.(abort, rejects);
      assert.equal(await waited.catch((error) => error), outcome);
      assert.equal(listeners(), 0);
      assert.equal(rejects.size, 0);
    });
  }

  test("rejects at once where the signal has aborted, and the promise is ignored", async () => {
    const { signal, abort, listeners } = counted();
    const rejects = new Set<(error: unknown) => void>();
    abort();
    await assert.rejects(
      abortable(Promise.reject(new Error("failed")), signal, rejects),
      /^aborted$/,
    );
    assert.equal(listeners(), 0);
    assert.equal(rejects.size, 0);
  });
});
