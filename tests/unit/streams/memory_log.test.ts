import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { MemoryEventLog } from "../../../src/streams/memory_log.ts";
import { eventId } from "../../../src/streams/replay.ts";
import { frame } from "../../../src/streams/sse.ts";
import { FakeClock } from "../../support/clock.ts";
import { growthBy } from "../../wire/memory.ts";

const LIMITS = { events: 256, eventBytes: 1 << 20, retainMs: 60_000 };

describe("MemoryEventLog", () => {
  test("[STR-7] keeps the last 256 events and 1 MiB of a session", () => {
    const log = new MemoryEventLog(LIMITS, new FakeClock());
    for (let i = 0; i < 300; i++) log.append("session", "s", "x");
    assert.equal(log.read("session", "s", 0)?.events.length, 256);
    const text = "x".repeat(100_000);
    for (let i = 0; i < 500; i++) log.append("session", "s", text);
    assert.equal(log.read("session", "s", 0)?.events.length, 10);
  });

  test("answers at once, so that an append has reached whoever watches when it returns", () => {
    const log = new MemoryEventLog(LIMITS, new FakeClock());
    const oldest: number[] = [];
    log.watch("session", "s", (first) => oldest.push(first));
    assert.equal(log.append("session", "s", "x"), 1);
    assert.equal(log.append("session", "s", "x".repeat(1 << 20)), 2);
    log.end("session", "s");
    assert.deepEqual(oldest, [1, 2, 2]);
  });

  test("[STR-7] a stream whose time is over goes from between the events of others, and says so", async () => {
    const clock = new FakeClock();
    const log = new MemoryEventLog({ ...LIMITS, events: 4 }, clock);
    for (const text of ["1", "2"]) {
      log.append("session", "stays", `stays ${text}`);
      log.append("session", "goes", `goes ${text}`);
    }
    const oldest: number[] = [];
    log.watch("session", "goes", (first) => oldest.push(first));
    log.end("session", "goes");
    log.deliver("session", "goes", 2);
    await clock.advance(LIMITS.retainMs);
    assert.equal(oldest.at(-1), 3);
    assert.equal(log.read("session", "goes", 0), undefined);
    const texts = () => log.read("session", "stays", 0)?.events.map(({ data }) => data);
    assert.deepEqual(texts(), ["stays 1", "stays 2"]);
    for (const text of ["3", "4", "5"]) log.append("session", "stays", `stays ${text}`);
    assert.deepEqual(texts(), ["stays 2", "stays 3", "stays 4", "stays 5"]);
  });

  test("has one timer, however many streams are to be forgotten", async () => {
    const clock = new FakeClock();
    const log = new MemoryEventLog(LIMITS, clock);
    for (let i = 0; i < 100; i++) {
      log.append(`session${i}`, "s", "x");
      log.end(`session${i}`, "s");
      log.deliver(`session${i}`, "s", 1);
    }
    assert.equal(clock.pending, 1);
    await clock.advance(LIMITS.retainMs);
    assert.equal(clock.pending, 0);
  });

  test("[SES-6] a dropped session stays dropped while 5,000 others are, and for a minute", async () => {
    const clock = new FakeClock();
    const log = new MemoryEventLog(LIMITS, clock);
    log.drop("first");
    for (let i = 0; i < 4_999; i++) log.drop(`other${i}`);
    assert.equal(log.append("first", "s", "x"), 0);
    log.drop("more");
    assert.equal(log.append("first", "s", "x"), 0);
    await clock.advance(59_999);
    assert.equal(log.append("more", "s", "x"), 0);
    log.drop("last");
    assert.equal(log.append("more", "s", "x"), 0);
  });

  test("an ended stream that somebody still watches shows its gap until nobody does", () => {
    const log = new MemoryEventLog({ ...LIMITS, events: 2 }, new FakeClock());
    const unwatch = log.watch("session", "s", () => {});
    log.append("session", "s", "x");
    log.end("session", "s");
    for (let i = 0; i < 2; i++) log.append("session", "t", "x");
    assert.deepEqual(log.read("session", "s", 0), { events: [], ended: true, gap: true, last: 1 });
    unwatch();
    assert.equal(log.read("session", "s", 0), undefined);
  });

  test("an ended stream that never had events has no gap either, while somebody watches", () => {
    const log = new MemoryEventLog({ ...LIMITS, events: 2 }, new FakeClock());
    log.watch("session", "s", () => {});
    log.end("session", "s");
    for (let i = 0; i < 2; i++) log.append("session", "t", "x");
    assert.deepEqual(log.read("session", "s", 0), { events: [], ended: true, gap: false, last: 0 });
  });

  test("stopping to watch a forgotten stream leaves a new one of its name alone", async () => {
    const clock = new FakeClock();
    const log = new MemoryEventLog(LIMITS, clock);
    log.append("session", "other", "x");
    const unwatch = log.watch("session", "s", () => {});
    log.end("session", "s");
    await clock.advance(LIMITS.retainMs);
    assert.equal(log.append("session", "s", "new"), 1);
    unwatch();
    assert.deepEqual(log.read("session", "s", 0)?.events, [{ n: 1, data: "new" }]);
  });
});

