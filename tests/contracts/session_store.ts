/**
 * What every {@linkcode SessionStore} must do.
 *
 * @module
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import type { MaybePromise } from "../../src/internal/types.ts";
import type {
  Found,
  SessionCaps,
  SessionLifetimes,
  SessionRecord,
  SessionStore,
} from "../../src/sessions/types.ts";
import { ownerKey } from "../../src/sessions/owner.ts";
import { uniqueId } from "./unique.ts";

/** A store under test. */
export interface SessionStoreUnderTest {
  readonly store: SessionStore;
  /** The store's time, in milliseconds since the epoch. */
  now(): number;
  /** Lets `ms` milliseconds pass, and everything happen that is then due. */
  advance(ms: number): MaybePromise<void>;
  close(): MaybePromise<void>;
}

/** Makes an empty store. */
export type MakeSessionStore = (settings: {
  readonly caps: SessionCaps;
  readonly lifetimes: SessionLifetimes;
}) => MaybePromise<SessionStoreUnderTest>;

/** A store with shortcuts for the tests. */
interface Bench extends SessionStoreUnderTest {
  /** Begins a session, which must be admitted without anybody having to go. */
  begin(owner?: string): Promise<string>;
  /** Lets enough time pass for one use to be later than another. */
  tick(): Promise<void>;
}

const CAPS: SessionCaps = { sessions: 4, sessionsPerPrincipal: 3 };
const LIFETIMES: SessionLifetimes = { idleMs: 2_000, absoluteMs: 5_000 };
const ODD_IDS = [
  "",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "*",
  "a b",
  "\u0000",
];

function record(id: string, owner: string | undefined, createdAt: number): SessionRecord {
  return {
    id,
    owner,
    createdAt,
    protocolVersion: "2025-11-25",
    client: { info: { name: "test", version: "1" }, capabilities: { sampling: {} } },
    initialized: false,
    logLevel: undefined,
  };
}

function outcome(found: Found): string {
  return found.refusal ?? "found";
}

async function begin(store: SessionStoreUnderTest, owner: string | undefined): Promise<string> {
  const id = uniqueId();
  assert.deepEqual(await store.store.reserve(id, owner), { admitted: true, ended: [] });
  assert.equal(await store.store.create(record(id, owner, store.now())), true);
  return id;
}

/** Runs the suite against the stores that `make` makes. */
export function sessionStoreContract(name: string, make: MakeSessionStore): void {
  async function using(
    run: (bench: Bench) => Promise<void>,
    caps: Partial<SessionCaps> = {},
    lifetimes: Partial<SessionLifetimes> = {},
  ): Promise<void> {
    const made = await make({
      caps: { ...CAPS, ...caps },
      lifetimes: { ...LIFETIMES, ...lifetimes },
    });
    try {
      await run({
        store: made.store,
        now: () => made.now(),
        advance: (ms) => made.advance(ms),
        close: () => made.close(),
        begin: (owner) => begin(made, owner),
        tick: async () => await made.advance(5),
      });
    } finally {
      await made.close();
    }
  }
  const suite = { name, using };
  lives(suite);
  owners(suite);
  expiry(suite);
  caps(suite);
  state(suite);
  subscriptions(suite);
}

interface Suite {
  readonly name: string;
  using(
    run: (bench: Bench) => Promise<void>,
    caps?: Partial<SessionCaps>,
    lifetimes?: Partial<SessionLifetimes>,
  ): Promise<void>;
}

