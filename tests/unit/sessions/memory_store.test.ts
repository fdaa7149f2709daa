import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { MemorySessionStore } from "../../../src/sessions/memory_store.ts";
import type {
  EndedSession,
  Found,
  Reservation,
  SessionCaps,
  SessionRecord,
} from "../../../src/sessions/types.ts";
import { FakeClock } from "../../support/clock.ts";
import { assertLinear } from "../../support/growth.ts";
import { growthBy } from "../../wire/memory.ts";

const CAPS = { sessions: 5, sessionsPerPrincipal: 3 };
const LIFETIMES = { idleMs: 50, absoluteMs: 200 };

function record(id: string, owner: string | undefined, createdAt: number): SessionRecord {
  return {
    id,
    owner,
    createdAt,
    protocolVersion: "2025-11-25",
    client: { capabilities: {} },
    initialized: false,
    logLevel: undefined,
  };
}

interface ModelSession {
  readonly id: string;
  owner: string | undefined;
  readonly createdAt: number;
  usedAt: number;
  /** Rises with every use, so that uses at the same time have an order. */
  turn: number;
  holds: number;
}

/** The plainest store that keeps the rules: one list, searched from the front each time. */
class Model {
  readonly sessions: ModelSession[] = [];
  readonly reserved: { readonly id: string; readonly owner: string | undefined }[] = [];
  #turn = 0;

  reserve(id: string, owner: string | undefined, now: number): Reservation {
    const ended: EndedSession[] = [];
    while (true) {
      const own = (each: { owner: string | undefined }) =>
        owner !== undefined && each.owner === owner;
      const count = this.sessions.filter(own).length + this.reserved.filter(own).length;
      const ownersCap = owner !== undefined && count >= CAPS.sessionsPerPrincipal;
      if (!ownersCap && this.sessions.length + this.reserved.length < CAPS.sessions) {
        this.reserved.push({ id, owner });
        return { admitted: true, ended };
      }
      const free = this.sessions.filter(({ holds }) => holds === 0).sort((a, b) => a.turn - b.turn);
      const victim = free.find(own) ?? (ownersCap ? undefined : free[0]);
      if (victim === undefined) return { admitted: false, ended };
      ended.push({ id: victim.id, reason: this.expiry(victim, now) ?? "evicted" });
      this.remove(victim);
    }
  }

  create(id: string, owner: string | undefined, now: number): boolean {
    const place = this.reserved.findIndex((each) => each.id === id);
    const [reservation] = place < 0 ? [] : this.reserved.splice(place, 1);
    if (reservation === undefined) return false;
    const session = { id, owner, createdAt: now, usedAt: now, turn: 0, holds: 0 };
    this.sessions.push(session);
    this.touch(session, now);
    return true;
  }

  release(id: string): void {
    const place = this.reserved.findIndex((each) => each.id === id);
    if (place >= 0) this.reserved.splice(place, 1);
  }

  find(id: string): ModelSession | undefined {
    return this.sessions.find((session) => session.id === id);
  }

  use(id: string, owner: string, now: number): string {
    const session = this.find(id);
    if (session === undefined) return "unknown";
    if (session.owner !== undefined && session.owner !== owner) return "foreign";
    const reason = this.expiry(session, now);
    if (reason !== undefined) {
      this.remove(session);
      return reason;
    }
    session.owner = owner;
    this.touch(session, now);
    return "found";
  }

  expiry(session: ModelSession, now: number): "expired" | "idle" | undefined {
    if (now - session.createdAt >= LIFETIMES.absoluteMs) return "expired";
    return session.holds === 0 && now - session.usedAt >= LIFETIMES.idleMs ? "idle" : undefined;
  }

  touch(session: ModelSession, now: number): void {
    session.usedAt = now;
    session.turn = ++this.#turn;
  }

  remove(session: ModelSession): void {
    this.sessions.splice(this.sessions.indexOf(session), 1);
  }
}

type Step =
  | { readonly kind: "reserve" | "create"; readonly id: number; readonly owner?: string }
  | { readonly kind: "use"; readonly id: number; readonly owner: string }
  | { readonly kind: "release" | "hold" | "free" | "end"; readonly id: number }
  | { readonly kind: "advance"; readonly by: number }
  | { readonly kind: "sweep"; readonly by: number };

const id = fc.nat(11);
const owner = fc.constantFrom("a", "b", "c");
const arbitraryStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      // A session may be created for another owner than its place was reserved for.
      kind: fc.constantFrom("reserve", "create"),
      id,
      owner: fc.option(owner, { nil: undefined, freq: 5 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("use"), id, owner }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("hold", "free"), id }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("release", "end"), id }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("advance"), by: fc.nat(40) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("sweep"), by: fc.integer({ min: 1, max: 4 }) }),
  },
);

/** Takes one step in both, and compares everything that can be seen. */
class Comparison {
  readonly #clock = new FakeClock();
  readonly #store = new MemorySessionStore(CAPS, LIFETIMES, this.#clock);
  readonly #model = new Model();

