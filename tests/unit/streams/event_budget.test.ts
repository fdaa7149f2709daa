import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Charge, EventBudget } from "../../../src/streams/event_budget.ts";
import { ENTRY_BYTES } from "../../../src/streams/log_entries.ts";
import { MemoryEventLog } from "../../../src/streams/memory_log.ts";
import { eventId } from "../../../src/streams/replay.ts";
import { frame } from "../../../src/streams/sse.ts";
import { FakeClock } from "../../support/clock.ts";
import { growthBy } from "../../wire/memory.ts";

const RETAIN_MS = 60_000;
/** The bytes that an event of 1,000 characters takes. */
const EVENT = ENTRY_BYTES + 1_000;
const text = "x".repeat(1_000);

/** A log whose sessions are named `<share>/…`; those of `nobody` have no owner. */
function makeLog(
  { total = Infinity, each = Infinity, eventBytes = 1 << 20 }: {
    readonly total?: number;
    readonly each?: number;
    readonly eventBytes?: number;
  },
) {
  const clock = new FakeClock();
  const budget = new EventBudget({ totalBytes: total, bytesPerPrincipal: each });
  const owners = new Map<string, string>();
  const shareOf = (session: string) => owners.get(session) ?? ownerIn(session);
  const limits = { events: 256, eventBytes, retainMs: RETAIN_MS };
  const log = new MemoryEventLog(limits, clock, budget, shareOf);
  return { clock, budget, owners, log };
}

function ownerIn(session: string): string | undefined {
  const [owner] = session.split("/");
  return owner === "nobody" ? undefined : owner;
}

/** The numbers of the events that are kept, or `undefined` for an unknown stream. */
function kept(log: MemoryEventLog, session: string, stream = "s"): number[] | undefined {
  return log.read(session, stream, 0)?.events.map(({ n }) => n);
}

/** Takes as many bytes as it says, and tells when it is evicted. */
class NamedCharge extends Charge {
  readonly name: string;
  readonly size: number;
  readonly #evicted: string[];

  constructor(name: string, size: number, evicted: string[]) {
    super();
    this.name = name;
    this.size = size;
    this.#evicted = evicted;
  }

  override evict(): void {
    assert.equal(this.account, undefined, "refunded before");
    this.#evicted.push(this.name);
  }
}

function makeBudget(totalBytes: number, bytesPerPrincipal = totalBytes) {
  const budget = new EventBudget({ totalBytes, bytesPerPrincipal });
  const evicted: string[] = [];
  const take = (name: string, size: number, share: string) => {
    const charge = new NamedCharge(name, size, evicted);
    budget.take(charge, share);
    return charge;
  };
  const charge = (name: string, size: number) => new NamedCharge(name, size, evicted);
  return { budget, evicted, take, charge };
}

describe("EventBudget", () => {
  test("[STR-14] a share and the total can be used to the last byte", () => {
    const { budget, evicted, take } = makeBudget(12, 8);
    assert.deepEqual([8, 9].map((size) => budget.fits(size)), [true, false]);
    take("a", 8, "ann");
    take("b", 4, "bob");
    assert.deepEqual(evicted, []);
    take("b2", 1, "bob");
    assert.deepEqual(evicted, ["a"]);
    assert.equal(budget.bytes, 5);
  });

  test("[STR-14] what was given back, even twice, makes a share lighter", () => {
    const { budget, evicted, take } = makeBudget(10);
    const first = take("a1", 4, "ann");
    take("a2", 1, "ann");
    take("b1", 2, "bob");
    take("b2", 2, "bob");
    budget.give(first);
    budget.give(first);
    assert.equal(budget.bytes, 5);
    assert.equal(budget.bytesOf("ann"), 1);
    take("c1", 3, "carol");
    take("c2", 3, "carol");
    assert.deepEqual(evicted, ["c1"], "the heaviest now");
    take("d", 3, "dan");
    assert.deepEqual(evicted, ["c1", "b1"], "the heaviest of those before");
  });

  test("[STR-14] parts are as old as the whole whose place they take", () => {
    const { budget, evicted, take, charge } = makeBudget(6);
    const whole = take("whole", 2, "ann");
    take("later", 2, "ann");
    budget.replace(whole, [charge("part 1", 1), charge("part 2", 1)]);
    assert.equal(budget.bytes, 4);
    take("last", 5, "ann");
    assert.deepEqual(evicted, ["part 1", "part 2", "later"]);
  });

  test("[STR-14] nothing is kept of a share that has given everything back", async () => {
    const budget = new EventBudget({ totalBytes: Infinity, bytesPerPrincipal: Infinity });
    const held = new NamedCharge("held", 1, []);
    budget.take(held, "held");
    const growth = await growthBy(async () => {
      for (let n = 0; n < 20_000; n++) {
        const charge = new NamedCharge("a", 1, []);
        budget.take(charge, `${"x".repeat(500)}${n}`);
        budget.give(charge);
      }
      await Promise.resolve();
    }, 1 << 20);
    assert.ok(growth < 1 << 20, `${growth} bytes`);
    assert.equal(budget.bytes, 1);
  });
});

