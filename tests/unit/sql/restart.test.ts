import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { SqlEventLog } from "../../../src/sql/event_log.ts";
import { SqlSessionStore } from "../../../src/sql/session_store.ts";
import { SqlTables } from "../../../src/sql/sql.ts";
import type { SessionRecord } from "../../../src/sessions/types.ts";
import { FakeClock } from "../../support/clock.ts";
import { memorySql } from "../../support/sqlite.ts";

const CAPS = { sessions: 10, sessionsPerPrincipal: 10 };
const LIFETIMES = { idleMs: 10_000, absoluteMs: 60_000 };
const LIMITS = { events: 4, eventBytes: 100, retainMs: 2_000 };

function record(id: string, createdAt: number): SessionRecord {
  return {
    id,
    owner: "ada",
    createdAt,
    protocolVersion: "2025-11-25",
    client: { capabilities: {} },
    initialized: false,
    logLevel: undefined,
  };
}

describe("SqlSessionStore after a restart", () => {
  test("[DUR-1] a session whose stream is open does not expire by a restart", async () => {
    const clock = new FakeClock();
    const sql = memorySql();
    const open = () => new SqlSessionStore(new SqlTables(sql), CAPS, LIFETIMES, clock);
    const store = open();
    store.reserve("s", "ada");
    store.create(record("s", clock.now()));
    store.reserve("idle", "ada");
    store.create(record("idle", clock.now()));
    store.hold("s");
    await clock.advance(LIFETIMES.idleMs - 1);
    store.noteHeld();
    await clock.advance(2);
    const next = open();
    assert.ok(next.peek("s"));
    assert.equal(next.peek("idle"), undefined);
    sql.close();
  });

  test("[WRK-3] has everything of a session, and its last use", async () => {
    const clock = new FakeClock();
    const sql = memorySql();
    const open = () => new SqlSessionStore(new SqlTables(sql), CAPS, LIFETIMES, clock);
    const before = open();
    assert.equal(before.reserve("s", "ada").admitted, true);
    assert.equal(before.create(record("s", clock.now())), true);
    before.update("s", { initialized: true, logLevel: "error" });
    before.setState("s", "key", { deep: [1] });
    before.setState("s", "gone", 1);
    before.setState("s", "gone", undefined);
    before.subscribe("s", "test://a", 10);
    before.subscribe("s", "test://b", 10);
    before.unsubscribe("s", "test://b");
    await clock.advance(4_000);
    assert.ok(before.use("s", "ada").record);
    await clock.advance(9_000);

    const after = open();
    assert.equal(after.size, 1);
    assert.equal(after.nextExpiry, clock.now() + 1_000);
    const { initialized, logLevel, owner } = after.peek("s") ?? {};
    assert.deepEqual([initialized, logLevel, owner], [true, "error", "ada"]);
    assert.equal(after.use("s", "eve").refusal, "foreign");
    assert.deepEqual(after.getState("s", "key"), { deep: [1] });
    assert.equal(after.getState("s", "gone"), undefined);
    assert.deepEqual([...after.subscribers("test://a")], ["s"]);
    assert.deepEqual([...after.subscribers("test://b")], []);
    await clock.advance(1_000);
    assert.equal(after.use("s", "ada").refusal, "expired");
    assert.equal(open().size, 0);
    sql.close();
  });

  test("[WRK-5] asking for an unknown session stores nothing", () => {
    const sql = memorySql();
    const tables = new SqlTables(sql);
    const clock = new FakeClock();
    const store = new SqlSessionStore(tables, CAPS, LIFETIMES, clock);
    const log = new SqlEventLog(tables, LIMITS, clock);
    assert.equal(store.use("s", "ada").refusal, "unknown");
    store.update("s", { initialized: true });
    store.setState("s", "key", 1);
    store.subscribe("s", "test://a", 1);
    assert.equal(store.end("s"), false);
    assert.equal(log.read("s", "a", 0), undefined);
    assert.equal(log.delivered("s", "a"), 0);
    log.deliver("s", "a", 1);
    log.drop("s");
    assert.equal(log.append("s", "a", "x"), 0);
    assert.equal(tables.exist, false);
    sql.close();
  });
});

describe("SqlEventLog after a restart", () => {
  test("[WRK-6] streams of running requests end with an error for each that has no response", () => {
    const clock = new FakeClock();
    const sql = memorySql();
    const open = () => new SqlEventLog(new SqlTables(sql), { ...LIMITS, eventBytes: 1_000 }, clock);
    const before = open();
    before.open("s", "batch", { requests: [1, "1"] });
    before.append("s", "batch", '{"jsonrpc":"2.0","id":1,"result":{}}', true);
    before.open("s", "server");
    before.append("s", "server", '{"jsonrpc":"2.0","method":"a"}');
    before.open("s", "over", { requests: [2] });
    before.end("s", "over");
    for (let starts = 0; starts < 2; starts++) {
      const after = open();
      after.endInterrupted();
      const batch = after.read("s", "batch", 0);
      assert.equal(batch?.ended, true);
      const messages = batch?.events.map(({ data }) => JSON.parse(data));
      assert.deepEqual(messages?.map(({ id }) => id), [1, "1"]);
      assert.match(messages?.[1].error.message, /restarted/);
      assert.equal(after.read("s", "server", 0)?.ended, false);
      assert.equal(after.read("s", "server", 0)?.events.length, 1);
      assert.deepEqual(after.read("s", "over", 0)?.events, []);
    }
    sql.close();
  });

  test("[STR-7] keeps responses above the limits, but not more than as much again", () => {
    const clock = new FakeClock();
    const sql = memorySql();
    const log = new SqlEventLog(new SqlTables(sql), LIMITS, clock);
    for (let i = 0; i < 50; i++) log.append("s", `s${i}`, "x".repeat(30), true);
    const rows = sql.exec("SELECT count(*) AS n, sum(bytes) AS bytes FROM mooring_event").toArray();
    assert.deepEqual({ ...rows[0] }, { n: 6, bytes: 180 });
    // One of any size is kept, as far as a row can have it.
    log.append("t", "a", "x".repeat(5_000), true);
    assert.equal(log.read("t", "a", 0)?.events.length, 1);
    log.append("t", "b", "x".repeat(2_000_000), true);
    assert.deepEqual(log.read("t", "b", 0), { events: [], ended: false, gap: true, last: 1 });
    sql.close();
  });
});
