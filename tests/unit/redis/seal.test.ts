import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { type SealedAs, Sealer } from "../../../src/redis/seal.ts";
import { SealedEvents } from "../../../src/redis/events/sealed_events.ts";
import { SessionNames } from "../../../src/redis/sessions/session_names.ts";
import { SessionRecords } from "../../../src/redis/sessions/session_record.ts";
import { digest } from "../../../src/redis/keys.ts";

const KEY = "0123456789abcdef0123456789abcdef";
const OTHER = "fedcba9876543210fedcba9876543210";
const sealer = (keys: readonly (string | Uint8Array)[] = [KEY], prefix = "demo", most?: number) =>
  new Sealer(keys, prefix, most);

describe("sealed texts", () => {
  test("[CLU-12] are opened by every process with the key, as what they are", () => {
    const [one, other] = [sealer(), sealer()];
    for (const text of ["", "x", "é😀", '{"a":1}', "long ".repeat(100_000)]) {
      const sealed = one.seal(text, "event", "session", "stream");
      assert.equal(other.open(sealed, "event", "session", "stream"), text);
      assert.ok(text.length < 5 || !sealed.includes(text));
    }
  });

  test("[CLU-12] are opened as nothing else", () => {
    const one = sealer();
    const sealed = one.seal("text", "event", "session", "stream");
    const others: readonly SealedAs[] = [
      ["event", "session", "other"],
      ["event", "other", "stream"],
      ["state", "session", "stream"],
      ["event", "session"],
      ["event", "session", "stream", ""],
      ['event","session', "stream"],
    ];
    for (const about of others) {
      assert.equal(one.tryOpen(sealed, ...about), undefined);
    }
    assert.equal(sealer([KEY], "prod").tryOpen(sealed, "event", "session", "stream"), undefined);
    assert.equal(sealer([OTHER]).tryOpen(sealed, "event", "session", "stream"), undefined);
    assert.throws(
      () => one.open(sealed, "state", "session"),
      /unexpected state, which was changed/,
    );
  });

  test("[CLU-12] are opened unchanged or not at all", () => {
    const one = sealer();
    // Without padding, so that each character counts.
    const sealed = one.seal("texts", "event");
    for (let at = 0; at < sealed.length; at++) {
      const changed = sealed.slice(0, at) + (sealed[at] === "A" ? "B" : "A") + sealed.slice(at + 1);
      assert.equal(one.tryOpen(changed, "event"), undefined, `${at}`);
    }
    const [salt, rest] = [sealed.slice(0, 20), sealed.slice(20)];
    for (
      const text of ["", "x", salt, sealed.slice(0, -4), `${sealed}AAAA`, `${salt}AAAA${rest}`]
    ) {
      assert.equal(one.tryOpen(text, "event"), undefined, text);
    }
  });

  test("[CLU-12] are sealed by the first key and opened by all, so that keys can be changed", () => {
    const bytes = new TextEncoder().encode(OTHER);
    const [old, both, turned, next] = [[KEY], [KEY, bytes], [bytes, KEY], [OTHER]].map((keys) =>
      sealer(keys)
    );
    assert.ok(old && both && turned && next);
    assert.equal(old.open(both.seal("text", "a"), "a"), "text");
    assert.equal(both.open(turned.seal("text", "a"), "a"), "text");
    assert.equal(turned.open(old.seal("text", "a"), "a"), "text");
    assert.equal(next.open(turned.seal("text", "a"), "a"), "text");
    assert.equal(next.tryOpen(both.seal("text", "a"), "a"), undefined);
  });

  test("[CLU-12] never have a nonce of one key twice, and a key seals so many texts only", () => {
    const one = sealer([KEY], "demo", 600);
    const texts = Array.from({ length: 1_801 }, () => one.seal("text", "a"));
    assert.equal(new Set(texts.map((text) => text.slice(0, 36))).size, texts.length);
    const keys = new Map<string, number>();
    for (const text of texts) {
      const salt = text.slice(0, 20);
      keys.set(salt, (keys.get(salt) ?? 0) + 1);
    }
    assert.deepEqual([...keys.values()], [600, 600, 600, 1]);
  });

  test("[CLU-12] the keys of other processes are remembered up to a number, and forged ones never", () => {
    const reader = sealer();
    const one = sealer([KEY], "demo", 1);
    const texts = Array.from({ length: 300 }, (_, i) => one.seal(String(i), "a"));
    for (const [i, text] of texts.entries()) assert.equal(reader.open(text, "a"), String(i));
    assert.equal(reader.remembered, 256);
    for (const text of texts) reader.tryOpen(`x${text.slice(1)}`, "a");
    assert.equal(reader.remembered, 256);
    assert.equal(one.remembered, 256);
    // What was forgotten is derived again.
    for (const [i, text] of texts.entries()) assert.equal(reader.open(text, "a"), String(i));
  });

  test("[CLU-12] nobody seals without a key", () => {
    assert.throws(() => sealer([]), TypeError);
    assert.throws(() => new Sealer(undefined, "demo"), /Give "keys"/);
  });
});