function lives({ name, using }: Suite): void {
  describe(`${name}: beginning and ending`, () => {
    test("[SES-1] a session exists once it was created, not while its place is reserved", async () => {
      await using(async ({ store, now }) => {
        const id = uniqueId();
        assert.equal(await store.create(record(id, "o", now())), false);
        assert.equal((await store.reserve(id, "o")).admitted, true);
        assert.equal(store.size, 0);
        assert.equal(outcome(await store.use(id, "o")), "unknown");
        assert.equal(await store.peek(id), undefined);
        assert.deepEqual([...await store.ids()], []);
        assert.equal(await store.end(id), false);
        assert.equal(await store.create(record(id, "o", now())), true);
        assert.equal(store.size, 1);
        assert.equal(outcome(await store.use(id, "o")), "found");
        assert.deepEqual([...await store.ids()], [id]);
      });
    });

    test("[SES-1] a reservation that was released or used up creates nothing", async () => {
      await using(async ({ store, now }) => {
        const id = uniqueId();
        await store.reserve(id, "o");
        await store.release(id);
        await store.release(id);
        assert.equal(await store.create(record(id, "o", now())), false);
        await store.reserve(id, "o");
        assert.equal(await store.create(record(id, "o", now())), true);
        assert.equal(await store.create(record(id, "p", now())), false);
        await store.release(id);
        assert.equal((await store.peek(id))?.owner, "o");
      });
    });

    test("[SES-1] an id that is taken is given to nobody else", async () => {
      await using(async ({ store, begin }) => {
        const reserved = uniqueId();
        await store.reserve(reserved, "o");
        const live = await begin("o");
        for (const id of [reserved, live]) {
          assert.deepEqual(await store.reserve(id, "p"), { admitted: false, ended: [] });
        }
        assert.equal((await store.peek(live))?.owner, "o");
      });
    });

    test("keeps the whole record, and changes what update() says", async () => {
      await using(async ({ store, now }) => {
        const id = uniqueId();
        await store.reserve(id, "o");
        const whole = record(id, "o", now());
        await store.create(whole);
        assert.deepEqual((await store.use(id, "o")).record, whole);
        await store.update(id, { initialized: true });
        await store.update(id, { logLevel: "warning" });
        const changed = { ...whole, initialized: true, logLevel: "warning" };
        assert.deepEqual(await store.peek(id), changed);
        assert.deepEqual((await store.use(id, "o")).record, changed);
      });
    });

    test("[SES-6] end() forgets everything of a session, once", async () => {
      await using(async ({ store, begin }) => {
        const id = await begin("o");
        const other = await begin("o");
        await store.setState(id, "k", 1);
        await store.subscribe(id, "a:b", 10);
        store.hold(id);
        assert.equal(await store.end(id), true);
        assert.equal(await store.end(id), false);
        assert.equal(outcome(await store.use(id, "o")), "unknown");
        assert.equal(await store.peek(id), undefined);
        assert.equal(await store.getState(id, "k"), undefined);
        assert.deepEqual([...await store.subscribers("a:b")], []);
        assert.deepEqual([...await store.ids()], [other]);
        assert.equal(store.size, 1);
      });
    });

    test("[OWN-4] an ended id is never used, claimed or created again by any call", async () => {
      await using(async ({ store, begin, now }) => {
        const id = await begin("o");
        const unclaimed = await begin();
        for (const ended of [id, unclaimed]) {
          await store.end(ended);
          await store.update(ended, { initialized: true });
          store.hold(ended);
          store.free(ended);
          await store.setState(ended, "k", 1);
          assert.equal(await store.subscribe(ended, "a:b", 10), "gone");
          await store.release(ended);
          assert.equal(await store.create(record(ended, "o", now())), false);
          for (const owner of ["o", "p"]) {
            assert.equal(outcome(await store.use(ended, owner)), "unknown");
          }
        }
        assert.equal(store.size, 0);
        assert.deepEqual([...await store.subscribers("a:b")], []);
      });
    });

    test("[SES-10] odd texts are as unknown as any other id, and no call about them does anything", async () => {
      await using(async ({ store, begin, now }) => {
        const live = await begin("o");
        for (const id of [...ODD_IDS, uniqueId()]) {
          assert.equal(outcome(await store.use(id, "o")), "unknown");
          assert.equal(await store.peek(id), undefined);
          assert.equal(await store.end(id), false);
          assert.equal(await store.create(record(id, "o", now())), false);
          await store.release(id);
          await store.update(id, { initialized: true });
          store.hold(id);
          store.free(id);
          await store.setState(id, "k", 1);
          assert.equal(await store.getState(id, "k"), undefined);
          await store.deleteState(id, "k");
          assert.equal(await store.subscribe(id, "a:b", 1), "gone");
          await store.unsubscribe(id, "a:b");
          assert.deepEqual([...await store.subscribers(id)], []);
        }
        assert.deepEqual([...await store.ids()], [live]);
      });
    });
  });
}

