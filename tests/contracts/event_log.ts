/**
 * What every {@linkcode EventLog} must do.
 *
 * @module
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { MaybePromise } from "../../src/internal/types.ts";
import type { EventLog, EventLogLimits, Slice } from "../../src/streams/types.ts";
import { eventId } from "../../src/streams/replay.ts";
import { frame } from "../../src/streams/sse.ts";
import { uniqueId } from "./unique.ts";

/** A log under test. */
export interface EventLogUnderTest {
  readonly log: EventLog;
  /** Lets `ms` milliseconds pass, and everything happen that is then due. */
  advance(ms: number): MaybePromise<void>;
  close(): MaybePromise<void>;
}

/** Makes an empty log, or one whose sessions don't meet those of other tests. */
export type MakeEventLog = (limits: Required<EventLogLimits>) => MaybePromise<EventLogUnderTest>;

const LIMITS: Required<EventLogLimits> = { events: 4, eventBytes: 100, retainMs: 2_000 };

function data(slice: Slice | undefined): readonly string[] | undefined {
  return slice?.events.map((event) => event.data);
}

function numbers(slice: Slice | undefined): readonly number[] | undefined {
  return slice?.events.map((event) => event.n);
}

/** Runs the suite against the logs that `make` makes. */
export function eventLogContract(name: string, make: MakeEventLog): void {
  async function using(
    run: (log: EventLog, session: string, advance: EventLogUnderTest["advance"]) => Promise<void>,
    limits: Partial<EventLogLimits> = {},
  ): Promise<void> {
    const { log, advance, close } = await make({ ...LIMITS, ...limits });
    const session = uniqueId();
    try {
      await run(log, session, advance);
      await log.drop(session);
    } finally {
      await close();
    }
  }

  describe(`${name}: appending and reading`, () => {
    test("[STR-3] numbers rise by one in each stream, in the order of the calls", async () => {
      await using(async (log, session) => {
        const calls = ["a", "b", "a", "a", "b"].map((stream, i) =>
          log.append(session, stream, String(i))
        );
        assert.deepEqual(await Promise.all(calls), [1, 1, 2, 3, 2]);
        assert.deepEqual(await log.read(session, "a", 0), {
          events: [{ n: 2, data: "2" }, { n: 3, data: "3" }],
          ended: false,
          gap: true,
          last: 3,
        });
        assert.deepEqual(data(await log.read(session, "b", 0)), ["1", "4"]);
      });
    });

    test("[STR-6] reads what follows a place, and nothing at the end or beyond it", async () => {
      await using(async (log, session) => {
        for (const text of ["x", "y", "z"]) await log.append(session, "s", text);
        assert.deepEqual(data(await log.read(session, "s", 1)), ["y", "z"]);
        const none = { events: [], ended: false, gap: false, last: 3 };
        assert.deepEqual(await log.read(session, "s", 3), none);
        assert.deepEqual(await log.read(session, "s", 9), none);
      });
    });

    test("keeps any text as it is", async () => {
      await using(async (log, session) => {
        const texts = ["", "null", "ünï 😀", '{"a":"b\\n"}'];
        for (const text of texts) await log.append(session, "s", text);
        assert.deepEqual(data(await log.read(session, "s", 0)), texts);
      });
    });

    test("a stream is unknown before its first use, and when it is another session's", async () => {
      await using(async (log, session) => {
        const other = uniqueId();
        await log.append(session, "s", "x");
        for (const stream of ["t", "__proto__", "constructor", ""]) {
          assert.equal(await log.read(session, stream, 0), undefined);
          assert.equal(await log.delivered(session, stream), 0);
          await log.deliver(session, stream, 1);
          assert.equal(await log.read(session, stream, 0), undefined);
        }
        assert.equal(await log.read(other, "s", 0), undefined);
        await log.append(other, "s", "y");
        assert.deepEqual(data(await log.read(session, "s", 0)), ["x"]);
        await log.drop(other);
        assert.deepEqual(data(await log.read(session, "s", 0)), ["x"]);
      });
    });

    test("names of sessions and streams are never confused", async () => {
      await using(async (log, session) => {
        await log.append(session, "a", "1");
        await log.append(`${session}:a`, "b", "2");
        await log.append(session, "a:b", "3");
        assert.deepEqual(data(await log.read(session, "a", 0)), ["1"]);
        assert.deepEqual(data(await log.read(`${session}:a`, "b", 0)), ["2"]);
        assert.deepEqual(data(await log.read(session, "a:b", 0)), ["3"]);
        await log.drop(`${session}:a`);
        assert.deepEqual(data(await log.read(session, "a:b", 0)), ["3"]);
      });
    });

    test("[STR-3] an opened stream is known before its first message", async () => {
      await using(async (log, session) => {
        await log.open(session, "s");
        const empty = { events: [], ended: false, gap: false, last: 0 };
        assert.deepEqual(await log.read(session, "s", 0), empty);
        assert.equal(await log.append(session, "s", "x"), 1);
        await log.open(session, "s");
        assert.deepEqual(numbers(await log.read(session, "s", 0)), [1]);
        await log.end(session, "s");
        await log.open(session, "s");
        assert.equal(await log.append(session, "s", "y"), 0);
      });
    });

    test("[STR-4] nothing can be appended to a stream that has ended", async () => {
      await using(async (log, session) => {
        await log.append(session, "s", "x");
        await log.end(session, "s");
        assert.equal(await log.append(session, "s", "y"), 0);
        await log.end(session, "s");
        assert.deepEqual(await log.read(session, "s", 0), {
          events: [{ n: 1, data: "x" }],
          ended: true,
          gap: false,
          last: 1,
        });
        assert.equal((await log.read(session, "s", 1))?.ended, true);
      });
    });

    test("an unknown stream comes into being ended", async () => {
      await using(async (log, session) => {
        await log.end(session, "s");
        const ended = { events: [], ended: true, gap: false, last: 0 };
        assert.deepEqual(await log.read(session, "s", 0), ended);
        assert.equal(await log.append(session, "s", "x"), 0);
      });
    });
  });

  describe(`${name}: limits`, () => {
    test("[STR-7] throws the oldest of the whole session away beyond its events", async () => {
      await using(async (log, session) => {
        for (const stream of ["a", "b", "b", "a", "b", "c"]) await log.append(session, stream, "x");
        const [a, b, c] = await Promise.all(["a", "b", "c"].map((s) => log.read(session, s, 0)));
        assert.deepEqual([numbers(a), a?.gap, a?.last], [[2], true, 2]);
        assert.deepEqual([numbers(b), b?.gap, b?.last], [[2, 3], true, 3]);
        assert.deepEqual([numbers(c), c?.gap, c?.last], [[1], false, 1]);
        assert.equal((await log.read(session, "a", 1))?.gap, false);
      });
    });

    test("[STR-7] throws the oldest away beyond its bytes, counted as UTF-8", async () => {
      await using(async (log, session) => {
        await log.append(session, "s", "x".repeat(50));
        await log.append(session, "s", "€".repeat(16));
        assert.deepEqual(numbers(await log.read(session, "s", 0)), [1, 2]);
        await log.append(session, "s", "xx");
        assert.deepEqual(numbers(await log.read(session, "s", 0)), [1, 2, 3]);
        await log.append(session, "s", "x");
        assert.deepEqual(numbers(await log.read(session, "s", 0)), [2, 3, 4]);
      });
    });

    test("[STR-7] never throws the newest away unless it is too long by itself", async () => {
      await using(async (log, session) => {
        await log.append(session, "a", "x".repeat(60));
        await log.append(session, "s", "x".repeat(LIMITS.eventBytes));
        assert.deepEqual(numbers(await log.read(session, "s", 0)), [1]);
        assert.deepEqual(numbers(await log.read(session, "a", 0)), []);
        assert.equal((await log.read(session, "a", 0))?.gap, true);
        assert.equal((await log.read(session, "a", 1))?.gap, false);
        await log.append(session, "a", "y");
        assert.deepEqual(numbers(await log.read(session, "a", 0)), [2]);
        assert.deepEqual(numbers(await log.read(session, "s", 0)) ?? [], []);
      });
    });

    test("[STR-14] an event over eventBytes reaches who watches, and then is a gap", async () => {
      await using(async (log, session, advance) => {
        const long = "x".repeat(1_000);
        const seen: Promise<readonly string[]>[] = [];
        const unwatch = log.watch(session, "s", (_oldest, appended) => {
          const read = async () => data(await log.read(session, "s", 0)) ?? [];
          seen.push(appended === undefined ? read() : Promise.resolve([appended.data]));
        });
        assert.equal(await log.append(session, "s", long), 1);
        await advance(0);
        assert.deepEqual((await Promise.all(seen)).at(-1), [long]);
        unwatch();
        await log.append(session, "a", "y");
        const slice = await log.read(session, "s", 0);
        assert.deepEqual([numbers(slice), slice?.gap, slice?.last], [[], true, 1]);
        assert.equal((await log.read(session, "s", 1))?.gap, false);
        assert.equal(await log.append(session, "s", "z"), 2);
        assert.deepEqual(numbers(await log.read(session, "s", 0)), [2]);
      });
    });

    test("[STR-7] sessions have their limits apart", async () => {
      await using(async (log, session) => {
        const other = uniqueId();
        await log.append(session, "s", "x");
        for (let i = 0; i < 10; i++) await log.append(other, "s", "x");
        assert.deepEqual(numbers(await log.read(session, "s", 0)), [1]);
        await log.drop(other);
      });
    });

    test("[STR-7] ended streams are bounded too, even without events", async () => {
      await using(async (log, session) => {
        for (let i = 0; i < 40; i++) {
          await log.end(session, `empty${i}`);
          await log.append(session, `s${i}`, "x");
          await log.end(session, `s${i}`);
        }
        let known = 0;
        for (let i = 0; i < 40; i++) {
          for (const stream of [`empty${i}`, `s${i}`]) {
            if (await log.read(session, stream, 0) !== undefined) known += 1;
          }
        }
        assert.ok(known <= 2 * LIMITS.events, `${known} streams are known`);
        assert.deepEqual(data(await log.read(session, "s39", 0)), ["x"]);
      });
    });
  });

  describe(`${name}: delivery and retention`, () => {
    test("notes how far a stream was delivered, and never goes back", async () => {
      await using(async (log, session) => {
        for (let i = 0; i < 3; i++) await log.append(session, "s", "x");
        assert.equal(await log.delivered(session, "s"), 0);
        await log.deliver(session, "s", 2);
        assert.equal(await log.delivered(session, "s"), 2);
        await log.deliver(session, "s", 1);
        assert.equal(await log.delivered(session, "s"), 2);
      });
    });

    test("[STR-7] what is yet to come can't have been delivered", async () => {
      await using(async (log, session) => {
        await log.append(session, "s", "1");
        await log.deliver(session, "s", 9);
        assert.equal(await log.delivered(session, "s"), 1);
        await log.append(session, "s", "2");
        assert.equal(await log.delivered(session, "s"), 1);
      });
    });

    test("[STR-7] forgets a stream retainMs after it ended and was delivered", async () => {
      await using(async (log, session, advance) => {
        for (const stream of ["a", "b"]) {
          await log.append(session, stream, "x");
          await log.append(session, stream, "y");
        }
        await log.deliver(session, "a", 2);
        await log.end(session, "a");
        await log.end(session, "b");
        await log.deliver(session, "b", 1);
        await advance(LIMITS.retainMs - 1_000);
        assert.deepEqual(data(await log.read(session, "a", 0)), ["x", "y"]);
        await advance(1_000);
        assert.equal(await log.read(session, "a", 0), undefined);
        assert.equal(await log.delivered(session, "a"), 0);
        // The other was not delivered to its end.
        assert.deepEqual(data(await log.read(session, "b", 0)), ["x", "y"]);
        await log.deliver(session, "b", 2);
        await advance(LIMITS.retainMs);
        assert.equal(await log.read(session, "b", 0), undefined);
      });
    });

    test("[STR-7] keeps a stream that was delivered but goes on", async () => {
      await using(async (log, session, advance) => {
        await log.append(session, "s", "x");
        await log.deliver(session, "s", 1);
        await advance(2 * LIMITS.retainMs);
        assert.deepEqual(data(await log.read(session, "s", 0)), ["x"]);
        assert.equal(await log.append(session, "s", "y"), 2);
      });
    });

    test("[STR-7] a forgotten stream takes nobody's place", async () => {
      await using(async (log, session, advance) => {
        await log.append(session, "s", "1");
        await log.append(session, "t", "x".repeat(90));
        await log.end(session, "t");
        await log.deliver(session, "t", 1);
        await advance(LIMITS.retainMs);
        for (const text of ["2", "3", "4"]) await log.append(session, "s", text.repeat(30));
        assert.deepEqual(numbers(await log.read(session, "s", 0)), [1, 2, 3, 4]);
      });
    });

    test("an empty stream that has ended is forgotten after retainMs", async () => {
      await using(async (log, session, advance) => {
        await log.end(session, "s");
        await advance(LIMITS.retainMs);
        assert.equal(await log.read(session, "s", 0), undefined);
      });
    });
  });

  describe(`${name}: watching`, () => {
    test("[STR-6] wakes after each append and at the end, with the news there to be read", async () => {
      await using(async (log, session, advance) => {
        const seen: Promise<Slice | undefined>[] = [];
        const other: string[] = [];
        const unwatch = log.watch(
          session,
          "s",
          () => seen.push(Promise.resolve(log.read(session, "s", 0))),
        );
        const unwatchOther = log.watch(session, "t", () => other.push("t"));
        await log.append(session, "s", "x");
        await advance(0);
        assert.ok(seen.length > 0);
        assert.deepEqual(data(await seen.at(-1)), ["x"]);
        const before = seen.length;
        await log.append(session, "s", "y");
        await advance(0);
        assert.ok(seen.length > before);
        assert.deepEqual(data(await seen.at(-1)), ["x", "y"]);
        await log.end(session, "s");
        await advance(0);
        assert.equal((await seen.at(-1))?.ended, true);
        assert.deepEqual(other, []);
        unwatch();
        unwatchOther();
      });
    });

    test("watching makes no stream known", async () => {
      await using(async (log, session) => {
        const unwatch = log.watch(session, "s", () => {});
        assert.equal(await log.read(session, "s", 0), undefined);
        unwatch();
        unwatch();
        assert.equal(await log.read(session, "s", 0), undefined);
      });
    });

    test("wakes every watcher of a stream, also one function that watches twice", async () => {
      await using(async (log, session, advance) => {
        const woken = { a: 0, b: 0 };
        const a = () => void (woken.a += 1);
        const unwatch1 = log.watch(session, "s", a);
        const unwatch2 = log.watch(session, "s", a);
        const unwatch3 = log.watch(session, "s", () => void (woken.b += 1));
        await log.append(session, "s", "x");
        await advance(0);
        assert.ok(woken.a >= 2);
        assert.ok(woken.b >= 1);
        unwatch1();
        unwatch1();
        const before = woken.a;
        await log.append(session, "s", "y");
        await advance(0);
        assert.ok(woken.a > before);
        unwatch2();
        unwatch3();
      });
    });

    test("wakes nobody who has stopped watching, also in the middle of waking", async () => {
      await using(async (log, session, advance) => {
        let woken = 0;
        const unwatch = log.watch(session, "s", () => void (woken += 1));
        unwatch();
        const stops: (() => void)[] = [];
        let survivors = 0;
        for (let i = 0; i < 2; i++) {
          stops.push(log.watch(session, "t", () => {
            survivors += 1;
            for (const stop of stops) stop();
          }));
        }
        await log.append(session, "s", "x");
        await log.append(session, "t", "x");
        await advance(0);
        assert.equal(woken, 0);
        assert.equal(survivors, 1);
      });
    });

    test("wakes the watchers of a dropped session, for whom the stream is then unknown", async () => {
      await using(async (log, session, advance) => {
        await log.append(session, "s", "x");
        let woken = 0;
        const unwatch = log.watch(session, "s", () => void (woken += 1));
        await log.drop(session);
        await advance(0);
        assert.ok(woken > 0);
        assert.equal(await log.read(session, "s", 0), undefined);
        unwatch();
      });
    });
  });

  describe(`${name}: dropping`, () => {
    test("[SES-6] forgets everything, and no later call brings the session back", async () => {
      await using(async (log, session) => {
        await log.append(session, "open", "x");
        await log.append(session, "ended", "x");
        await log.end(session, "ended");
        await log.drop(session);
        await log.drop(session);
        for (const stream of ["open", "ended", "new"]) {
          await log.open(session, stream);
          await log.deliver(session, stream, 1);
          log.watch(session, stream, () => {})();
          assert.equal(await log.append(session, stream, "y"), 0);
          await log.end(session, stream);
          assert.equal(await log.read(session, stream, 0), undefined);
          assert.equal(await log.delivered(session, stream), 0);
        }
      });
    });

    test("[SES-6] a session that had nothing can be dropped, for good", async () => {
      await using(async (log, session) => {
        await log.drop(session);
        assert.equal(await log.append(session, "s", "x"), 0);
        assert.equal(await log.read(session, "s", 0), undefined);
      });
    });
  });

  describe(`${name}: whole streams, where they can be added`, () => {
    test("[STR-7] has each message, is over, and was delivered to its end", async () => {
      await using(async (log, session) => {
        if (log.appendStream === undefined) return;
        const messages = ['{"a":"\\n\\n: x"}', "{}", '{"data":"é€😀\u2028"}'];
        await appendStream(log, session, "s", messages);
        assert.equal(await log.delivered(session, "s"), 3);
        const slice = await log.read(session, "s", 0);
        assert.deepEqual(data(slice), messages);
        assert.deepEqual(numbers(slice), [1, 2, 3]);
        assert.deepEqual({ ...slice, events: [] }, {
          events: [],
          ended: true,
          gap: false,
          last: 3,
        });
        assert.deepEqual(data(await log.read(session, "s", 2)), messages.slice(2));
        assert.equal(await log.append(session, "s", "more"), 0);
      });
    });

    test("[STR-7] are forgotten after retainMs, whether somebody has looked or not", async () => {
      await using(async (log, session, advance) => {
        if (log.appendStream === undefined) return;
        await appendStream(log, session, "seen", ["{}"]);
        await appendStream(log, session, "unseen", ["{}"]);
        assert.deepEqual(data(await log.read(session, "seen", 0)), ["{}"]);
        await advance(LIMITS.retainMs);
        assert.equal(await log.read(session, "seen", 0), undefined);
        assert.equal(await log.read(session, "unseen", 0), undefined);
      });
    });

    test("[STR-7] make room one event after the other, by number and by bytes", async () => {
      await using(async (log, session) => {
        if (log.appendStream === undefined) return;
        await appendStream(log, session, "old", ["1", "2", "3"]);
        await appendStream(log, session, "new", ["4", "5", "6"]);
        assert.deepEqual(numbers(await log.read(session, "old", 0)), [3]);
        assert.deepEqual(numbers(await log.read(session, "new", 0)), [1, 2, 3]);
        // In UTF-8, two bytes each.
        await appendStream(log, session, "long", ["é".repeat(30), "é".repeat(20)]);
        assert.deepEqual(numbers(await log.read(session, "long", 0)), [1, 2]);
        assert.equal(await log.read(session, "old", 0), undefined);
        assert.equal(await log.read(session, "new", 0), undefined);
      });
    });

    test("[SES-6] are dropped with their session, and none comes after that", async () => {
      await using(async (log, session) => {
        if (log.appendStream === undefined) return;
        await appendStream(log, session, "s", ["{}"]);
        await log.drop(session);
        assert.equal(await log.read(session, "s", 0), undefined);
        await appendStream(log, session, "t", ["{}"]);
        assert.equal(await log.read(session, "t", 0), undefined);
      });
    });
  });

  describe(`${name}: any history`, () => {
    test("[STR-7] holds what a plain list would", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(arbitraryStep, { maxLength: 60, size: "max" }), async (steps) => {
          await using(async (log, session) => {
            const model = new Model(LIMITS);
            for (const step of steps) await compare(log, session, model, step);
          });
        }),
        { numRuns: 100 },
      );
    });
  });
}

