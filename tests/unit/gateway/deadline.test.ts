import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { abortable, withDeadline } from "../../../src/gateway/shared/deadline.ts";
import { UpstreamError } from "../../../src/gateway/shared/upstream_error.ts";
import { FakeClock } from "../../support/clock.ts";

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

describe("withDeadline()", () => {
  const ms = 100;

  test("ends with its work, and leaves no timer or listener", async () => {
    const clock = new FakeClock();
    const { signal, listeners } = counted();
    assert.equal(await withDeadline({ clock, ms, signal }, async () => "value"), "value");
    const failed = withDeadline({ clock, ms, signal }, () => Promise.reject(new Error("failed")));
    await assert.rejects(failed, /failed/);
    assert.equal(clock.pending, 0);
    assert.equal(listeners(), 0);
  });

  test("ends at the limit, even if the work ignores its signal", async () => {
    const clock = new FakeClock();
    let given: AbortSignal | undefined;
    const failed = assert.rejects(
      withDeadline({ clock, ms }, (signal) => (given = signal, NEVER)),
      (error) => error instanceof UpstreamError && error.kind === "timeout",
    );
    await clock.advance(ms - 1);
    assert.equal(given?.aborted, false);
    await clock.advance(1);
    await failed;
    assert.equal(given?.aborted, true);
  });

  test("ends with its parent signal, with the same reason", async () => {
    const clock = new FakeClock();
    const { signal, abort, listeners } = counted();
    const failed = assert.rejects(withDeadline({ clock, ms, signal }, () => NEVER), /^aborted$/);
    abort();
    await failed;
    assert.equal(clock.pending, 0);
    assert.equal(listeners(), 0);
    await assert.rejects(withDeadline({ clock, ms, signal }, () => NEVER), /^aborted$/);
  });
});