/** Adds a whole stream, as a response that is made of it does. */
function appendStream(log: MemoryEventLog, stream: string, messages: readonly string[]): void {
  const frames = messages.map((data, index) => frame(eventId(stream, index + 1), data));
  log.appendStream("session", stream, frames.join(""), messages.length);
}

/** The data that is kept of some streams, in their order. */
function kept(log: MemoryEventLog, streams: readonly string[]): string[] {
  return streams.flatMap((stream) =>
    log.read("session", stream, 0)?.events.map(({ data }) => data) ?? []
  );
}

describe("MemoryEventLog: whole streams", () => {
  const names = Array.from({ length: 3_000 }, (_, i) => `s${i}`);
  /** The messages of a stream: as many as its number says, between one and five. */
  const messagesOf = (i: number, text: string) =>
    Array.from({ length: 1 + i % 5 }, (_, n) => `${i}.${n} ${text}`);

  for (const [how, looks] of [["nobody looks", false], ["somebody looks", true]] as const) {
    test(`[STR-7] thousands leave the newest 256 events when ${how} meanwhile`, () => {
      const log = new MemoryEventLog(LIMITS, new FakeClock());
      const all: string[] = [];
      for (const [i, name] of names.entries()) {
        const messages = messagesOf(i, "x");
        appendStream(log, name, messages);
        all.push(...messages);
        if (looks && i % 7 === 0) {
          assert.deepEqual(kept(log, names.slice(Math.max(0, i - 2), i + 1)).at(-1), all.at(-1));
        }
        if (looks && i % 500 === 0) {
          assert.deepEqual(kept(log, names.slice(0, i + 1)), all.slice(-256));
        }
      }
      assert.deepEqual(kept(log, names), all.slice(-256));
    });

    test(`[STR-7] thousands leave the newest MiB when ${how} meanwhile`, () => {
      const log = new MemoryEventLog(LIMITS, new FakeClock());
      // 30,000 bytes in 10,000 characters.
      const text = "€".repeat(10_000);
      const all: string[] = [];
      for (const [i, name] of names.entries()) {
        const messages = messagesOf(i, text);
        appendStream(log, name, messages);
        all.push(...messages);
        if (looks && i % 7 === 0) log.read("session", name, 0);
      }
      const newest = kept(log, names);
      const most = Math.floor(LIMITS.eventBytes / 30_000);
      assert.ok(newest.length === most, `${newest.length} events`);
      assert.deepEqual(newest, all.slice(-most));
    });
  }

  test("[STR-7] one longer than all limits leaves its newest events alone", () => {
    const log = new MemoryEventLog({ ...LIMITS, events: 4, eventBytes: 100 }, new FakeClock());
    appendStream(log, "old", ["old"]);
    appendStream(log, "many", ["1", "2", "3", "4", "5", "6"]);
    assert.deepEqual(kept(log, ["old", "many"]), ["3", "4", "5", "6"]);
    appendStream(log, "long", ["x".repeat(99), "y".repeat(1_000)]);
    assert.deepEqual(kept(log, ["many", "long"]), ["y".repeat(1_000)]);
  });

  for (const after of [0, 1, 2, 3]) {
    test(`[STR-7] one that is thrown away in part has a gap after ${after} or none`, () => {
      const log = new MemoryEventLog({ ...LIMITS, events: 4 }, new FakeClock());
      appendStream(log, "old", ["1", "2", "3"]);
      appendStream(log, "new", ["4", "5", "6"]);
      assert.deepEqual(log.read("session", "old", after), {
        events: after < 3 ? [{ n: 3, data: "3" }] : [],
        ended: true,
        gap: after < 2,
        last: 3,
      });
      assert.equal(log.delivered("session", "old"), 3);
      appendStream(log, "newer", ["7"]);
      assert.equal(log.read("session", "old", after), undefined);
    });
  }

  test("[STR-7] events that come one by one and whole streams share one bound", () => {
    const log = new MemoryEventLog({ ...LIMITS, events: 4 }, new FakeClock());
    log.append("session", "live", "1");
    appendStream(log, "whole", ["2", "3"]);
    log.append("session", "live", "4");
    assert.deepEqual(kept(log, ["live", "whole"]), ["1", "4", "2", "3"]);
    log.append("session", "live", "5");
    assert.deepEqual(kept(log, ["live", "whole"]), ["4", "5", "2", "3"]);
    log.append("session", "live", "6");
    assert.deepEqual(kept(log, ["live", "whole"]), ["4", "5", "6", "3"]);
    appendStream(log, "next", ["7", "8"]);
    assert.deepEqual(kept(log, ["live", "whole", "next"]), ["5", "6", "7", "8"]);
  });

  test("[STR-7] has one timer, however many are to be forgotten", async () => {
    const clock = new FakeClock();
    const log = new MemoryEventLog(LIMITS, clock);
    for (const name of names) appendStream(log, name, ["x"]);
    for (const name of names) log.appendStream(name, "s", frame("s.1", "x"), 1);
    for (const name of names.slice(-9)) assert.equal(log.read("session", name, 0)?.last, 1);
    assert.equal(clock.pending, 1);
    await clock.advance(LIMITS.retainMs - 1);
    assert.equal(kept(log, names).length, 256);
    await clock.advance(1);
    assert.deepEqual(kept(log, names), []);
    for (const name of names) assert.equal(log.read(name, "s", 0), undefined);
    assert.equal(clock.pending, 0);
  });

  test("[STR-7] each is forgotten retainMs after it came, whatever came before and after", async () => {
    const clock = new FakeClock();
    const log = new MemoryEventLog(LIMITS, clock);
    appendStream(log, "a", ["1"]);
    await clock.advance(LIMITS.retainMs / 2);
    appendStream(log, "b", ["2"]);
    assert.deepEqual(kept(log, ["a"]), ["1"]);
    await clock.advance(LIMITS.retainMs / 2);
    assert.deepEqual(kept(log, ["a", "b"]), ["2"]);
    appendStream(log, "c", ["3"]);
    await clock.advance(LIMITS.retainMs / 2);
    assert.deepEqual(kept(log, ["a", "b", "c"]), ["3"]);
  });

  test("[STR-7] nothing is left of sessions whose streams were forgotten", async () => {
    const clock = new FakeClock();
    const log = new MemoryEventLog(LIMITS, clock);
    const bound = 2_000_000;
    let session = 0;
    const grown = await growthBy(async () => {
      for (let i = 0; i < 20_000; i++) {
        log.appendStream(`session${++session}`, "s", frame("s.1", "{}"), 1);
        if (i % 2 === 0) log.read(`session${session}`, "s", 0);
      }
      await clock.advance(LIMITS.retainMs);
    }, bound);
    assert.ok(grown < bound, `It grew by ${grown} bytes`);
  });

  for (const read of [true, false]) {
    test(`a watcher of one that was ${read ? "" : "not "}read hears that it is forgotten`, async () => {
      const clock = new FakeClock();
      const log = new MemoryEventLog(LIMITS, clock);
      appendStream(log, "s", ["1", "2"]);
      if (read) assert.deepEqual(kept(log, ["s"]), ["1", "2"]);
      const slices: unknown[] = [];
      const unwatch = log.watch("session", "s", () => slices.push(log.read("session", "s", 0)));
      assert.equal(log.append("session", "s", "3"), 0);
      await clock.advance(LIMITS.retainMs - 1);
      assert.deepEqual(slices, []);
      assert.deepEqual(kept(log, ["s"]), ["1", "2"]);
      await clock.advance(1);
      assert.deepEqual(slices, [undefined]);
      unwatch();
      await clock.advance(LIMITS.retainMs);
      assert.equal(slices.length, 1);
      assert.equal(clock.pending, 0);
    });
  }

  test("one that somebody watches shows its gap when all of it was thrown away", async () => {
    const clock = new FakeClock();
    const log = new MemoryEventLog({ ...LIMITS, events: 2 }, clock);
    appendStream(log, "s", ["1", "2"]);
    const unwatch = log.watch("session", "s", () => {});
    appendStream(log, "t", ["3", "4"]);
    assert.deepEqual(log.read("session", "s", 0), { events: [], ended: true, gap: true, last: 2 });
    unwatch();
    assert.equal(log.read("session", "s", 0), undefined);
    assert.deepEqual(kept(log, ["t"]), ["3", "4"]);
  });

  test("one that was thrown away takes no new one of its name with it", async () => {
    const clock = new FakeClock();
    const log = new MemoryEventLog({ ...LIMITS, events: 2 }, clock);
    appendStream(log, "s", ["1"]);
    appendStream(log, "t", ["2", "3"]);
    await clock.advance(LIMITS.retainMs - 1);
    appendStream(log, "s", ["new"]);
    await clock.advance(1);
    assert.deepEqual(kept(log, ["s", "t"]), ["new"]);
  });

  test("[SES-6] a dropped session wakes whoever watches one, and waits for nothing", async () => {
    const clock = new FakeClock();
    const log = new MemoryEventLog(LIMITS, clock);
    appendStream(log, "s", ["1"]);
    appendStream(log, "t", ["2"]);
    const slices: unknown[] = [];
    log.watch("session", "s", () => slices.push(log.read("session", "s", 0)));
    log.drop("session");
    assert.deepEqual(slices, [undefined]);
    await clock.advance(LIMITS.retainMs);
    assert.deepEqual(slices, [undefined]);
    appendStream(log, "t", ["3"]);
    assert.deepEqual(kept(log, ["s", "t"]), []);
    assert.equal(log.delivered("session", "t"), 0);
  });
});