/** Adds a whole stream, as a response that is made of it does. */
async function appendStream(
  log: EventLog,
  session: string,
  stream: string,
  messages: readonly string[],
): Promise<void> {
  const frames = messages.map((data, index) => frame(eventId(stream, index + 1), data)).join("");
  await log.appendStream?.(session, stream, frames, messages.length);
}

type Step =
  | { readonly kind: "append"; readonly stream: string; readonly size: number }
  | { readonly kind: "open" | "end"; readonly stream: string }
  | { readonly kind: "whole"; readonly stream: string; readonly sizes: readonly number[] }
  | { readonly kind: "read"; readonly stream: string; readonly after: number };

const stream = fc.constantFrom("a", "b", "c", "d", "e", "f");
const arbitraryStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("append"), stream, size: fc.nat(60) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("read"), stream, after: fc.nat(12) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("whole"),
      stream,
      sizes: fc.array(fc.nat(60), { minLength: 1, maxLength: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("open"), stream }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("end"), stream }) },
);

async function compare(log: EventLog, session: string, model: Model, step: Step): Promise<void> {
  switch (step.kind) {
    case "append": {
      const text = "x".repeat(step.size);
      assert.equal(await log.append(session, step.stream, text), model.append(step.stream, text));
      return;
    }
    case "open":
      await log.open(session, step.stream);
      model.open(step.stream);
      return;
    case "end":
      await log.end(session, step.stream);
      model.end(step.stream);
      return;
    case "whole":
      if (log.appendStream === undefined || model.read(step.stream, 0) !== undefined) return;
      await appendStream(log, session, step.stream, step.sizes.map((size) => "x".repeat(size)));
      for (const size of step.sizes) model.append(step.stream, "x".repeat(size));
      model.end(step.stream);
      return;
    case "read":
      assert.deepEqual(
        await log.read(session, step.stream, step.after),
        model.read(step.stream, step.after),
      );
  }
}