function owners({ name, using }: Suite): void {
  describe(`${name}: owners`, () => {
    test("[OWN-1] only the owner's use finds a session", async () => {
      await using(async ({ store, begin }) => {
        const id = await begin("o");
        assert.equal(outcome(await store.use(id, "o")), "found");
        for (const owner of ["", "O", "o ", "p", "__proto__"]) {
          assert.deepEqual(await store.use(id, owner), { refusal: "foreign" });
        }
        assert.equal((await store.peek(id))?.owner, "o");
      });
    });

    test("[OWN-2] another owner's use is no use: the session expires as if nothing had happened", async () => {
      await using(async ({ store, begin, advance }) => {
        const id = await begin("o");
        await advance(1_500);
        assert.equal(outcome(await store.use(id, "p")), "foreign");
        await advance(500);
        // Even now, when the session is over, that is nothing that another owner could learn or do.
        assert.equal(outcome(await store.use(id, "p")), "foreign");
        assert.deepEqual(await store.use(id, "o"), {
          refusal: "expired",
          ended: { id, reason: "idle" },
        });
      });
    });

    test("[OWN-2] another owner's use doesn't change who goes first", async () => {
      await using(async ({ store, begin, tick }) => {
        const first = await begin("o");
        await tick();
        const second = await begin("o");
        await tick();
        await store.use(first, "p");
        const { ended } = await store.reserve(uniqueId(), "q");
        assert.deepEqual(ended, [{ id: first, reason: "evicted" }]);
        assert.equal(outcome(await store.use(second, "o")), "found");
      }, { sessions: 2 });
    });

    test("[SES-8] the first owner that uses an unclaimed session has it, for good", async () => {
      await using(async ({ store, begin, tick }) => {
        const id = await begin();
        assert.equal((await store.peek(id))?.owner, undefined);
        const found = await store.use(id, "o");
        assert.equal(found.record?.owner, "o");
        assert.equal((await store.peek(id))?.owner, "o");
        store.hold(id);
        store.free(id);
        await tick();
        assert.equal(outcome(await store.use(id, "p")), "foreign");
        assert.equal(outcome(await store.use(id, "o")), "found");
      });
    });

    test("[SES-8] of many who claim at once one has it", async () => {
      await using(async ({ store, begin }) => {
        const id = await begin();
        const names = ["a", "b", "c", "d", "e"];
        const found = await Promise.all(names.map((owner) => store.use(id, owner)));
        assert.equal(found.filter(({ record }) => record !== undefined).length, 1);
        const winner = found.find(({ record }) => record !== undefined)?.record?.owner;
        assert.equal((await store.peek(id))?.owner, winner);
      });
    });

    test("[SES-8] an unclaimed session expires, and nobody can claim it then", async () => {
      await using(async ({ store, begin, advance }) => {
        const id = await begin();
        await advance(2_000);
        assert.equal(outcome(await store.use(id, "o")), "expired");
        assert.equal(outcome(await store.use(id, "p")), "unknown");
      });
    });
  });
}

