/**
 * The event log in a file: a turn is one transaction, of which nobody hears before it is stored.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SqlEventLog } from "../../../src/sql/event_log.ts";
import { SqlFile } from "../../../src/sql/file.ts";
import { SqlRunLog } from "../../../src/sql/run_log.ts";
import { KeySealing } from "../../../src/sql/sealing.ts";
import { SqlSessionStore } from "../../../src/sql/session_store.ts";
import { type Sql, SqlTables } from "../../../src/sql/sql.ts";
import { frame } from "../../../src/streams/sse.ts";
import { FakeClock } from "../../support/clock.ts";
import { memorySql } from "../../support/sqlite.ts";

const LIMITS = { events: 32, eventBytes: 4_096, retainMs: 60_000 };
const CAPS = { sessions: 10, sessionsPerPrincipal: 10 };
const LIFETIMES = { idleMs: 60_000, absoluteMs: 60_000 };

/** A file in memory that counts its transactions, and fails on demand. */
class CountingFile implements Sql {
  readonly #file = new SqlFile({ path: ":memory:", maxBytes: 1 << 30, synchronous: "normal" });
  #depth = 0;
  transactions = 0;
  /** Statements that fail. */
  failing: RegExp | undefined;

  exec(
    query: string,
    ...bindings: Parameters<SqlFile["exec"]> extends [string, ...infer B] ? B : never
  ) {
    if (this.failing?.test(query)) throw new Error("database or disk is full");
    if (this.#depth === 0 && !query.startsWith("SELECT")) this.transactions++;
    return this.#file.exec(query, ...bindings);
  }

  atomic<T>(work: () => T): T {
    if (this.#depth === 0) this.transactions++;
    this.#depth++;
    try {
      return this.#file.atomic(work);
    } finally {
      this.#depth--;
    }
  }

  close(): void {
    this.#file.close();
  }
}

/** A log in a file that has its tables already. */
async function opened(limits = LIMITS) {
  const file = new CountingFile();
  const clock = new FakeClock();
  const tables = new SqlTables(file);
  const log = new SqlEventLog(tables, limits, clock);
  await log.append("first", "s", "x");
  // What the journal has of sessions that have ended is not recovered.
  tables.add("INSERT INTO mooring_session VALUES ('a', '', 0)");
  file.transactions = 0;
  return { file, clock, tables, log };
}

const data = (log: SqlEventLog, stream: string, session = "a"): string[] =>
  log.read(session, stream, 0)?.events.map(({ data }) => data) ?? [];

describe("a turn of the event log in a file", () => {
  test("[DUR-21] is one transaction, for all sessions and streams, with the end", async () => {
    const { file, log } = await opened();
    const numbers: unknown[] = [];
    for (const session of ["a", "b"]) {
      for (let n = 0; n < 5; n++) numbers.push(log.append(session, "s", `${n}`));
      numbers.push(log.append(session, "s", "answer", true), log.end(session, "s"));
    }
    assert.equal(file.transactions, 0);
    assert.deepEqual(await Promise.all(numbers), [
      ...[1, 2, 3, 4, 5, 6, undefined],
      ...[1, 2, 3, 4, 5, 6, undefined],
    ]);
    assert.equal(file.transactions, 1);
    assert.deepEqual(data(log, "s"), ["0", "1", "2", "3", "4", "answer"]);
    file.close();
  });

  test("[DUR-21] a stream that is appended as a whole is one transaction with others", async () => {
    const { file, log } = await opened();
    const frames = ["1", "2", "3"].map((text, n) => frame(`s.${n + 1}`, text)).join("");
    await Promise.all([0, 1, 2].map((n) => log.appendStream("a", `s${n}`, frames, 3)));
    assert.equal(file.transactions, 1);
    for (const stream of ["s0", "s1", "s2"]) {
      assert.deepEqual(data(log, stream), ["1", "2", "3"]);
      assert.deepEqual(log.read("a", stream, 2)?.events, [{ n: 3, data: "3" }]);
      assert.equal(log.delivered("a", stream), 3);
    }
    file.close();
  });

  test("[DUR-21] watchers hear of an event once it is stored, and not before", async () => {
    const { file, log } = await opened();
    const heard: (readonly [unknown, number])[] = [];
    log.watch("a", "s", (_oldest, appended) => heard.push([appended?.data, file.transactions]));
    const appended = log.append("a", "s", "x");
    assert.deepEqual(heard, []);
    await appended;
    await Promise.resolve();
    assert.deepEqual(heard, [["x", 1]]);
    file.close();
  });

  test("[DUR-21] who reads gets what is stored, so that it is stored first", async () => {
    const { file, log } = await opened();
    void log.append("a", "s", "x");
    assert.deepEqual(data(log, "s"), ["x"]);
    assert.equal(file.transactions, 1);
    file.close();
  });

  test("[DUR-21] what waits for the end of a turn is bounded", async () => {
    const { file, log } = await opened({ ...LIMITS, eventBytes: 1_000_000 });
    const appended: unknown[] = [];
    for (let n = 0; n < 50; n++) appended.push(log.append("a", "s", "x".repeat(100_000)));
    assert.ok(file.transactions >= 4, `${file.transactions}`);
    await Promise.all(appended);
    file.close();
  });

  test("[DUR-21] that something was delivered waits for other changes, or a moment", async () => {
    const { file, log, clock, tables } = await opened();
    await log.append("a", "s", "x");
    file.transactions = 0;
    log.deliver("a", "s", 1);
    assert.equal(log.delivered("a", "s"), 1);
    assert.equal(file.transactions, 0);
    await clock.advance(100);
    assert.equal(file.transactions, 1);
    assert.equal(new SqlEventLog(tables, LIMITS, clock).delivered("a", "s"), 1);
    file.close();
  });

  test("[DUR-22] that can't be stored fails as a whole, and changes nothing", async () => {
    const { file, log } = await opened();
    await log.append("a", "s", "1");
    const heard: unknown[] = [];
    log.watch("a", "s", (_oldest, appended) => heard.push(appended?.data));
    file.failing = /^INSERT/;
    const failing = [
      log.append("a", "s", "2"),
      log.append("a", "s", "3", true),
      log.end("a", "s"),
      log.append("a", "new", "4"),
      log.appendStream("a", "whole", frame("whole.1", "5"), 1),
    ];
    const results = await Promise.allSettled(failing);
    assert.deepEqual(results.map(({ status }) => status), Array(5).fill("rejected"));
    file.failing = undefined;
    assert.deepEqual(heard, []);
    assert.deepEqual(log.read("a", "s", 0), {
      events: [{ n: 1, data: "1" }],
      ended: false,
      gap: false,
      last: 1,
    });
    assert.equal(log.read("a", "new", 0), undefined);
    assert.equal(log.read("a", "whole", 0), undefined);
    assert.equal(await log.append("a", "s", "2"), 2);
    assert.deepEqual(data(log, "s"), ["1", "2"]);
    file.close();
  });

  test("[DUR-22] a session that ends while the file is full gives room, and stays away", async () => {
    const { file, log, tables, clock } = await opened();
    tables.change("DELETE FROM mooring_session");
    const sessions = new SqlSessionStore(tables, CAPS, LIFETIMES, clock);
    for (const id of ["a", "b"]) {
      sessions.reserve(id, "ada");
      sessions.create({
        id,
        owner: "ada",
        createdAt: clock.now(),
        protocolVersion: "2025-11-25",
        client: { capabilities: {} },
        initialized: true,
        logLevel: undefined,
      });
    }
    await Promise.all([log.append("a", "s", "1"), log.append("b", "s", "2")]);
    // The journal has both sessions, the tables have neither.
    file.failing = /^INSERT/;
    log.drop("a");
    sessions.end("a");
    file.failing = undefined;
    const later = new SqlEventLog(tables, LIMITS, clock);
    assert.equal(later.read("a", "s", 0), undefined);
    assert.deepEqual(data(later, "s", "b"), ["2"]);
    file.close();
  });
});

test("[DUR-22] a session whose end can't be stored goes on", async () => {
  const { file, log } = await opened();
  await log.append("a", "s", "1");
  file.failing = /^(?:INSERT|DELETE)/;
  assert.throws(() => log.drop("a"), /full/);
  file.failing = undefined;
  assert.equal(await log.append("a", "s", "2"), 2);
  assert.deepEqual(data(log, "s"), ["1", "2"]);
  log.drop("a");
  assert.equal(log.append("a", "s", "3"), 0);
  file.close();
});

describe("the journal of the event log", () => {
  test("[DUR-23] a later process has what was stored, whenever it begins", async () => {
    const step = fc.record({
      do: fc.constantFrom(
        "append",
        "append",
        "answer",
        "whole",
        "end",
        "deliver",
        "turn",
        "restart",
      ),
      session: fc.constantFrom("a", "b"),
      stream: fc.constantFrom("s", "t", "u"),
      text: fc.string({ maxLength: 30 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.boolean(), async (steps, sealed) => {
        const file = new CountingFile();
        const sealing = sealed ? new KeySealing("a key of thirty-two bytes or more") : undefined;
        const tables = new SqlTables(file, sealing);
        // What the journal has of sessions that have ended is not recovered.
        tables.add("INSERT INTO mooring_session VALUES (?, '', 0)", tables.sealing.name("a"));
        tables.add("INSERT INTO mooring_session VALUES (?, '', 0)", tables.sealing.name("b"));
        const clock = new FakeClock();
        // Nothing is dropped: there are fewer events than that.
        const limits = { ...LIMITS, events: 1_000, eventBytes: 1_000_000 };
        let log: SqlEventLog = new SqlRunLog(tables, limits, clock);
        const model = new Map<string, { texts: string[]; ended: boolean }>();
        let waiting: unknown[] = [];
        let whole = 0;
        for (const { do: what, session, stream, text } of steps) {
          const key = `${session} ${stream}`;
          const known = model.get(key) ?? { texts: [], ended: false };
          if (what === "append" || what === "answer") {
            waiting.push(log.append(session, stream, text, what === "answer"));
            if (!known.ended) known.texts.push(text);
            model.set(key, known);
          } else if (what === "whole") {
            const name = `w${++whole}`;
            const texts = ["1", JSON.stringify(text), "3"];
            const frames = texts.map((text, n) => frame(`${name}.${n + 1}`, text)).join("");
            waiting.push(log.appendStream(session, name, frames, 3));
            model.set(`${session} ${name}`, { texts, ended: true });
          } else if (what === "end") {
            waiting.push(log.end(session, stream));
            model.set(key, { ...known, ended: true });
          } else if (what === "deliver") log.deliver(session, stream, known.texts.length);
          else {
            await Promise.all(waiting);
            waiting = [];
            // As after a kill: nothing is closed.
            if (what === "restart") log = new SqlRunLog(tables, limits, clock);
          }
        }
        await Promise.all(waiting);
        for (const reader of [log, new SqlRunLog(tables, limits, clock)]) {
          for (const [key, { texts, ended }] of model) {
            const [session = "", stream = ""] = key.split(" ");
            const slice = reader.read(session, stream, 0);
            assert.deepEqual(slice?.events.map(({ data }) => data), texts);
            assert.deepEqual(slice?.events.map(({ n }) => n), texts.map((_, n) => n + 1));
            assert.deepEqual([slice?.ended, slice?.gap, slice?.last], [ended, false, texts.length]);
          }
        }
        file.close();
      }),
      { numRuns: 100 },
    );
  });

  test("[DUR-23] is written into the tables when it is long, without what was dropped since", async () => {
    const { file, log, tables } = await opened();
    const text = "x".repeat(4_000);
    for (let n = 0; n < 1_500; n++) await log.append("a", "s", text);
    const [journal] = tables.read("SELECT count(*) AS n FROM mooring_journal");
    const [events] = tables.read("SELECT count(*) AS n FROM mooring_event WHERE session = 'a'");
    assert.ok(Number(journal?.n) > 0 && Number(journal?.n) < 1_200, `${journal?.n}`);
    assert.equal(events?.n, 1);
    log.close();
    assert.equal(tables.read("SELECT count(*) AS n FROM mooring_journal")[0]?.n, 0);
    assert.equal(data(log, "s").length, 1);
    file.close();
  });

  test("[DUR-24] a file of the form before has its events, and gets the present form", async () => {
    const file = new CountingFile();
    file.exec(`CREATE TABLE mooring_session (
      id TEXT PRIMARY KEY, record TEXT NOT NULL, used_at INTEGER NOT NULL) WITHOUT ROWID`);
    file.exec(`CREATE TABLE mooring_stream (
      session TEXT NOT NULL, name TEXT NOT NULL, last INTEGER NOT NULL, first INTEGER NOT NULL,
      delivered INTEGER NOT NULL, ended INTEGER NOT NULL, done_at INTEGER, requests TEXT,
      PRIMARY KEY (session, name)) WITHOUT ROWID`);
    file.exec(`CREATE TABLE mooring_event (
      seq INTEGER PRIMARY KEY, session TEXT NOT NULL, stream TEXT NOT NULL, n INTEGER NOT NULL,
      data TEXT, bytes INTEGER NOT NULL, held INTEGER NOT NULL)`);
    file.exec("INSERT INTO mooring_stream VALUES ('a', 's', 3, 2, 2, 0, NULL, NULL)");
    for (const n of [2, 3]) {
      file.exec("INSERT INTO mooring_event VALUES (?, 'a', 's', ?, ?, 1, ?)", n, n, `${n}`, n - 2);
    }
    const log = new SqlEventLog(new SqlTables(file), LIMITS, new FakeClock());
    assert.deepEqual(log.read("a", "s", 0), {
      events: [{ n: 2, data: "2" }, { n: 3, data: "3" }],
      ended: false,
      gap: true,
      last: 3,
    });
    assert.equal(await log.append("a", "s", "4"), 4);
    assert.equal(log.delivered("a", "s"), 2);
    file.close();
  });
});

describe("the end of a session in SQLite", () => {
  const record = (id: string, now: number) => ({
    id,
    owner: "ada",
    createdAt: now,
    protocolVersion: "2025-11-25" as const,
    client: { capabilities: {} },
    initialized: true,
    logLevel: undefined,
  });

  test("[DUR-25] a process that is killed while it ends one has it, or has ended it for good", () => {
    for (const killedAt of [/^DELETE FROM mooring_session/, /^DELETE FROM mooring_subscription/]) {
      const file = new CountingFile();
      const clock = new FakeClock();
      const tables = new SqlTables(file);
      const open = () => new SqlSessionStore(new SqlTables(file), CAPS, LIFETIMES, clock);
      const store = new SqlSessionStore(tables, CAPS, LIFETIMES, clock);
      store.reserve("a", "ada");
      store.create(record("a", clock.now()));
      store.setState("a", "key", 1);
      file.failing = killedAt;
      assert.throws(() => store.end("a"), /full/);
      file.failing = undefined;
      // Whoever looks sees the same before and after the restart: nobody was told that it has ended.
      for (const each of [store, open()]) {
        assert.ok(each.peek("a"));
        assert.equal(each.getState("a", "key"), 1);
      }
      assert.equal(store.end("a"), true);
      assert.equal(open().peek("a"), undefined);
      file.close();
    }
  });

  test("[DUR-25] one that expired or made room is deleted later, if it can't be at once", async () => {
    const file = new CountingFile();
    const clock = new FakeClock();
    const tables = new SqlTables(file);
    const store = new SqlSessionStore(
      tables,
      { sessions: 1, sessionsPerPrincipal: 1 },
      LIFETIMES,
      clock,
    );
    store.reserve("a", "ada");
    store.create(record("a", clock.now()));
    file.failing = /^DELETE/;
    const { admitted, ended } = store.reserve("b", "ada");
    assert.equal(admitted, true);
    assert.deepEqual(ended.map(({ id }) => id), ["a"]);
    file.failing = undefined;
    store.release("b");
    assert.equal(tables.read("SELECT count(*) AS n FROM mooring_session")[0]?.n, 1);
    store.noteHeld();
    assert.equal(tables.read("SELECT count(*) AS n FROM mooring_session")[0]?.n, 0);
    file.close();
  });

  test("[DUR-25] a change that can't be stored is not seen", () => {
    const file = new CountingFile();
    const clock = new FakeClock();
    const store = new SqlSessionStore(new SqlTables(file), CAPS, LIFETIMES, clock);
    store.reserve("a", "ada");
    store.create(record("a", clock.now()));
    store.setState("a", "key", 1);
    store.subscribe("a", "test://a", 10);
    file.failing = /^(?:INSERT|UPDATE|DELETE)/;
    assert.throws(() => store.setState("a", "key", 2), /full/);
    assert.throws(() => store.setState("a", "other", 2), /full/);
    assert.throws(() => store.deleteState("a", "key"), /full/);
    assert.throws(() => store.update("a", { logLevel: "error" }), /full/);
    assert.throws(() => store.unsubscribe("a", "test://a"), /full/);
    file.failing = undefined;
    assert.equal(store.getState("a", "key"), 1);
    assert.equal(store.getState("a", "other"), undefined);
    assert.equal(store.peek("a")?.logLevel, undefined);
    assert.deepEqual([...store.subscribers("test://a")], ["a"]);
    file.close();
  });

  test("[DUR-21] without transactions of its own, as in a Durable Object, each call is stored at once", () => {
    const sql = memorySql();
    const log = new SqlEventLog(new SqlTables(sql), LIMITS, new FakeClock());
    assert.equal(log.append("a", "s", "x"), 1);
    const [events] = sql.exec("SELECT count(*) AS n FROM mooring_event").toArray();
    assert.equal(events?.["n"], 1);
    assert.equal(log.appendStream("a", "w", frame("w.1", "y"), 1), undefined);
    assert.deepEqual(data(log, "w"), ["y"]);
    sql.close();
  });
});