interface Entry {
  readonly stream: string;
  readonly n: number;
  readonly data: string;
}

/** The plainest log that keeps the rules. An ended stream without events is an entry with number 0. */
class Model {
  readonly #limits: Required<EventLogLimits>;
  readonly #streams = new Map<string, { last: number; ended: boolean }>();
  #entries: Entry[] = [];

  constructor(limits: Required<EventLogLimits>) {
    this.#limits = limits;
  }

  open(stream: string): void {
    if (!this.#streams.has(stream)) this.#streams.set(stream, { last: 0, ended: false });
  }

  append(stream: string, text: string): number {
    this.open(stream);
    const state = this.#streams.get(stream);
    if (state === undefined || state.ended) return 0;
    state.last += 1;
    this.#add({ stream, n: state.last, data: text });
    return state.last;
  }

  end(stream: string): void {
    this.open(stream);
    const state = this.#streams.get(stream);
    if (state === undefined || state.ended) return;
    state.ended = true;
    if (!this.#entries.some((entry) => entry.stream === stream)) {
      this.#add({ stream, n: 0, data: "" });
    }
  }

  read(stream: string, after: number): Slice | undefined {
    const state = this.#streams.get(stream);
    if (state === undefined) return undefined;
    const { last, ended } = state;
    const events = this.#entries
      .filter((entry) => entry.stream === stream && entry.n > after)
      .map(({ n, data }) => ({ n, data }));
    return { events, ended, gap: after < last && events.length < last - after, last };
  }

  #add(entry: Entry): void {
    this.#entries.push(entry);
    const bytes = () => this.#entries.reduce((sum, each) => sum + each.data.length, 0);
    while (
      this.#entries.length > 1 &&
      (this.#entries.length > this.#limits.events || bytes() > this.#limits.eventBytes)
    ) {
      const gone = this.#entries.shift()?.stream ?? "";
      const left = this.#entries.some(({ stream }) => stream === gone);
      if (this.#streams.get(gone)?.ended && !left) this.#streams.delete(gone);
    }
  }
}