function expiry({ name, using }: Suite): void {
  describe(`${name}: expiry`, () => {
    test("[SES-4] a session is over when it was idle for idleMs, not before", async () => {
      await using(async ({ store, begin, advance }) => {
        const id = await begin("o");
        await advance(1_000);
        assert.equal(outcome(await store.use(id, "o")), "found");
        await advance(1_500);
        assert.equal(outcome(await store.use(id, "o")), "found");
        await advance(2_000);
        assert.equal(await store.peek(id), undefined);
        assert.deepEqual(await store.use(id, "o"), {
          refusal: "expired",
          ended: { id, reason: "idle" },
        });
        assert.equal(outcome(await store.use(id, "o")), "unknown");
        assert.equal(store.size, 0);
      });
    });

    test("[SES-4] looking at a session is no use", async () => {
      await using(async ({ store, begin, advance }) => {
        const id = await begin("o");
        await advance(1_500);
        assert.notEqual(await store.peek(id), undefined);
        await advance(500);
        assert.equal(outcome(await store.use(id, "o")), "expired");
      });
    });

    test("[SES-4] a session is over when it is absoluteMs old, however much it is used", async () => {
      await using(async ({ store, begin, advance }) => {
        const id = await begin("o");
        for (let i = 0; i < 3; i++) {
          await advance(1_500);
          assert.equal(outcome(await store.use(id, "o")), "found");
        }
        await advance(500);
        assert.deepEqual(await store.use(id, "o"), {
          refusal: "expired",
          ended: { id, reason: "expired" },
        });
      });
    });

    test("[SES-4] the absolute limit is the one named when both have passed", async () => {
      await using(async ({ store, begin, advance }) => {
        const used = await begin("o");
        const swept = await begin("p");
        await advance(5_000);
        const found = await store.use(used, "o");
        assert.equal(found.refusal === "expired" && found.ended.reason, "expired");
        assert.deepEqual(await store.sweep(10), [{ id: swept, reason: "expired" }]);
      });
    });

    test("[SES-4] a held session is never idle, and counts as used when it is freed", async () => {
      await using(async ({ store, begin, advance }) => {
        const id = await begin("o");
        store.hold(id);
        store.hold(id);
        await advance(3_000);
        assert.deepEqual(await store.sweep(10), []);
        store.free(id);
        await advance(100);
        assert.notEqual(await store.peek(id), undefined);
        store.free(id);
        store.free(id);
        await advance(1_000);
        assert.notEqual(await store.peek(id), undefined);
        await advance(1_000);
        // 5,100 ms old, so both limits have passed.
        assert.deepEqual(await store.sweep(10), [{ id, reason: "expired" }]);
      });
    });

    test("[OPR-1] uses() lists every session with its last use, and none while it is held", async () => {
      await using(async ({ store, begin, tick, now }) => {
        assert.ok(store.uses);
        assert.deepEqual([...await store.uses()], []);
        const [used, held] = [await begin("a"), await begin("b")];
        const before = now();
        await tick();
        await store.use(used, "a");
        store.hold(held);
        const uses = new Map(await store.uses());
        assert.equal(uses.size, 2);
        assert.ok((uses.get(used) ?? 0) > before, `${uses.get(used)} > ${before}`);
        assert.ok(uses.has(held) && uses.get(held) === undefined);
        await store.end(held);
        assert.deepEqual([...new Map(await store.uses()).keys()], [used]);
      });
    });

    test("[SES-4] a held session grows too old all the same", async () => {
      await using(async ({ store, begin, advance }) => {
        const used = await begin("o");
        const swept = await begin("o");
        store.hold(used);
        store.hold(swept);
        await advance(5_000);
        assert.equal(outcome(await store.use(used, "o")), "expired");
        assert.deepEqual(await store.sweep(10), [{ id: swept, reason: "expired" }]);
        store.free(used);
        store.free(swept);
        assert.equal(store.size, 0);
      });
    });

    test("[SES-4] a freed session is idle only idleMs later", async () => {
      await using(async ({ store, begin, advance }) => {
        const id = await begin("o");
        store.free(id);
        store.hold(id);
        await advance(2_500);
        store.free(id);
        store.free(id);
        await advance(1_500);
        assert.notEqual(await store.peek(id), undefined);
        await advance(500);
        assert.deepEqual(await store.sweep(10), [{ id, reason: "idle" }]);
      });
    });

    test("[SES-4] sweep() ends what has expired, at most as many as it was told, and nothing else", async () => {
      await using(async ({ store, begin, advance }) => {
        const old = [await begin("a"), await begin("b"), await begin("c")];
        for (const id of old) await store.subscribe(id, "a:b", 1);
        await advance(1_500);
        const young = await begin("d");
        assert.deepEqual(await store.sweep(10), []);
        await advance(500);
        const first = await store.sweep(2);
        assert.equal(first.length, 2);
        const second = await store.sweep(2);
        assert.equal(second.length, 1);
        assert.deepEqual(await store.sweep(2), []);
        const ended = [...first, ...second];
        assert.deepEqual(ended.map(({ id }) => id).sort(), old.sort());
        assert.ok(ended.every(({ reason }) => reason === "idle"));
        assert.deepEqual([...await store.ids()], [young]);
        assert.deepEqual([...await store.subscribers("a:b")], []);
      });
    });
  });
}

