import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DelayLine } from "../../../src/internal/delay_line.ts";
import type { Notification } from "../../../src/protocol/exchange.ts";
import { Progress, progressToken } from "../../../src/calls/progress.ts";
import { FakeClock } from "../../support/clock.ts";

describe("Progress", () => {
  test("[CAN-5] a token is a text or a number, 0 and the empty text among them", () => {
    const tokens = [0, "", "t", 1, undefined, null, true, {}];
    assert.deepEqual(
      tokens.map((token) => progressToken({ _meta: { progressToken: token } })),
      [0, "", "t", 1, undefined, undefined, undefined, undefined],
    );
    assert.equal(progressToken({}), undefined);
  });

  test("[CAN-5] only the client's own token passes, and only while the value rises", () => {
    const progress = new Progress(1);
    assert.equal(progress.admit({ progressToken: "1", progress: 1 }), "no-progress-token");
    assert.equal(progress.admit({ progressToken: 1, progress: 0 }), "ok");
    assert.equal(progress.admit({ progressToken: 1, progress: 0 }), "not-rising");
    assert.equal(progress.admit({ progressToken: 1, progress: -1 }), "not-rising");
    assert.equal(progress.admit({ progressToken: 1, progress: NaN }), "not-rising");
    assert.equal(progress.admit({ progressToken: 1, progress: 0.5 }), "ok");
  });

  test("[CAN-5] a silent request shows signs of life until it reports its own progress", async () => {
    const clock = new FakeClock();
    const sent: Notification[] = [];
    const progress = new Progress("t");
    progress.beat(new DelayLine(clock, 2_000), (notification) => sent.push(notification));
    await clock.advance(6_000);
    const values = sent.map(({ params }) => Number(params?.progress));
    assert.equal(values.length, 3);
    assert.ok(values.every((value, i) => value > (values[i - 1] ?? 0) && value < 0.001));
    assert.ok(sent.every(({ params }) => params?.message === "Still running"));

    assert.equal(progress.admit({ progressToken: "t", progress: 1 }), "ok");
    await clock.advance(60_000);
    assert.equal(sent.length, 3);
    assert.equal(clock.pending, 0);
  });

  test("[CAN-5] a request that has reported its own progress before shows no signs of life", async () => {
    const clock = new FakeClock();
    const progress = new Progress("t");
    assert.equal(progress.admit({ progressToken: "t", progress: 0.5 }), "ok");
    progress.beat(new DelayLine(clock, 2_000), () => assert.fail());
    await clock.advance(6_000);
    assert.equal(clock.pending, 0);
  });
});
