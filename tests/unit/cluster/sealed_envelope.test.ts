import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { EVERY_NODE, SealedEnvelopes } from "../../../src/cluster/messages/sealed_envelope.ts";
import { deriveKey, encrypt } from "../../../src/internal/sealing.ts";
import { FakeClock } from "../../support/clock.ts";

const KEY = "k".repeat(32);
const OTHER = "o".repeat(32);

function pair(keys: readonly string[] = [KEY], theirs = keys) {
  const clock = new FakeClock();
  const a = new SealedEnvelopes({ node: "a", keys, clock });
  const b = new SealedEnvelopes({ node: "b", keys: theirs, clock });
  return { clock, a, b };
}

/** Adds to a number in the header of an envelope. */
function rewriteHead(envelope: string, index: number, by: number): string {
  const [head = "", ...rest] = envelope.split("\n");
  const fields: unknown[] = JSON.parse(head);
  fields[index] = Number(fields[index]) + by;
  return [JSON.stringify(fields), ...rest].join("\n");
}

describe("SealedEnvelopes", () => {
  test("[CLU-6] what one seals the other opens, for it or for everybody", async () => {
    const { a, b } = pair();
    for (const to of ["b", EVERY_NODE]) {
      for (const text of ["", "a\nb\n\nc", "ü😀\u2028\0", "x".repeat(2 ** 20)]) {
        assert.deepEqual(await b.open(await a.seal(to, text)), { from: "a", text });
      }
    }
  });

  test("[CLU-6] an envelope is good for one time", async () => {
    const { a, b } = pair();
    const envelope = await a.seal("b", "once");
    assert.equal((await b.open(envelope)).problem, undefined);
    assert.deepEqual(await b.open(envelope), { problem: "replayed" });
    const many = await Promise.all(Array.from({ length: 50 }, () => a.seal("b", "x")));
    const twice = await Promise.all([...many, ...many.toReversed()].map((each) => b.open(each)));
    assert.equal(twice.filter(({ problem }) => problem === undefined).length, 50);
  });

  test("[CLU-6] it comes to nobody else", async () => {
    const { a, b } = pair();
    assert.deepEqual(await b.open(await a.seal("c", "x")), { problem: "misdirected" });
    // Sent back, it isn't the sender's own.
    assert.deepEqual(await a.open(await a.seal(EVERY_NODE, "x")), { problem: "foreign" });
  });

  test("[CLU-6] it is fresh: 30 seconds before and after", async () => {
    const { clock, a, b } = pair();
    const [one, two] = [await a.seal("b", "1"), await a.seal("b", "2")];
    await clock.advance(29_999);
    assert.equal((await b.open(one)).problem, undefined);
    await clock.advance(1);
    assert.deepEqual(await b.open(two), { problem: "stale" });
    await clock.advance(60_000);
    const ahead = await a.seal("b", "3");
    clock.set(clock.now() - 29_999);
    assert.equal((await b.open(ahead)).problem, undefined);
    const further = await new SealedEnvelopes({ node: "c", keys: [KEY], clock }).seal("b", "4");
    clock.set(clock.now() - 30_000);
    assert.deepEqual(await b.open(further), { problem: "stale" });
  });

  test("[CLU-6] who lacks the key is not believed; any of several keys will do", async () => {
    const { a, b } = pair([KEY], [OTHER]);
    assert.deepEqual(await b.open(await a.seal("b", "x")), { problem: "foreign" });
    const rotating = pair([KEY, OTHER], [OTHER, KEY]);
    const envelope = await rotating.a.seal("b", "x");
    assert.equal((await rotating.b.open(envelope)).problem, undefined);
    assert.equal((await b.open(await rotating.b.seal("b", "x"))).problem, "foreign");
  });

  test("[CLU-6] every byte of it is authenticated", async () => {
    const { a, b } = pair();
    // 21 bytes with the tag: no bit of the base64 text is unused.
    const envelope = await a.seal("b", "texts");
    for (let i = 0; i < envelope.length; i++) {
      const changed = envelope[i] === "A" ? "B" : "A";
      const forged = envelope.slice(0, i) + changed + envelope.slice(i + 1);
      assert.notEqual((await b.open(forged)).problem, undefined, `byte ${i}`);
    }
    for (const forged of [`${envelope}x`, envelope.slice(0, -1)]) {
      assert.notEqual((await b.open(forged)).problem, undefined);
    }
    assert.equal((await b.open(envelope)).problem, undefined);
  });

  const rewrites: readonly (readonly [field: string, rewrite: (envelope: string) => string])[] = [
    ["sender", (envelope) => envelope.replace('["a"', '["c"')],
    ["recipient", (envelope) => envelope.replace('"c"', '"b"')],
    ["recipient, by all nodes", (envelope) => envelope.replace('"c"', `"${EVERY_NODE}"`)],
    ["time, by a later one", (envelope) => rewriteHead(envelope, 2, 1)],
    ["time, by an earlier one", (envelope) => rewriteHead(envelope, 2, -1)],
    ["sequence number", (envelope) => rewriteHead(envelope, 3, 1)],
    ["text, cut", (envelope) => envelope.slice(0, -4)],
    ["text, by nothing", (envelope) => envelope.slice(0, envelope.indexOf("\n") + 1)],
    ["text", (envelope) => `${envelope.slice(0, envelope.indexOf("\n") + 1)}${"A".repeat(28)}`],
  ];
  for (const [field, rewrite] of rewrites) {
    test(`[CLU-6] an envelope whose ${field} was replaced, all valid, is foreign`, async () => {
      const { a, b } = pair();
      const envelope = await a.seal(field.startsWith("recipient") ? "c" : "b", "text");
      const rewritten = rewrite(envelope);
      assert.notEqual(rewritten, envelope);
      assert.deepEqual(await b.open(rewritten), { problem: "foreign" });
      // It hasn't used up the sequence number either.
      const own = await a.seal("b", "own");
      assert.deepEqual(await b.open(own), { from: "a", text: "own" });
    });
  }

  test("[CLU-6] a replay is refused while it is fresh, however long its sender says nothing", async () => {
    const clock = new FakeClock();
    const b = new SealedEnvelopes({ node: "b", keys: [KEY], clock });
    const ahead = new FakeClock(clock.now() + 29_999);
    const a = new SealedEnvelopes({ node: "a", keys: [KEY], clock: ahead });
    const c = new SealedEnvelopes({ node: "c", keys: [KEY], clock });
    const envelope = await a.seal("b", "once");
    assert.equal((await b.open(envelope)).problem, undefined);
    for (const ms of [31_000, 28_998]) {
      await clock.advance(ms);
      // Other senders' envelopes are when silent senders are forgotten.
      assert.equal((await b.open(await c.seal("b", "other"))).problem, undefined);
      assert.deepEqual(await b.open(envelope), { problem: "replayed" });
    }
    await clock.advance(1);
    assert.deepEqual(await b.open(envelope), { problem: "stale" });
  });

  test("[CLU-6, CLU-12] a key that was derived for something else seals no envelope", async () => {
    const { a, b } = pair();
    const [line = ""] = (await a.seal("b", "x")).split("\n");
    const iv = new Uint8Array(12);
    iv[11] = 1;
    const uses = [
      { purpose: "mooring nodes 2", salt: "b" },
      { purpose: "mooring nodes 2" },
      { purpose: "mooring documents 1" },
      { purpose: "" },
    ];
    for (const use of uses) {
      const key = await deriveKey(KEY, { ...use, algorithm: "AES-GCM" });
      const forged = `${line}\n${await encrypt(key, iv, `mooring nodes 2\n${line}`, "x")}`;
      assert.deepEqual(await b.open(forged), { problem: "foreign" });
    }
    const key = await deriveKey(KEY, {
      purpose: "mooring nodes 2",
      salt: "a",
      algorithm: "AES-GCM",
    });
    const own = `${line}\n${await encrypt(key, iv, `mooring nodes 2\n${line}`, "x")}`;
    assert.deepEqual(await b.open(own), { from: "a", text: "x" });
  });

  test("[CLU-12] nothing of the text can be read, not even that two texts are the same", async () => {
    const { a } = pair();
    const texts = await Promise.all(Array.from({ length: 3 }, () => a.seal("b", "marker")));
    for (const text of texts) {
      assert.doesNotMatch(text, /marker/);
      assert.doesNotMatch(atob(text.slice(text.indexOf("\n") + 1)), /marker/);
    }
    assert.equal(new Set(texts.map((text) => text.slice(text.indexOf("\n")))).size, 3);
  });

  test("[CLU-12] no two nodes seal with the same key, and no nonce is used twice", async () => {
    const clock = new FakeClock();
    const bodies = await Promise.all(["a", "b", "c"].map(async (node) => {
      const envelope = await new SealedEnvelopes({ node, keys: [KEY], clock }).seal("d", "same");
      return envelope.slice(envelope.indexOf("\n") + 1, -24);
    }));
    assert.equal(new Set(bodies).size, 3);
    const a = new SealedEnvelopes({ node: "a", keys: [KEY], clock });
    const sent = await Promise.all(Array.from({ length: 100 }, () => a.seal("d", "x")));
    const numbers = sent.map((envelope) => JSON.parse(envelope.split("\n")[0] ?? "")[3]);
    assert.equal(new Set(numbers).size, 100);
  });

  test("[CLU-12] the keys of senders are bounded, and strangers take up none", async () => {
    const clock = new FakeClock();
    const b = new SealedEnvelopes({ node: "b", keys: [KEY], clock });
    for (let i = 0; i < 10; i++) {
      const stranger = new SealedEnvelopes({ node: `s${i}`, keys: [OTHER], clock });
      assert.deepEqual(await b.open(await stranger.seal("b", "x")), { problem: "foreign" });
    }
    assert.equal(b.size, 0);
    for (let i = 0; i < 1_030; i++) {
      const a = new SealedEnvelopes({ node: `a${i}`, keys: [KEY], clock });
      assert.equal((await b.open(await a.seal("b", "x"))).problem, undefined);
    }
    assert.equal(b.size, 1_024);
  });

  test("[CLU-6] anything else is malformed, and is answered, not thrown", async () => {
    const { b } = pair();
    const wrong = [
      "",
      "\n",
      "\n\n",
      "x",
      '["a","b",1,1]',
      '["a","b",1,1]\n!!!',
      "[]\nAAAA",
      "null\nAAAA",
      "{}\nAAAA",
      '["a","b","1",1]\nAAAA',
      '["a","b",1,0]\nAAAA',
      '["a","b",1,1.5]\nAAAA',
      '["a","b",1,1,1]\nAAAA',
      '[1,"b",1,1]\nAAAA',
      // The form of earlier versions.
      'AAAA\n["a","b",1,1]\n{}',
    ];
    for (const envelope of wrong) {
      assert.deepEqual(await b.open(envelope), { problem: "malformed" }, envelope);
    }
  });
});