function caps({ name, using }: Suite): void {
  describe(`${name}: caps`, () => {
    test("[SES-5] at the cap the least recently used session goes", async () => {
      await using(async ({ store, begin, tick }) => {
        const ids: string[] = [];
        for (const owner of ["a", "b", "c", "d"]) {
          ids.push(await begin(owner));
          await tick();
        }
        const [a = "", b = ""] = ids;
        await store.use(a, "a");
        const { admitted, ended } = await store.reserve(uniqueId(), "e");
        assert.equal(admitted, true);
        assert.deepEqual(ended, [{ id: b, reason: "evicted" }]);
        assert.equal(outcome(await store.use(b, "b")), "unknown");
        assert.equal(store.size, 3);
      });
    });

    test("[SES-5] at the cap the owner's own goes first, although others were used longer ago", async () => {
      await using(async ({ store, begin, tick }) => {
        await begin("a");
        await tick();
        const own = await begin("b");
        await tick();
        await begin("b");
        await begin("c");
        const { ended } = await store.reserve(uniqueId(), "b");
        assert.deepEqual(ended, [{ id: own, reason: "evicted" }]);
      });
    });

    test("[SES-5] at the owner's cap only the owner's own goes", async () => {
      await using(async ({ store, begin, tick }) => {
        const other = await begin("a");
        await tick();
        const own: string[] = [];
        for (let i = 0; i < 3; i++) {
          own.push(await begin("b"));
          await tick();
        }
        const { admitted, ended } = await store.reserve(uniqueId(), "b");
        assert.equal(admitted, true);
        assert.deepEqual(ended, [{ id: own[0], reason: "evicted" }]);
        for (const id of own) store.hold(id);
        assert.deepEqual(await store.reserve(uniqueId(), "b"), { admitted: false, ended: [] });
        assert.equal(outcome(await store.use(other, "a")), "found");
      }, { sessions: 10 });
    });

    test("[SES-5] the clients of a user count as one, though each owns its sessions alone", async () => {
      await using(async ({ store, begin, tick }) => {
        const [one, two, three] = ["a", "b", undefined].map((clientId) =>
          ownerKey({ id: "o", issuer: "i", ...clientId !== undefined && { clientId } })
        );
        const namesake = await begin(ownerKey({ id: "o", issuer: "j" }));
        await tick();
        const first = await begin(one);
        assert.equal(outcome(await store.use(first, two ?? "")), "foreign");
        await tick();
        const second = await begin();
        assert.equal(outcome(await store.use(second, two ?? "")), "found");
        await tick();
        const { admitted, ended } = await store.reserve(uniqueId(), three);
        assert.deepEqual([admitted, ended], [true, [{ id: first, reason: "evicted" }]]);
        store.hold(second);
        assert.deepEqual(await store.reserve(uniqueId(), one), { admitted: false, ended: [] });
        assert.notEqual(await store.peek(namesake), undefined);
      }, { sessions: 10, sessionsPerPrincipal: 2 });
    });

    test("[SES-5] a held session never goes", async () => {
      await using(async ({ store, begin, tick }) => {
        const held = await begin("a");
        await tick();
        const free = await begin("b");
        await tick();
        store.hold(held);
        await store.use(free, "b");
        const { ended } = await store.reserve(uniqueId(), "c");
        assert.deepEqual(ended, [{ id: free, reason: "evicted" }]);
        assert.deepEqual(await store.reserve(uniqueId(), "d"), { admitted: false, ended: [] });
        store.free(held);
        const later = await store.reserve(uniqueId(), "d");
        assert.deepEqual(later, { admitted: true, ended: [{ id: held, reason: "evicted" }] });
      }, { sessions: 2 });
    });

    test("[SES-5] a session that was held goes last once it is free, whatever was used meanwhile", async () => {
      await using(async ({ store, begin, tick }) => {
        const held = await begin("a");
        const used = await begin("b");
        store.hold(held);
        await tick();
        await store.use(used, "b");
        await store.use(held, "a");
        await tick();
        store.free(held);
        const { ended } = await store.reserve(uniqueId(), "c");
        assert.deepEqual(ended, [{ id: used, reason: "evicted" }]);
      }, { sessions: 2 });
    });

    test("[SES-5] when all are held nobody is admitted and nobody goes", async () => {
      await using(async ({ store, begin }) => {
        const ids: string[] = [];
        for (const owner of ["a", "b", "c", "d"]) ids.push(await begin(owner));
        for (const id of ids) store.hold(id);
        assert.deepEqual(await store.reserve(uniqueId(), "e"), { admitted: false, ended: [] });
        assert.equal(store.size, 4);
      });
    });

    test("[SES-5] a reservation counts like a session, for both caps, until it is given back", async () => {
      await using(async ({ store }) => {
        const mine = [uniqueId(), uniqueId(), uniqueId()];
        for (const id of mine) assert.equal((await store.reserve(id, "a")).admitted, true);
        assert.equal((await store.reserve(uniqueId(), "a")).admitted, false);
        assert.equal((await store.reserve(uniqueId(), "b")).admitted, true);
        assert.equal((await store.reserve(uniqueId(), "c")).admitted, false);
        await store.release(mine[0] ?? "");
        assert.equal((await store.reserve(uniqueId(), "c")).admitted, true);
        assert.equal((await store.reserve(uniqueId(), "c")).admitted, false);
      });
    });

    test("[SES-5] no burst passes a cap", async () => {
      await using(async ({ store, now }) => {
        const ids = Array.from({ length: 20 }, () => uniqueId());
        const answers = await Promise.all(
          ids.map((id, i) => store.reserve(id, `owner${i % 2}`)),
        );
        const admitted = ids.filter((_, i) => answers[i]?.admitted);
        assert.equal(admitted.length, 4);
        for (const id of admitted) {
          assert.equal(await store.create(record(id, `owner${ids.indexOf(id) % 2}`, now())), true);
        }
        assert.equal(store.size, 4);
      });
    });

    test("[SES-5] an owner that opens sessions and never closes one locks nobody out", async () => {
      await using(async ({ store, tick, now, begin }) => {
        const patient = await begin("patient");
        for (let i = 0; i < 20; i++) {
          await tick();
          const id = uniqueId();
          const { admitted } = await store.reserve(id, "greedy");
          assert.equal(admitted, true);
          await store.create(record(id, "greedy", now()));
        }
        assert.equal(outcome(await store.use(patient, "patient")), "found");
        assert.equal(store.size, 4);
      });
    });

    test("[SES-5] ending, expiry and eviction give the place back", async () => {
      await using(async ({ store, begin, advance }) => {
        await store.end(await begin("a"));
        await store.end(await begin("a"));
        await begin("a");
        await advance(2_000);
        assert.equal((await store.sweep(10)).length, 1);
        const used = await begin("a");
        await advance(2_000);
        await store.use(used, "a");
        const id = await begin("a");
        assert.equal(outcome(await store.use(id, "a")), "found");
      }, { sessions: 1, sessionsPerPrincipal: 1 });
    });

    test("[SES-5] a claimed session counts for its owner's cap", async () => {
      await using(async ({ store, begin, tick }) => {
        const claimed = await begin();
        await store.use(claimed, "a");
        await tick();
        await begin("a");
        const { ended } = await store.reserve(uniqueId(), "a");
        assert.deepEqual(ended, [{ id: claimed, reason: "evicted" }]);
      }, { sessions: 10, sessionsPerPrincipal: 2 });
    });
  });
}