describe("event budget: shares", () => {
  test("[STR-14] above a principal's share its own oldest events go, in whichever session", () => {
    const { log, budget } = makeLog({ each: 3 * EVENT });
    log.append("bob/1", "s", text);
    for (const session of ["ann/1", "ann/2", "ann/1", "ann/3"]) log.append(session, "s", text);
    assert.deepEqual(["ann/1", "ann/2", "ann/3", "bob/1"].map((id) => kept(log, id)), [
      [2],
      [1],
      [1],
      [1],
    ]);
    assert.equal(log.read("ann/1", "s", 0)?.gap, true);
    log.append("ann/3", "s", text);
    log.append("ann/3", "s", text);
    assert.deepEqual(["ann/1", "ann/2", "ann/3", "bob/1"].map((id) => kept(log, id)), [
      [],
      [],
      [1, 2, 3],
      [1],
    ]);
    assert.equal(budget.bytesOf("ann"), 3 * EVENT);
  });

  test("[STR-14] above the total the heaviest principal's oldest go, not the sender's", () => {
    const { log } = makeLog({ total: 6 * EVENT });
    for (let i = 1; i <= 4; i++) log.append(`ann/${i}`, "s", text);
    for (let i = 1; i <= 3; i++) log.append("bob/1", "s", text);
    assert.deepEqual([1, 2, 3, 4].map((i) => kept(log, `ann/${i}`)), [[], [1], [1], [1]]);
    assert.deepEqual(kept(log, "bob/1"), [1, 2, 3]);
    log.append("carol/1", "s", text);
    assert.deepEqual(kept(log, "carol/1"), [1]);
    assert.equal(log.bytes, 6 * EVENT);
  });

  test("[STR-14] what belongs to nobody yet has the total only, until somebody claims it", () => {
    const { log, budget, owners } = makeLog({ total: 10 * EVENT, each: 2 * EVENT });
    for (let i = 0; i < 4; i++) log.append("nobody/1", "s", text);
    assert.deepEqual(kept(log, "nobody/1"), [1, 2, 3, 4]);
    owners.set("nobody/1", "ann");
    assert.equal(log.append("nobody/1", "s", text), 5);
    assert.deepEqual(kept(log, "nobody/1"), [4, 5]);
    assert.equal(budget.bytesOf("ann"), 2 * EVENT);
    assert.equal(budget.bytesOf(undefined), 0);
  });

  test("[STR-14] counts what memory holds: two bytes for each character if one needs them", () => {
    const { log } = makeLog({});
    log.append("ann/1", "s", "é".repeat(1_000));
    assert.equal(log.bytes, EVENT);
    log.append("ann/1", "s", `${"x".repeat(999)}€`);
    assert.equal(log.bytes, 2 * EVENT + 1_000);
  });

  test("[STR-14] streams that came as a whole count and go like others, read or not", () => {
    const { log } = makeLog({ each: 2 * (EVENT + 200) });
    for (let i = 1; i <= 3; i++) {
      log.appendStream("ann/1", `w${i}`, frame(eventId(`w${i}`, 1), text), 1);
      if (i % 2 === 0) assert.deepEqual(kept(log, "ann/1", `w${i}`), [1]);
    }
    assert.deepEqual([1, 2, 3].map((i) => kept(log, "ann/1", `w${i}`)), [undefined, [1], [1]]);
  });

  test("[STR-14] one of many small events takes no more than its share once it is read", () => {
    const each = 100 * ENTRY_BYTES;
    const { log, budget } = makeLog({ each });
    const frames = Array.from({ length: 20 }, (_, n) => frame(eventId("s", n + 1), "{}"));
    const sessions = Array.from({ length: 50 }, (_, n) => `ann/${n}`);
    for (const id of sessions) log.appendStream(id, "s", frames.join(""), frames.length);
    for (const id of sessions) {
      log.read(id, "s", 0);
      assert.ok(budget.bytesOf("ann") <= each, `${budget.bytesOf("ann")}`);
    }
    assert.deepEqual(kept(log, "ann/49"), frames.map((_, n) => n + 1));
  });

  test("[STR-14] what doesn't fit a share at all is not kept, and costs nobody anything", () => {
    const { log } = makeLog({ each: 2 * EVENT });
    log.append("ann/1", "s", text);
    const long = "x".repeat(5_000);
    const seen: (string | undefined)[] = [];
    log.watch("ann/2", "s", (_oldest, appended) => seen.push(appended?.data));
    assert.equal(log.append("ann/2", "s", long, true), 1);
    log.appendStream("ann/2", "w", frame("w.1", long), 1);
    assert.deepEqual(seen, [long]);
    assert.deepEqual(log.read("ann/2", "s", 0), { events: [], ended: false, gap: true, last: 1 });
    assert.equal(log.read("ann/2", "w", 0), undefined);
    assert.deepEqual(kept(log, "ann/1"), [1]);
  });
});

