/**
 * How long everything else waits while sessions are ended in great numbers, in processor time: while
 * other programs have the processor, nothing here is to blame.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Clock } from "../src/internal/clock.ts";
import { open, senderAt } from "./client.ts";
import { cpuTime } from "./cpu_time.ts";
import { settle } from "./heap.ts";
import type { KindName } from "./kinds.ts";
import { ENDPOINT, INITIALIZE, post } from "./messages.ts";
import type { Stack, StackModule } from "./stacks/types.ts";

const HOUR = 3_600_000;
/** How many sessions begin at the cap. */
const EVICTIONS = 5_000;

/** The longest pause, in milliseconds, while `count` sessions end. */
export async function pauseOf(
  module: StackModule,
  kind: KindName,
  count: number,
): Promise<number> {
  const clock = new WarpClock();
  const stack = await module.make({ kind, tools: 3, room: count, clock });
  for (let n = 0; n < count; n++) await open(stack, senderAt(n));
  // Bun clears up in slices of 10 ms after a collection: what was made before is none of it.
  await settle();
  return kind === "sweep" ? await sweeping(stack, clock) : await evicting(stack);
}

/** Lets all sessions expire, and watches how long a turn of the event loop takes until all are gone. */
async function sweeping(stack: Stack, clock: WarpClock): Promise<number> {
  let longest = 0;
  let quiet = 0;
  clock.warp(HOUR);
  // The sweep goes on turn by turn. When nothing has happened for a while, it is over.
  while (quiet < 50) {
    const begin = cpuTime();
    await new Promise((resolve) => setTimeout(resolve, 0));
    longest = Math.max(longest, cpuTime() - begin);
    quiet = clock.fired ? 0 : quiet + 1;
    clock.fired = false;
  }
  const { status } = await stack.answer(new Request(ENDPOINT, post(INITIALIZE, senderAt(0))));
  assert.equal(status, 200);
  return longest;
}

/** Begins sessions of which each ends another one. */
async function evicting(stack: Stack): Promise<number> {
  let longest = 0;
  for (let n = 0; n < EVICTIONS; n++) {
    const request = new Request(ENDPOINT, post(INITIALIZE, senderAt(n)));
    const begin = cpuTime();
    const response = await stack.answer(request);
    longest = Math.max(longest, cpuTime() - begin);
    assert.equal(response.status, 200);
    await response.text();
  }
  return longest;
}

/** A clock whose long waits end when it is told so. */
class WarpClock implements Clock {
  /** Whether a wait has ended since this was last set to `false`. */
  fired = false;
  readonly #waiting = new Set<() => void>();
  #ahead = 0;

  now(): number {
    return Date.now() + this.#ahead;
  }

  timer(ms: number, callback: () => void): () => void {
    const fire = (): void => {
      this.fired = true;
      callback();
    };
    if (ms < 1_000) {
      const timer = setTimeout(fire, ms);
      return () => clearTimeout(timer);
    }
    this.#waiting.add(fire);
    return () => void this.#waiting.delete(fire);
  }

  /** Goes so many milliseconds ahead, and ends every wait. */
  warp(ms: number): void {
    this.#ahead += ms;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const fire of waiting) setTimeout(fire, 0);
  }
}
