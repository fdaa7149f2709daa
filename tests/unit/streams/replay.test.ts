import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { eventId, findResumePoint, parseEventId } from "../../../src/streams/replay.ts";
import { MemoryEventLog } from "../../../src/streams/memory_log.ts";
import { FakeClock } from "../../support/clock.ts";
import { AsyncLog } from "./async_log.ts";

function makeLog(): MemoryEventLog {
  return new MemoryEventLog({ events: 3, eventBytes: 1_000, retainMs: 1_000 }, new FakeClock());
}

describe("event ids", () => {
  test("[STR-3] name a stream and a number", () => {
    for (
      const [stream, n] of [["a", 0], ["A-z_9", 12], ["-", 1], [
        "_".repeat(32),
        2 ** 53 - 1,
      ]] as const
    ) {
      assert.deepEqual(parseEventId(eventId(stream, n)), { stream, n });
    }
  });

  test("[STR-7] nothing else is one", () => {
    const texts = [
      ..."|a|.|.1|a.|a.1.|a.b|a.b.1|a.01|a.-1|a.+1|a.1e3|a.1.5|a. 1| a.1|a.1 |a b.1|ä.1|a.１".split(
        "|",
      ),
      ...["a.1\n", "a\n.1", "a.0x1", "a.Infinity", "a.9007199254740992", `${"a".repeat(33)}.1`],
      ...["__proto__", "a.99999999999999999999", "\0.1", "a..1"],
    ];
    for (const text of texts) assert.equal(parseEventId(text), undefined, JSON.stringify(text));
  });
});

describe("findResumePoint()", () => {
  test("[STR-6] goes on after the event that the client has, also after the last and before the first", async () => {
    const log = makeLog();
    log.append("session", "s", "x");
    log.append("session", "s", "y");
    for (const after of [0, 1, 2]) {
      assert.deepEqual(await findResumePoint(log, "session", `s.${after}`), {
        stream: "s",
        after,
        complete: false,
      });
    }
    log.end("session", "s");
    for (const [after, complete] of [[1, false], [2, true]] as const) {
      assert.deepEqual(await findResumePoint(log, "session", `s.${after}`), {
        stream: "s",
        after,
        complete,
      });
    }
    log.open("session", "new");
    assert.deepEqual(await findResumePoint(log, "session", "new.0"), {
      stream: "new",
      after: 0,
      complete: false,
    });
  });

  test("[STR-7] tells a malformed id, an unknown place and a gap apart", async () => {
    const log = makeLog();
    for (let i = 0; i < 5; i++) log.append("session", "s", "x");
    const cases = {
      "s": "malformed",
      "": "malformed",
      "t.0": "unknown",
      "t.1": "unknown",
      "s.6": "unknown",
      "s.1": "gap",
      "s.0": "gap",
    };
    for (const [text, failed] of Object.entries(cases)) {
      assert.deepEqual(await findResumePoint(log, "session", text), { failed }, text);
    }
    assert.deepEqual(await findResumePoint(log, "session", "s.2"), {
      stream: "s",
      after: 2,
      complete: false,
    });
  });

  test("[OWN-3] another session's stream is unknown", async () => {
    const log = makeLog();
    log.append("session", "s", "x");
    log.append("other", "t", "x");
    assert.deepEqual(await findResumePoint(log, "session", "t.1"), { failed: "unknown" });
    assert.deepEqual(await findResumePoint(log, "nobody", "s.1"), { failed: "unknown" });
  });

  test("takes a log that answers later, and passes its failure on", async () => {
    const log = new AsyncLog(makeLog());
    await log.append("session", "s", "x");
    assert.deepEqual(await findResumePoint(log, "session", "s.1"), {
      stream: "s",
      after: 1,
      complete: false,
    });
    assert.deepEqual(await findResumePoint(log, "session", "s.2"), { failed: "unknown" });
    log.failing = new Error("away");
    await assert.rejects(async () => await findResumePoint(log, "session", "s.1"), /away/);
  });
});
