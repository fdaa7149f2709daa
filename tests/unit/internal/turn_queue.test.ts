import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { TurnQueue } from "../../../src/internal/end_of_turn.ts";

/** Waits as a request does. */
async function pass(queue: TurnQueue): Promise<void> {
  await queue.next();
}

/** Lets a number of works wait, and notes the order in which they continue. */
function begin(queue: TurnQueue, count: number): number[] {
  const done: number[] = [];
  for (let n = 0; n < count; n++) void pass(queue).then(() => done.push(n));
  return done;
}

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

describe("TurnQueue", () => {
  test("[HOST-7] what waits in one turn continues in order, after all that is ready", async () => {
    const done = begin(new TurnQueue(), 3);
    for (let i = 0; i < 100; i++) await Promise.resolve();
    assert.deepEqual(done, []);
    await turn();
    assert.deepEqual(done, [0, 1, 2]);
  });

  test("[HOST-7] of much that waits, 16 at most continue in a turn", async () => {
    const queue = new TurnQueue();
    const done = begin(queue, 40);
    const turns: number[] = [];
    for (let before = 0; done.length < 40; before = done.length) {
      await turn();
      if (done.length > before) turns.push(done.length - before);
    }
    assert.deepEqual(turns, [16, 16, 8]);
    assert.deepEqual(done, upTo(40));
  });

  test("[HOST-7] what begins to wait while a row runs continues in a later turn", async () => {
    const queue = new TurnQueue();
    const done: string[] = [];
    void pass(queue).then(() => {
      done.push("first");
      void pass(queue).then(() => done.push("later"));
    });
    void pass(queue).then(() => done.push("second"));
    for (let i = 0; done.length < 3 && i < 100; i++) await turn();
    assert.deepEqual(done, ["first", "second", "later"]);
  });

  test("[HOST-7] of requests that come one at a time, one in 64 waits; of those that come together, all", async () => {
    const queue = new TurnQueue();
    const waits = async (together: number) => {
      const all = Array.from({ length: together }, () => queue.next());
      await Promise.all(all);
      return all.filter((one) => one !== undefined).length;
    };
    let waited = 0;
    for (let n = 0; n < 8; n++) waited += await waits(1);
    assert.equal(waited, 8);
    for (let n = 0; n < 640; n++) waited += await waits(1);
    assert.equal(waited, 8 + 10);
    // The first that come together: those before the one that waits don't, the ones after it do.
    assert.equal(await waits(100), 37);
    assert.equal(await waits(40), 40);
    assert.equal(await waits(1), 1);
  });

  test("[HOST-7, WRK-2] where requests are kept apart, nothing waits for another's turn", async () => {
    const done = begin(new TurnQueue(true), 40);
    for (let i = 0; i < 3; i++) await Promise.resolve();
    assert.deepEqual(done, upTo(40));
  });
});
