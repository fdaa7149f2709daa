/**
 * The bus over connections for subscriptions that break.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { redisStore } from "../../../src/redis/mod.ts";
import { FakeClock, flush } from "../../support/clock.ts";
import { SimulatedNetwork } from "./client.ts";

test("[CLU-2] a member of the bus learns that it may have missed messages, after it hears again", async () => {
  const clock = new FakeClock();
  const network = new SimulatedNetwork(() => clock.now());
  const back: (() => void)[] = [];
  const client = network.client({
    carry: (_lane, callback) => queueMicrotask(callback),
    away: (callback) => void back.push(callback),
  });
  const { bus } = redisStore({ client }).open({
    clock,
    caps: { sessions: 1, sessionsPerPrincipal: 1 },
    lifetimes: { idleMs: 1_000, absoluteMs: 1_000 },
    log: { events: 1, eventBytes: 1, retainMs: 1 },
    keys: ["a secret that is long enough for all of them"],
  });
  const heard: string[] = [];
  const member = bus.join("a", (text) => heard.push(text), () => heard.push("missed"));
  const other = bus.join("b", () => {});
  await flush();
  assert.deepEqual(heard, []);
  client.subscribers.forEach((each) => each.lose());
  await other.publish("one");
  await flush();
  assert.deepEqual(heard, []);
  back.forEach((callback) => callback());
  await flush();
  assert.ok(heard.length > 0 && heard.every((each) => each === "missed"), heard.join());
  await other.publish("two");
  await flush();
  assert.equal(heard.at(-1), "two");
  member.leave();
  other.leave();
});
