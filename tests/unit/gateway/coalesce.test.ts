import assert from "node:assert/strict";
import { test } from "node:test";
import { NotificationCoalescer } from "../../../src/gateway/session/coalesce.ts";
import type { Notification } from "../../../src/protocol/exchange.ts";
import { FakeClock } from "../../support/clock.ts";

test("[GTW-8] many changes of one thing are told as one, and many things are bounded", async () => {
  const clock = new FakeClock();
  const sent: Notification[] = [];
  const dropped: Notification[] = [];
  const coalescer = new NotificationCoalescer(
    clock,
    (notification) => sent.push(notification),
    (notification) => dropped.push(notification),
  );
  const method = "notifications/resources/updated";
  for (let n = 0; n < 2000; n++) {
    coalescer.add({ method, params: { uri: `r://${n}` } });
    coalescer.add({ method, params: { uri: `r://${n}` } });
  }
  await clock.advance(249);
  assert.equal(sent.length, 0);
  assert.equal(clock.pending, 1000);
  await clock.advance(1);
  assert.equal(sent.length, 1000);
  assert.equal(dropped.length, 2000);
  assert.deepEqual(dropped[0], { method, params: { uri: "r://1000" } });
  coalescer.add({ method });
  await clock.advance(250);
  assert.equal(sent.length, 1001);
});

test("[GTW-8] notifications about different things are all told, whatever tells them apart", async () => {
  const clock = new FakeClock();
  const sent: Notification[] = [];
  const coalescer = new NotificationCoalescer(clock, (one) => sent.push(one), () => {});
  const method = "notifications/elicitation/complete";
  for (const elicitationId of ["a", "b", "a"]) coalescer.add({ method, params: { elicitationId } });
  await clock.advance(250);
  assert.deepEqual(sent.map(({ params }) => params?.elicitationId), ["a", "b"]);
});