function state({ name, using }: Suite): void {
  describe(`${name}: state`, () => {
    test("keeps JSON values under any key, apart for each session", async () => {
      await using(async ({ store, begin }) => {
        const id = await begin("o");
        const other = await begin("o");
        const values = [null, false, 0, "", "ünï", [1, [2]], { a: { b: null } }];
        for (const [i, value] of values.entries()) await store.setState(id, `k${i}`, value);
        for (const [i, value] of values.entries()) {
          assert.deepEqual(await store.getState(id, `k${i}`), value);
          assert.equal(await store.getState(other, `k${i}`), undefined);
        }
        for (const key of ["__proto__", "constructor", "", "k:0"]) {
          assert.equal(await store.getState(id, key), undefined);
          await store.setState(id, key, key);
          assert.equal(await store.getState(id, key), key);
        }
        await store.setState(id, "k0", "again");
        assert.equal(await store.getState(id, "k0"), "again");
        await store.deleteState(id, "k0");
        await store.deleteState(id, "k0");
        await store.setState(id, "k1", undefined);
        assert.equal(await store.getState(id, "k0"), undefined);
        assert.equal(await store.getState(id, "k1"), undefined);
        assert.equal(await store.getState(id, "k2"), 0);
      });
    });

    test("shares nothing with whoever sets or gets a value", async () => {
      await using(async ({ store, begin }) => {
        const id = await begin("o");
        const value = { list: [1] };
        await store.setState(id, "k", value);
        value.list.push(2);
        const got = await store.getState(id, "k");
        assert.deepEqual(got, { list: [1] });
        Object.assign(got as object, { more: true });
        assert.deepEqual(await store.getState(id, "k"), { list: [1] });
      });
    });

    test("refuses what JSON can't write", async () => {
      await using(async ({ store, begin }) => {
        const id = await begin("o");
        await store.setState(id, "k", 1);
        for (const value of [() => {}, Symbol("s"), 1n]) {
          await assert.rejects(async () => await store.setState(id, "k", value), TypeError);
        }
        assert.equal(await store.getState(id, "k"), 1);
      });
    });

    test("[SES-12] all of a session's keys and values have one bound, in bytes", async () => {
      await using(async ({ store, begin }) => {
        const [id, other] = [await begin("o"), await begin("o")];
        const set = async (key: string, value: unknown, most = 20, of = id) =>
          await store.setState(of, key, value, most);
        const full = async (key: string, value: unknown, most?: number) =>
          await assert.rejects(set(key, value, most), {
            name: "RangeError",
            message: /session state.* bytes/,
          });
        await set("a", "ünï"); // 1 + 7 bytes
        await set("b", 123456789); // 1 + 9
        await full("c", 10);
        await set("c", 1); // 1 + 1: full to the last byte
        await full("", 0);
        await full("a", "ünïc");
        assert.equal(await store.getState(id, "a"), "ünï");
        assert.equal(await store.getState(id, ""), undefined);
        await set("a", "uni"); // 1 + 5
        await set("d", 1);
        await full("e", 1);
        await set("e", 1, 20, other);
        // What gets smaller is kept, even above a bound that is lower now
        await set("b", 12345678, 10);
        await full("e", 1, 10);
        await store.deleteState(id, "b");
        await store.deleteState(id, "b");
        await store.deleteState(id, "nothing");
        await set("e", 12345678);
        await full("f", 1);
        await set("e", undefined);
        await set("f", 12345678);
        await full("e", 1);
        assert.equal(await store.getState(id, "f"), 12345678);
      });
    });

    test("[SES-12] a burst doesn't pass the bound", async () => {
      await using(async ({ store, begin }) => {
        const id = await begin("o");
        const outcomes = await Promise.allSettled(
          Array.from(
            { length: 10 },
            async (_, n) => await store.setState(id, `${n}`, 12345678, 30),
          ),
        );
        assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 3);
      });
    });
  });
}