describe("event budget: what is given back", () => {
  test("[STR-14] all of it when streams are forgotten, and when sessions end", async () => {
    const { log, clock } = makeLog({});
    for (let i = 0; i < 50; i++) {
      const session = `ann/${i}`;
      log.append(session, "read", text);
      log.append(session, "read", text, true);
      log.end(session, "read");
      log.deliver(session, "read", 2);
      log.end(session, "empty");
      log.appendStream(session, "whole", frame("whole.1", text), 1);
      log.appendStream(session, "seen", frame("seen.1", text), 1);
      log.read(session, "seen", 0);
    }
    assert.ok(log.bytes > 200 * EVENT);
    await clock.advance(RETAIN_MS);
    assert.equal(log.bytes, 0);
    for (let i = 0; i < 50; i++) {
      log.append(`ann/${i}`, "left", text);
      log.append(`ann/${i}`, "left", text, true);
      log.appendStream(`ann/${i}`, "whole", frame("whole.1", text), 1);
    }
    for (let i = 0; i < 50; i++) log.drop(`ann/${i}`);
    assert.equal(log.bytes, 0);
    await clock.advance(2 * RETAIN_MS);
    assert.equal(clock.pending, 0);
  });

  const id = fc.constantFrom("ann/1", "ann/2", "bob/1", "carol/1", "nobody/1");
  const stream = fc.constantFrom("a", "b", "c");
  const step = fc.oneof(
    fc.record({
      do: fc.constant("append" as const),
      id,
      stream,
      size: fc.nat(3_000),
      answer: fc.boolean(),
    }),
    fc.record({ do: fc.constant("whole" as const), id, size: fc.nat(3_000), count: fc.nat(3) }),
    fc.record({ do: fc.constant("deliver" as const), id, stream, n: fc.nat(10) }),
    fc.record({ do: fc.constantFrom("end", "read", "watch", "claim", "drop"), id, stream }),
    fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(1_000, RETAIN_MS) }),
  );

  test("[STR-14] whatever happens, no bound is exceeded and nothing stays taken", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80, size: "max" }), async (steps) => {
        const limits = { total: 10_000, each: 4_000, eventBytes: 2_500 };
        const { log, budget, owners, clock } = makeLog(limits);
        const unwatch: (() => void)[] = [];
        let whole = 0;
        for (const step of steps) {
          if (step.do === "wait") await clock.advance(step.ms);
          else if (step.do === "append") {
            log.append(step.id, step.stream, "x".repeat(step.size), step.answer);
          } else if (step.do === "whole") {
            const name = `w${++whole}`;
            const frames = Array.from(
              { length: step.count + 1 },
              (_, i) => frame(eventId(name, i + 1), "x".repeat(step.size)),
            );
            log.appendStream(step.id, name, frames.join(""), frames.length);
            if (step.size % 2 === 0) log.read(step.id, name, 0);
          } else if (step.do === "deliver") log.deliver(step.id, step.stream, step.n);
          else if (step.do === "end") log.end(step.id, step.stream);
          else if (step.do === "watch") unwatch.push(log.watch(step.id, step.stream, () => {}));
          else if (step.do === "claim") owners.set("nobody/1", "ann");
          else if (step.do === "drop") log.drop(step.id);
          else {
            const slice = log.read(step.id, step.stream, 0);
            const numbers = slice?.events.map(({ n }) => n) ?? [];
            assert.deepEqual(numbers, numbers.toSorted((a, b) => a - b));
            assert.equal(slice?.gap ?? false, numbers.length < (slice?.last ?? 0));
          }
          // A whole stream that is read is charged for each of its events: a little more than before.
          const slack = 4 * whole * ENTRY_BYTES;
          assert.ok(log.bytes <= limits.total + slack, `${log.bytes} bytes in total`);
          for (const share of ["ann", "bob", "carol"]) {
            assert.ok(budget.bytesOf(share) <= limits.each + slack);
          }
        }
        for (const stop of unwatch) stop();
        for (const session of ["ann/1", "ann/2", "bob/1", "carol/1", "nobody/1"]) {
          log.drop(session);
        }
        assert.equal(log.bytes, 0);
        assert.deepEqual(["ann", "bob", undefined].map((share) => budget.bytesOf(share)), [
          0,
          0,
          0,
        ]);
      }),
      { numRuns: 500 },
    );
  });
});

