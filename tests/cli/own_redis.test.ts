/**
 * The Redis of a command with several processes.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { startOwnRedis } from "../../src/cli/serve/own_redis.ts";
import { FakeClock } from "../support/clock.ts";

/** Waits for what the system does. */
async function until(is: () => boolean, what: string): Promise<void> {
  for (let tries = 0; !is(); tries++) {
    assert.ok(tries < 400, `Waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

test("[CORE-5] a Redis that died after a long time is started again as soon as the first time", async () => {
  const clock = new FakeClock();
  const pids: number[] = [];
  const delays: number[] = [];
  const redis = await startOwnRedis({
    env: process.env,
    clock,
    log(_level, event, fields) {
      if (event === "redis-started") pids.push(Number(fields?.pid));
      if (event === "redis-died") delays.push(Number(fields?.delayMs));
    },
  });
  const kill = async (steadyMs: number) => {
    const starts = pids.length;
    await clock.advance(steadyMs);
    process.kill(pids.at(-1) ?? assert.fail(), "SIGKILL");
    const deaths = delays.length;
    await until(() => delays.length > deaths, "its death");
    await clock.advance(delays.at(-1) ?? 0);
    await until(() => pids.length > starts, "its start");
  };
  try {
    for (const steadyMs of [0, 0, 0, 60_000]) await kill(steadyMs);
    assert.deepEqual(delays, [500, 1_000, 2_000, 500]);
  } finally {
    await redis.stop();
  }
});