function subscriptions({ name, using }: Suite): void {
  describe(`${name}: subscriptions`, () => {
    test("[SRV-5] subscribing is idempotent and bounded for each session", async () => {
      await using(async ({ store, begin }) => {
        const id = await begin("o");
        const other = await begin("o");
        assert.equal(await store.subscribe(id, "a:1", 2), "subscribed");
        assert.equal(await store.subscribe(id, "a:2", 2), "subscribed");
        assert.equal(await store.subscribe(id, "a:3", 2), "full");
        assert.equal(await store.subscribe(id, "a:1", 2), "subscribed");
        assert.equal(await store.subscribe(other, "a:1", 2), "subscribed");
        assert.deepEqual([...await store.subscribers("a:1")].sort(), [id, other].sort());
        assert.deepEqual([...await store.subscribers("a:2")], [id]);
        assert.deepEqual([...await store.subscribers("a:3")], []);
        await store.unsubscribe(id, "a:1");
        await store.unsubscribe(id, "a:1");
        await store.unsubscribe(id, "a:9");
        assert.deepEqual([...await store.subscribers("a:1")], [other]);
        assert.equal(await store.subscribe(id, "a:3", 2), "subscribed");
      });
    });

    test("[SRV-5] a session that has ended subscribes nothing", async () => {
      await using(async ({ store, begin }) => {
        const id = await begin("o");
        await store.end(id);
        assert.equal(await store.subscribe(id, "a:1", 2), "gone");
        assert.deepEqual([...await store.subscribers("a:1")], []);
      });
    });

    test("[SRV-5] subscriptions go with their session, however it ends", async () => {
      await using(async ({ store, begin, tick, advance }) => {
        const evicted = await begin("o");
        await tick();
        const ended = await begin("o");
        for (const id of [evicted, ended]) await store.subscribe(id, "a:1", 2);
        await store.reserve(uniqueId(), "o");
        assert.deepEqual([...await store.subscribers("a:1")], [ended]);
        await store.end(ended);
        assert.deepEqual([...await store.subscribers("a:1")], []);
        const expired = await begin("o");
        await store.subscribe(expired, "a:1", 2);
        await advance(2_000);
        await store.use(expired, "o");
        assert.deepEqual([...await store.subscribers("a:1")], []);
      }, { sessions: 2 });
    });

    test("[SRV-5] odd URIs are names like any other", async () => {
      await using(async ({ store, begin }) => {
        const id = await begin("o");
        for (const uri of ["__proto__", "constructor", ""]) {
          assert.deepEqual([...await store.subscribers(uri)], []);
          assert.equal(await store.subscribe(id, uri, 10), "subscribed");
          assert.deepEqual([...await store.subscribers(uri)], [id]);
        }
      });
    });
  });
}