describe("event budget: large events and responses", () => {
  test("[STR-14] an event over eventBytes reaches whoever watches, and is kept as a gap", () => {
    const { log } = makeLog({ eventBytes: 1_000 });
    const seen: unknown[] = [];
    log.append("ann/1", "s", "before");
    log.watch("ann/1", "s", (oldest, appended) => seen.push([oldest, appended?.n]));
    assert.equal(log.append("ann/1", "s", "x".repeat(1_001)), 2);
    assert.deepEqual(seen, [[3, 2]]);
    assert.deepEqual(log.read("ann/1", "s", 1), { events: [], ended: false, gap: true, last: 2 });
    assert.deepEqual(log.read("ann/1", "s", 2), { events: [], ended: false, gap: false, last: 2 });
    log.append("ann/1", "s", "after");
    assert.deepEqual(kept(log, "ann/1"), [1, 3]);
    assert.equal(log.read("ann/1", "s", 1)?.gap, true);
  });

  test("[STR-7, STR-14] a response that nobody has received outlasts whatever the session gets", () => {
    const { log } = makeLog({ eventBytes: 2_000 });
    log.append("ann/1", "call", "progress");
    assert.equal(log.append("ann/1", "call", "y".repeat(5_000), true), 2);
    log.end("ann/1", "call");
    for (let i = 0; i < 1_000; i++) log.append("ann/1", "s", text);
    const slice = log.read("ann/1", "call", 0);
    assert.deepEqual([slice?.events.map(({ n }) => n), slice?.gap, slice?.ended], [
      [2],
      true,
      true,
    ]);
    assert.equal(log.read("ann/1", "call", 1)?.gap, false);
    assert.equal(log.read("ann/1", "call", 1)?.events[0]?.data, "y".repeat(5_000));
  });

  test("[STR-7] a response that was delivered counts like any other event", async () => {
    const { log, clock } = makeLog({ eventBytes: 2_000 });
    log.append("ann/1", "call", "y".repeat(5_000), true);
    log.end("ann/1", "call");
    log.deliver("ann/1", "call", 1);
    assert.deepEqual(kept(log, "ann/1", "call"), [1], "the newest is kept");
    log.append("ann/1", "s", "next");
    assert.equal(kept(log, "ann/1", "call"), undefined);
    await clock.advance(RETAIN_MS);
    assert.deepEqual(kept(log, "ann/1"), [1]);
  });

  test("[STR-14] responses go too when their principal's share is exceeded, the oldest first", () => {
    const { log } = makeLog({ each: 3 * EVENT });
    for (let i = 1; i <= 5; i++) {
      log.append("ann/1", `c${i}`, text, true);
      log.end("ann/1", `c${i}`);
    }
    assert.deepEqual([1, 2, 3, 4, 5].map((i) => kept(log, "ann/1", `c${i}`)), [
      ...[undefined, undefined],
      ...[[1], [1], [1]],
    ]);
  });

  test("[STR-4, STR-7] the responses of a batch are kept in their order, with what is left between", () => {
    const { log } = makeLog({ eventBytes: 2_000 });
    log.append("ann/1", "batch", "first", true);
    log.append("ann/1", "batch", "between");
    log.append("ann/1", "batch", "second", true);
    const all = (after: number) => log.read("ann/1", "batch", after)?.events.map(({ n }) => n);
    assert.deepEqual([all(0), all(1), all(2)], [[1, 2, 3], [2, 3], [3]]);
    for (let i = 0; i < 3; i++) log.append("ann/1", "s", text);
    assert.deepEqual([all(0), all(1), all(2)], [[1, 3], [3], [3]]);
    assert.equal(log.read("ann/1", "batch", 0)?.gap, true);
    assert.equal(log.read("ann/1", "batch", 2)?.gap, false);
    log.deliver("ann/1", "batch", 1);
    assert.deepEqual(all(0), [1, 3]);
  });
});
