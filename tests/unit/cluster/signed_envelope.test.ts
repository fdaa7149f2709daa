import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { EVERY_NODE, SignedEnvelopes } from "../../../src/cluster/signed_envelope.ts";
import { FakeClock } from "../../support/clock.ts";

const KEY = "k".repeat(32);
const OTHER = "o".repeat(32);

function pair(keys: readonly string[] = [KEY], theirs = keys) {
  const clock = new FakeClock();
  const a = new SignedEnvelopes({ node: "a", keys, clock });
  const b = new SignedEnvelopes({ node: "b", keys: theirs, clock });
  return { clock, a, b };
}

/** Adds to a number in the header of an envelope. */
function rewriteHead(envelope: string, index: number, by: number): string {
  const [mac = "", head = "", ...rest] = envelope.split("\n");
  const fields: unknown[] = JSON.parse(head);
  fields[index] = Number(fields[index]) + by;
  return [mac, JSON.stringify(fields), ...rest].join("\n");
}

describe("SignedEnvelopes", () => {
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
    const further = await new SignedEnvelopes({ node: "c", keys: [KEY], clock }).seal("b", "4");
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

  test("[CLU-6] every byte of it is signed", async () => {
    const { a, b } = pair();
    const envelope = await a.seal("b", "text");
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

  const signature = "A".repeat(43) + "=";
  const rewrites: readonly (readonly [field: string, rewrite: (envelope: string) => string])[] = [
    ["sender", (envelope) => envelope.replace('["a"', '["c"')],
    ["recipient", (envelope) => envelope.replace('"c"', '"b"')],
    ["recipient, by all nodes", (envelope) => envelope.replace('"c"', `"${EVERY_NODE}"`)],
    ["time, by a later one", (envelope) => rewriteHead(envelope, 2, 1)],
    ["time, by an earlier one", (envelope) => rewriteHead(envelope, 2, -1)],
    ["sequence number", (envelope) => rewriteHead(envelope, 3, 1)],
    ["text", (envelope) => envelope.replace("text", "test")],
    ["signature", (envelope) => signature + envelope.slice(envelope.indexOf("\n"))],
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
    const b = new SignedEnvelopes({ node: "b", keys: [KEY], clock });
    const ahead = new FakeClock(clock.now() + 29_999);
    const a = new SignedEnvelopes({ node: "a", keys: [KEY], clock: ahead });
    const c = new SignedEnvelopes({ node: "c", keys: [KEY], clock });
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

  test("[CLU-6] a key for states signs no envelope", async () => {
    const { a, clock } = pair();
    const [mac = "", ...signed] = (await a.seal("b", "x")).split("\n");
    const key = await crypto.subtle.importKey(
      "raw",
      new TextEncoder().encode(KEY),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["sign"],
    );
    const bytes = new TextEncoder().encode(`mooring nodes 1\n${signed.join("\n")}`);
    const own = btoa(String.fromCharCode(
      ...new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes)),
    ));
    assert.notEqual(own, mac);
    const b = new SignedEnvelopes({ node: "b", keys: [KEY], clock });
    assert.deepEqual(await b.open([own, ...signed].join("\n")), { problem: "foreign" });
  });

  test("[CLU-6] a key that was derived for something else signs no envelope", async () => {
    const { a, b } = pair();
    const [, ...signed] = (await a.seal("b", "x")).split("\n");
    const bytes = (text: string) => new TextEncoder().encode(text);
    const base = await crypto.subtle.importKey("raw", bytes(KEY), "HKDF", false, ["deriveKey"]);
    for (const info of ["", "mooring states 1"]) {
      const key = await crypto.subtle.deriveKey(
        { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: bytes(info) },
        base,
        { name: "HMAC", hash: "SHA-256", length: 256 },
        false,
        ["sign"],
      );
      const text = bytes(`mooring nodes 1\n${signed.join("\n")}`);
      const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, text));
      const forged = [btoa(String.fromCharCode(...mac)), ...signed].join("\n");
      assert.deepEqual(await b.open(forged), { problem: "foreign" });
    }
  });

  test("[CLU-6] anything else is malformed, and is answered, not thrown", async () => {
    const { b } = pair();
    const head = '["a","b",1,1]';
    const wrong = [
      "",
      "\n",
      "\n\n",
      "x",
      `!!!\n${head}\nx`,
      `AAAA\n${head}`,
      "AAAA\n[]\nx",
      "AAAA\nnull\nx",
      "AAAA\n{}\nx",
      'AAAA\n["a","b","1",1]\nx',
      'AAAA\n["a","b",1,0]\nx',
      'AAAA\n["a","b",1,1.5]\nx',
      'AAAA\n["a","b",1,1,1]\nx',
      'AAAA\n[1,"b",1,1]\nx',
    ];
    for (const envelope of wrong) {
      assert.deepEqual(await b.open(envelope), { problem: "malformed" }, envelope);
    }
  });
});