describe("messages of streams", () => {
  test("[CLU-12] a message is opened in its stream alone, also by the process that has sealed it", () => {
    const [one, other] = [new SealedEvents(sealer()), new SealedEvents(sealer())];
    const text = () => one.seal("session", "s", "message");
    assert.match(text(), /^7:/);
    assert.throws(() => one.open("session", "t", text()), /unexpected event/);
    assert.throws(() => one.open("other", "s", text()), /unexpected event/);
    assert.throws(() => one.open("session", "s", text().slice(0, -4)), /unexpected event/);
    const kept = text();
    for (const events of [one, one, other]) {
      assert.equal(events.open("session", "s", kept), "message");
    }
  });

  test("[CLU-12] messages are remembered until they are read, up to a number and a size", () => {
    const events = new SealedEvents(sealer());
    const many = Array.from(
      { length: 300 },
      (_, i) => events.seal("session", "s", `${i}`.repeat(9)),
    );
    assert.equal(events.size.messages, 256);
    for (const [i, text] of many.entries()) {
      assert.equal(events.open("session", "s", text), `${i}`.repeat(9));
    }
    assert.deepEqual(events.size, { messages: 0, chars: 0 });
    const long = [1, 2, 3].map(() => events.seal("session", "s", "x".repeat(500_000)));
    assert.deepEqual(events.size, { messages: 2, chars: 1_000_000 });
    for (const text of long) assert.equal(events.open("session", "s", text).length, 500_000);
    events.seal("session", "s", "x".repeat(2_000_000));
    assert.deepEqual(events.size, { messages: 0, chars: 0 });
  });
});

describe("names of sessions", () => {
  test("[CLU-12] an id is found by its name where it was sealed for it", () => {
    const [one, other] = [new SessionNames(sealer()), new SessionNames(sealer())];
    const sealed = one.seal("a");
    assert.equal(one.name("a"), digest("a"));
    assert.equal(other.id(digest("b"), sealed), undefined);
    assert.equal(other.id(digest("a"), "no sealed id"), undefined);
    assert.equal(other.id(digest("a"), sealed), "a");
    assert.deepEqual(other.ids([digest("a"), sealed, digest("b"), sealed]), ["a"]);
    // A name that is known needs no opening.
    assert.equal(one.id(digest("a"), "no sealed id"), "a");
  });

  test("[CLU-12] a number of names is remembered, the newest ones", () => {
    const names = new SessionNames(sealer(), 3);
    for (const id of ["a", "b", "c", "d", "d", "e"]) names.name(id);
    assert.equal(names.size, 3);
    assert.deepEqual(
      ["a", "b", "c", "d", "e"].map((id) => names.id(digest(id), "no sealed id")),
      [undefined, undefined, "c", "d", "e"],
    );
  });
});

describe("records of sessions", () => {
  const record = (id: string, name = "client") => ({
    id,
    owner: "alice",
    createdAt: 1,
    protocolVersion: "2025-11-25" as const,
    client: { capabilities: {}, info: { name, version: "1" } },
  });

  test("[CLU-12] a record is that of its session, also where it was opened before", () => {
    const records = new SessionRecords(sealer());
    const sealed = records.seal(record("a"));
    for (let i = 0; i < 2; i++) {
      const expected = { ...record("a"), initialized: true, logLevel: "debug" };
      assert.deepEqual(records.open("a", sealed, "1", "debug"), expected);
      assert.throws(() => records.open("b", sealed, "1", "debug"), /unexpected session/);
      assert.throws(() => records.open("a", sealed, "1", "loud"), /unexpected session/);
    }
    assert.equal(records.size.records, 1);
  });

  test("[CLU-12] records are remembered up to a number, and up to a size", () => {
    const few = new SessionRecords(sealer(), { records: 2 });
    const small = new SessionRecords(sealer(), { chars: 2_000 });
    for (let i = 0; i < 20; i++) {
      const text = few.seal(record("a", "x".repeat(i * 100)));
      for (const records of [few, small]) records.open("a", text, "", "");
      assert.ok(few.size.records <= 2);
      assert.ok(small.size.chars <= 2_000, `${small.size.chars}`);
    }
    assert.equal(few.size.records, 2);
    assert.deepEqual(small.size, { records: 0, chars: 0 });
  });
});
