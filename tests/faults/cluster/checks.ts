/**
 * What tests say of a cluster whose Redis comes and goes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import type { Peer } from "../../support/wire.ts";
import { type Cluster, until } from "./cluster.ts";
import type { Follower } from "./follower.ts";

/** How long a request may wait for a Redis that is away, with some more on a busy machine. */
const AWAY_MS = 2_000 + 1_000;
/** How long everything may take to come back, in milliseconds. */
export const BACK_MS = 15_000;

/** The numbers from one to another. */
export function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, n) => from + n);
}

/** Checks that a request is refused in time. */
export async function away(send: () => Promise<Response>): Promise<void> {
  const began = Date.now();
  const response = await send();
  const ms = Date.now() - began;
  assert.equal(response.status, 503, await response.text());
  assert.ok(ms < AWAY_MS, `It took ${ms} ms`);
}

/** Waits until a session is served again, at each of its peers. */
export async function back(peers: readonly Peer[]): Promise<void> {
  for (const peer of peers) {
    await until(
      async () => {
        const response = await peer.call("back", "whoami");
        await response.body?.cancel();
        return response.status === 200;
      },
      "Redis to be back",
      BACK_MS,
    );
  }
}

/** Checks that a follower hears this and no more. */
export async function hears(follower: Follower, what: readonly unknown[]): Promise<void> {
  const late = Date.now() + BACK_MS;
  while (follower.heard.length < what.length && Date.now() < late) await pause(20);
  await pause(100);
  assert.deepEqual(follower.heard, what);
}

/** Checks that what arrives at one node reaches another. */
export async function works(cluster: Cluster, peers: readonly Peer[]): Promise<void> {
  const [here, there] = peers;
  assert.ok(here && there);
  const call = `works ${crypto.randomUUID()}`;
  const slow = here.call("slow", "slow", { call, ms: 20_000 });
  await until(() => cluster.count("ran", call) === 1, "the call");
  await there.cancel("slow");
  await until(() => cluster.count("stopped", call) === 1, "the cancellation", 2_000);
  await (await slow).body?.cancel();
}
