import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DelayLine } from "../../../src/internal/delay_line.ts";
import { EventBudget } from "../../../src/streams/event_budget.ts";
import { SessionLog } from "../../../src/streams/session_log.ts";
import { FakeClock } from "../../support/clock.ts";

describe("SessionLog", () => {
  test("[STR-7] nothing is left of a stream that was only watched", () => {
    const limits = { events: 256, eventBytes: 1 << 20, retainMs: 60_000 };
    let empty = 0;
    const retention = new DelayLine(new FakeClock(), 60_000);
    const log = new SessionLog(limits, retention, new EventBudget(), () => empty++);
    const stream = log.open("s");
    const watchers = [{ wake() {} }, { wake() {} }];
    for (const watcher of watchers) stream.watch(watcher);
    for (const [left, watcher] of watchers.entries()) {
      assert.equal(log.get("s"), stream, `${left} have stopped watching`);
      stream.unwatch(watcher);
      log.tidy(stream);
    }
    assert.equal(log.get("s"), undefined);
    assert.equal(empty, 1);
  });
});