  step(step: Step): void {
    this.#take(step);
    const { sessions, reserved } = this.#model;
    assert.equal(this.#store.size, sessions.length);
    assert.deepEqual([...this.#store.ids()].sort(), sessions.map(({ id }) => id).sort());
    assert.ok(sessions.length + reserved.length <= CAPS.sessions);
  }

  #take(step: Step): void {
    const store = this.#store;
    const model = this.#model;
    const now = this.#clock.now();
    if (step.kind === "advance") {
      this.#clock.set(now + step.by);
      return;
    }
    if (step.kind === "sweep") {
      const expired = model.sessions.filter((session) => model.expiry(session, now) !== undefined);
      const ended = store.sweep(step.by);
      assert.equal(ended.length, Math.min(step.by, expired.length));
      for (const { id, reason } of ended) {
        const session = model.find(id);
        assert.ok(session !== undefined);
        assert.equal(reason, model.expiry(session, now));
        model.remove(session);
      }
      return;
    }
    const id = `id${step.id}`;
    const session = model.find(id);
    switch (step.kind) {
      case "reserve":
        if (session !== undefined || model.reserved.some((each) => each.id === id)) return;
        assert.deepEqual(store.reserve(id, step.owner), model.reserve(id, step.owner, now));
        return;
      case "create":
        assert.equal(
          store.create(record(id, step.owner, now)),
          model.create(id, step.owner, now),
        );
        return;
      case "release":
        store.release(id);
        model.release(id);
        return;
      case "use":
        assert.equal(named(store.use(id, step.owner)), model.use(id, step.owner, now));
        return;
      case "hold":
        store.hold(id);
        if (session !== undefined) session.holds += 1;
        return;
      case "free":
        store.free(id);
        if (session === undefined || session.holds === 0) return;
        session.holds -= 1;
        model.touch(session, now);
        return;
      case "end":
        assert.equal(store.end(id), session !== undefined);
        if (session !== undefined) model.remove(session);
    }
  }
}

function named(found: Found): string {
  if (found.record !== undefined) return "found";
  return found.refusal === "expired" ? found.ended.reason : found.refusal;
}

/** An empty store, and a way to begin sessions in it. */
function storeWith(caps: SessionCaps) {
  const clock = new FakeClock();
  const store = new MemorySessionStore(caps, LIFETIMES, clock);
  const add = (id: string, owner: string | undefined): void => {
    store.reserve(id, owner);
    store.create(record(id, owner, clock.now()));
  };
  return { clock, store, add };
}

describe("MemorySessionStore", () => {
  test("[SES-5] ends what a plain list searched from the front would end", () => {
    fc.assert(
      fc.property(fc.array(arbitraryStep, { maxLength: 150, size: "max" }), (steps) => {
        const comparison = new Comparison();
        for (const step of steps) comparison.step(step);
      }),
      { numRuns: 500 },
    );
  });

  test("never changes a record: an update replaces it", () => {
    const { store, add } = storeWith(CAPS);
    add("id", "a");
    const { record } = store.use("id", "a");
    assert.equal(store.use("id", "a").record, record);
    store.update("id", { initialized: true });
    assert.equal(record?.initialized, false);
    assert.equal(store.use("id", "a").record?.initialized, true);
  });

  test("[SES-5] claims are not refused for the cap, but make room before the next session", () => {
    const { store, add } = storeWith({ sessions: 9, sessionsPerPrincipal: 1 });
    for (const id of ["1", "2", "3"]) add(id, undefined);
    for (const id of ["1", "2", "3"]) assert.ok(store.use(id, "a").record);
    const { admitted, ended } = store.reserve("4", "a");
    assert.equal(admitted, true);
    assert.deepEqual(ended.map(({ id }) => id), ["1", "2", "3"]);
  });

  test("[SES-4] a clock that was set back ends nothing and keeps expiry going", () => {
    const { clock, store, add } = storeWith(CAPS);
    add("id", "a");
    clock.set(clock.now() - 3_600_000);
    assert.deepEqual(store.sweep(10), []);
    assert.ok(store.use("id", "a").record);
    clock.set(clock.now() + LIFETIMES.idleMs);
    assert.deepEqual(store.sweep(10), [{ id: "id", reason: "idle" }]);
  });

  test("[SES-4] a place that was reserved for long keeps nothing from being swept", () => {
    for (const begins of [false, true]) {
      const { clock, store, add } = storeWith(CAPS);
      store.reserve("place", "a");
      add("old", "b");
      if (begins) store.create(record("place", "a", clock.now() + 1));
      for (const id of ["old", "place"]) store.hold(id);
      clock.set(clock.now() + LIFETIMES.absoluteMs);
      assert.deepEqual(store.sweep(10), [{ id: "old", reason: "expired" }]);
      assert.equal(store.create(record("place", "a", clock.now())), !begins);
    }
  });

  test("[SES-5] finds who has to go without looking at 50,000 held sessions", async () => {
    const clock = new FakeClock();
    await assertLinear("as many new sessions as there are", 100_000, (cap) => {
      const caps = { sessions: cap, sessionsPerPrincipal: cap };
      const store = new MemorySessionStore(caps, { idleMs: 1e9, absoluteMs: 1e9 }, clock);
      const add = (i: number) => {
        const { admitted } = store.reserve(`id${i}`, `owner${i % 1_000}`);
        assert.ok(admitted);
        store.create(record(`id${i}`, `owner${i % 1_000}`, clock.now()));
      };
      for (let i = 0; i < cap; i++) add(i);
      for (let i = 0; i < cap; i += 2) store.hold(`id${i}`);
      for (let i = cap; i < cap * 2; i++) add(i);
      assert.equal(store.size, cap);
    });
  });

  test("[SES-5] nothing is left of owners whose sessions have ended", async () => {
    const clock = new FakeClock();
    const store = new MemorySessionStore(CAPS, LIFETIMES, clock);
    let n = 0;
    const grown = await growthBy(async () => {
      for (const last = n + 20_000; n < last; n++) {
        const owner = `owner ${n} ${"x".repeat(50)}`;
        store.reserve(`id${n}`, owner);
        if (n % 2 === 0) store.release(`id${n}`);
        else if (store.create(record(`id${n}`, owner, clock.now()))) store.end(`id${n}`);
      }
    }, 1_000_000);
    assert.equal(store.size, 0);
    assert.ok(grown < 1_000_000, `It grew by ${grown} bytes`);
  });
});
