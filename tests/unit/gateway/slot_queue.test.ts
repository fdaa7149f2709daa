import assert from "node:assert/strict";
import { test } from "node:test";
import { NoSlotError, SlotQueue } from "../../../src/gateway/shared/slot_queue.ts";
import { FakeClock, flush } from "../../support/clock.ts";

const { signal } = new AbortController();

function queue(most: number, mostEach: number) {
  const clock = new FakeClock();
  return { clock, slots: new SlotQueue({ clock, most, mostEach, waitMs: 2000 }) };
}

const share = (error: unknown): boolean => error instanceof NoSlotError && error.isShare;
const all = (error: unknown): boolean => error instanceof NoSlotError && !error.isShare;

test("[GTW-14] slots are limited in total and for each owner", async () => {
  const { clock, slots } = queue(3, 2);
  const [a, , b] = [
    await slots.take("ada", signal),
    await slots.take("ada", signal),
    await slots.take("bob", signal),
  ];
  const third = assert.rejects(async () => await slots.take("bob", signal), all);
  await clock.advance(2000);
  await third;
  b();
  const own = assert.rejects(async () => await slots.take("ada", signal), share);
  await clock.advance(2000);
  await own;
  a();
  await slots.take("ada", signal);
  assert.deepEqual([slots.taken, slots.waiting, clock.pending], [2, 0, 0]);
});

test("[GTW-14] without an owner the share is the whole", async () => {
  const { slots } = queue(3, 1);
  for (let n = 0; n < 3; n++) await slots.take(undefined, signal);
  assert.equal(slots.taken, 3);
});

test("[GTW-14] a slot comes back once, and to the first that may have it", async () => {
  const { slots } = queue(3, 1);
  await slots.take("eve", signal);
  const ada = await slots.take("ada", signal);
  const bob = await slots.take("bob", signal);
  const got: string[] = [];
  const waits = ["ada", "cleo", "dan"].map(async (owner) => {
    const release = await slots.take(owner, signal);
    got.push(owner);
    return release;
  });
  await flush();
  bob();
  bob();
  await flush();
  // Ada has her share already, and Dan came later than Cleo.
  assert.deepEqual([got, slots.taken, slots.waiting], [["cleo"], 3, 2]);
  ada();
  await flush();
  assert.deepEqual([got, slots.taken, slots.waiting], [["cleo", "ada"], 3, 1]);
  (await waits[1])?.();
  await flush();
  assert.deepEqual([got, slots.taken, slots.waiting], [["cleo", "ada", "dan"], 3, 0]);
});

test("[GTW-14] those who wait are limited too, in total and for each owner", async () => {
  const { clock, slots } = queue(3, 2);
  const held = [await slots.take("a", signal), await slots.take("a", signal)];
  const waiting = [slots.take("a", signal), slots.take("a", signal)];
  await assert.rejects(async () => await slots.take("a", signal), share);
  await slots.take("b", signal);
  waiting.push(slots.take("b", signal));
  await assert.rejects(async () => await slots.take("c", signal), all);
  const ends = waiting.map((each) => assert.rejects(async () => await each, NoSlotError));
  await clock.advance(2000);
  await Promise.all(ends);
  for (const release of held) release();
  assert.deepEqual([slots.taken, slots.waiting, clock.pending], [1, 0, 0]);
});

test("[GTW-14] a thousand may wait at most, whatever may run", async () => {
  const { clock, slots } = queue(1100, 1100);
  for (let n = 0; n < 1100; n++) await slots.take("a", signal);
  const ends = Array.from(
    { length: 1000 },
    () => assert.rejects(async () => await slots.take("a", signal), NoSlotError),
  );
  await flush();
  assert.equal(slots.waiting, 1000);
  await assert.rejects(async () => await slots.take("a", signal), all);
  assert.equal(slots.waiting, 1000);
  await clock.advance(2000);
  await Promise.all(ends);
  assert.deepEqual([slots.waiting, clock.pending], [0, 0]);
});

test("[GTW-14] a wait that is aborted leaves the line, even with a slot in the same turn", async () => {
  const { clock, slots } = queue(1, 1);
  const release = await slots.take("a", signal);
  const aborted = AbortSignal.abort(new Error("Gone"));
  await assert.rejects(async () => await slots.take("b", aborted), /Gone/);
  for (const isFirst of [true, false]) {
    const stop = new AbortController();
    const waiting = assert.rejects(async () => await slots.take("b", stop.signal), /Gone/);
    await flush();
    if (!isFirst) release();
    stop.abort(new Error("Gone"));
    await waiting;
  }
  assert.deepEqual([slots.taken, slots.waiting, clock.pending], [0, 0, 0]);
});
