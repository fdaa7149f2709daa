import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Arrivals } from "../../../src/http/gates/arrivals.ts";
import { checkBody } from "../../../src/http/gates/body.ts";
import { gateSettings } from "../../../src/http/gates/options.ts";
import { Inbound } from "../../../src/http/inbound.ts";
import { FakeClock } from "../../support/clock.ts";
import { assertPassed, assertRefused, pass, PING, post } from "./support.ts";

const encoder = new TextEncoder();
const HEADERS = { "content-type": "application/json", accept: "*/*" };

/** A body that is pulled chunk by chunk, and how it was. */
class Source {
  pulled = 0;
  cancelled = 0;
  readonly stream: ReadableStream<Uint8Array>;

  constructor(chunk: (index: number) => Uint8Array | Error | undefined) {
    let index = 0;
    this.stream = new ReadableStream({
      pull: (controller) => {
        const next = chunk(index++);
        if (next === undefined) return controller.close();
        if (next instanceof Error) return controller.error(next);
        this.pulled += next.byteLength;
        controller.enqueue(next);
      },
      cancel: () => {
        this.cancelled++;
        // Never done: nothing may wait for it.
        return new Promise(() => {});
      },
    }, { highWaterMark: 0 });
  }
}

function streamed(stream: ReadableStream, headers: Record<string, string> = {}): Request {
  // `duplex` is asked for by the Fetch standard, and missing from some type libraries.
  const init = {
    method: "POST",
    body: stream,
    headers: { ...HEADERS, ...headers },
    duplex: "half",
  };
  return new Request("http://api.example/mcp", init as RequestInit);
}

/** A stream of `text` in chunks of `size` bytes. */
function inChunks(text: string, size: number): Source {
  const bytes = encoder.encode(text);
  return new Source((index) => {
    const chunk = bytes.slice(index * size, (index + 1) * size);
    return chunk.byteLength === 0 ? undefined : chunk;
  });
}

/** A ping that is exactly so many bytes long. */
function pingOf(bytes: number): string {
  return PING + " ".repeat(bytes - PING.length);
}

const KIB = { limits: { bodyBytes: 1024 } };

describe("the body gate, length declared", () => {
  test("[GATE-8] exactly at the limit passes, one byte more doesn't", async () => {
    assertPassed(await pass(post(pingOf(1024)), KIB));
    const message = await assertRefused(
      await pass(post(pingOf(1025)), KIB),
      413,
      -32000,
      "body-size",
    );
    assert.match(message, /limits\.bodyBytes.*1024$/);
  });

  test("[GATE-8] the limit is 1 MiB by default", async () => {
    assertPassed(await pass(post(pingOf(1024 * 1024))));
    await assertRefused(await pass(post(pingOf(1024 * 1024 + 1))), 413, -32000, "body-size");
  });

  test("[GATE-8] over the limit is refused unread", async () => {
    for (const length of ["1025", "00001025", "99999999999999999999999999"]) {
      const source = inChunks(PING, 10);
      const request = streamed(source.stream, { "content-length": length });
      await assertRefused(await pass(request, KIB), 413, -32000, "body-size");
      assert.equal(source.pulled, 0);
      assert.equal(request.bodyUsed, false);
    }
  });

  test("[GATE-8] a length that lies is found out by the true one", async () => {
    const body = pingOf(1025);
    await assertRefused(
      await pass(post(body, { "content-length": "10" }), KIB),
      413,
      -32000,
      "body-size",
    );
    const source = inChunks(pingOf(1025), 100);
    const request = streamed(source.stream, { "content-length": "10" });
    await assertRefused(await pass(request, KIB), 413, -32000, "body-size");
    assertPassed(await pass(post(pingOf(1024), { "content-length": "10" }), KIB));
  });

  test("[GATE-8] bytes are counted, not characters", async () => {
    const text = (emoji: number) =>
      `{"jsonrpc":"2.0","id":"${"😀".repeat(emoji)}","method":"ping"}`;
    const bytes = encoder.encode(text(10)).byteLength;
    assertPassed(await pass(post(text(10)), { limits: { bodyBytes: bytes } }));
    const outcome = await pass(post(text(10), { "content-length": "1" }), {
      limits: { bodyBytes: bytes - 1 },
    });
    await assertRefused(outcome, 413, -32000, "body-size");
  });

  test("[GATE-8] a malformed length counts as undeclared", async () => {
    for (const length of ["-1", "1e9", "0x10", "", "5, 5", "+5", "many"]) {
      assertPassed(
        await pass(streamed(inChunks(PING, 7).stream, { "content-length": length }), KIB),
      );
      const source = inChunks(pingOf(5000), 100);
      const request = streamed(source.stream, { "content-length": length });
      await assertRefused(await pass(request, KIB), 413, -32000, "body-size");
      assert.equal(source.cancelled, 1);
    }
  });
});

describe("the body gate, length undeclared", () => {
  test("[GATE-8] exactly at the limit passes, one byte more doesn't, however it is cut", async () => {
    for (const size of [1, 7, 512, 1023, 1024, 1025, 4096]) {
      const at = inChunks(pingOf(1024), size);
      assertPassed(await pass(streamed(at.stream), KIB));
      assert.equal(at.cancelled, 0);
      const over = inChunks(pingOf(1025), size);
      await assertRefused(await pass(streamed(over.stream), KIB), 413, -32000, "body-size");
      assert.equal(over.cancelled, 1);
    }
  });

  test("[GATE-8] reading is cancelled at the limit, on a body without end", async () => {
    const chunk = 100;
    const source = new Source(() => new Uint8Array(chunk).fill(0x20));
    await assertRefused(await pass(streamed(source.stream), KIB), 413, -32000, "body-size");
    assert.equal(source.cancelled, 1);
    assert.ok(source.pulled <= 1024 + chunk, `${source.pulled}`);
  });

  test("[GATE-8] a body that breaks off is refused, nothing is thrown", async () => {
    const bytes = encoder.encode(PING);
    for (const before of [0, 1, 3]) {
      const source = new Source((i) => i < before ? bytes : new Error("secret: connection reset"));
      const outcome = await pass(streamed(source.stream), KIB);
      assert.doesNotMatch(await assertRefused(outcome, 400, -32600, "envelope"), /secret/);
      const declared = new Source((i) => i < before ? bytes : new Error("secret: reset"));
      const request = streamed(declared.stream, { "content-length": "500" });
      await assertRefused(await pass(request, KIB), 400, -32600, "envelope");
    }
  });

  test("[GATE-8] no body is no JSON", async () => {
    const none = () => new Request("http://a/", { method: "POST", headers: HEADERS });
    await assertRefused(await pass(none()), 400, -32700, "json");
    await assertRefused(await pass(post("")), 400, -32700, "json");
    await assertRefused(await pass(streamed(inChunks("", 1).stream)), 400, -32700, "json");
  });

  test("[GATE-8] a body that was read before is no way around", async () => {
    const used = post();
    await used.text();
    await assertRefused(await pass(used), 400, -32600, "envelope");
    const usedStream = streamed(inChunks(PING, 10).stream);
    await usedStream.text();
    await assertRefused(await pass(usedStream), 400, -32600, "envelope");
    const parsed = Object.assign(post("[]"), { parsedBody: JSON.parse(PING), rawBody: PING });
    await assertRefused(await pass(parsed), 400, -32600, "batch");
    const locked = streamed(inChunks(PING, 10).stream);
    locked.body?.getReader();
    await assertRefused(await pass(locked), 400, -32600, "envelope");
  });

  test("[GATE-8] a body that isn't made of bytes is refused", async () => {
    for (const chunk of [PING, encoder.encode(PING).buffer, 1, null]) {
      const stream = new ReadableStream({
        start(controller) {
          controller.enqueue(chunk);
          controller.close();
        },
      });
      await assertRefused(await pass(streamed(stream)), 400, -32600, "envelope");
    }
  });

  test("[GATE-8] empty and tiny chunks keep their order", async () => {
    const bytes = encoder.encode(PING);
    const source = new Source((i) =>
      i >= bytes.length * 2
        ? undefined
        : i % 2
        ? bytes.slice((i - 1) / 2, (i + 1) / 2)
        : new Uint8Array(0)
    );
    const passed = assertPassed(await pass(streamed(source.stream), KIB));
    assert.ok(passed.verb === "POST" && passed.kind === "request");
    assert.deepEqual(passed.message, JSON.parse(PING));
  });

  test("[GATE-8] the source's own chunks aren't written into", async () => {
    const chunks = [encoder.encode(PING + " "), encoder.encode("  "), encoder.encode(" ")];
    const source = new Source((i) => chunks[i]);
    assertPassed(await pass(streamed(source.stream), KIB));
    assert.deepEqual(chunks[0], encoder.encode(PING + " "));
    assert.deepEqual(chunks[1], encoder.encode("  "));
  });
});

describe("the body's text", () => {
  /** Bytes that are no UTF-8, inside a JSON string. */
  const INVALID: readonly (readonly [string, readonly number[]])[] = [
    ["a lone continuation", [0x80]],
    ["a byte that is never used", [0xff]],
    ["an overlong slash", [0xc0, 0xaf]],
    ["an overlong three-byte form", [0xe0, 0x80, 0xaf]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["a broken off two-byte form", [0xc3]],
    ["a broken off three-byte form", [0xe2, 0x82]],
    ["a four-byte form broken off after its second byte", [0xf0, 0x9f]],
    ["a code point past the last", [0xf4, 0x90, 0x80, 0x80]],
    ["invalid bytes beside a true replacement character", [0xef, 0xbf, 0xbd, 0xff]],
  ];
  const withId = (id: readonly number[]) =>
    new Uint8Array([
      ...encoder.encode('{"jsonrpc":"2.0","method":"ping","id":"'),
      ...id,
      ...encoder.encode('"}'),
    ]);

  for (const [what, bytes] of INVALID) {
    test(`[GATE-9] ${what} is no UTF-8`, async () => {
      await assertRefused(await pass(post(withId(bytes))), 400, -32700, "json");
      const source = new Source((i) => i === 0 ? withId(bytes) : undefined);
      await assertRefused(await pass(streamed(source.stream)), 400, -32700, "json");
      // Decoders keep nothing of what came before.
      assertPassed(await pass(post()));
    });
  }

  test("[GATE-9] a four-byte form broken off after its third byte is refused or replaced", async () => {
    const bytes = withId([0xf0, 0x9f, 0x98]);
    const source = new Source((i) => i === 0 ? bytes : undefined);
    await assertRefused(await pass(streamed(source.stream)), 400, -32700, "json");
    // A body of declared length is read as text, and the replacement is just as long.
    const passed = assertPassed(await pass(post(bytes)));
    assert.ok(passed.verb === "POST" && passed.kind === "request");
    assert.equal(passed.message.id, "\ufffd");
  });

  test("[GATE-9] valid UTF-8 arrives as it is, the replacement character included", async () => {
    for (const id of ["\ufffd", "é", "€", "😀", "\u2028"]) {
      const passed = assertPassed(await pass(post(withId([...encoder.encode(id)]))));
      assert.ok(passed.verb === "POST" && passed.kind === "request");
      assert.equal(passed.message.id, id);
    }
  });

  test("[GATE-9] characters may be cut by chunks", async () => {
    const text = '{"jsonrpc":"2.0","method":"ping","id":"é€😀\ufffd"}';
    for (let size = 1; size < 8; size++) {
      const passed = assertPassed(await pass(streamed(inChunks(text, size).stream)));
      assert.ok(passed.verb === "POST" && passed.kind === "request");
      assert.equal(passed.message.id, "é€😀\ufffd");
    }
  });

  test("[GATE-9] a byte order mark is tolerated", async () => {
    const body = new Uint8Array([0xef, 0xbb, 0xbf, ...encoder.encode(PING)]);
    assertPassed(await pass(post(body)));
    const marked = new Uint8Array([0xef, 0xbb, 0xbf, ...withId([0xef, 0xbf, 0xbd])]);
    assertPassed(await pass(post(marked)));
  });

  test("[GATE-8] [GATE-9] any bytes in any chunks give their text, or the right refusal", async () => {
    const strict = new TextDecoder("utf-8", { fatal: true });
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.uint8Array({ maxLength: 40 }),
            fc.string({ unit: "binary" }).map((s) => encoder.encode(s)),
          ),
          { maxLength: 6 },
        ),
        fc.integer({ min: 1, max: 100 }),
        fc.boolean(),
        async (chunks, limit, declared) => {
          const whole = new Uint8Array(
            await new Blob(chunks.map((c) => new Uint8Array(c))).arrayBuffer(),
          );
          const source = new Source((i) => chunks[i]);
          const headers: Record<string, string> = {};
          if (declared) headers["content-length"] = `${whole.byteLength}`;
          const inbound = new Inbound(streamed(source.stream, headers));
          const settings = gateSettings({ limits: { bodyBytes: limit } });
          const body = await new Arrivals(settings, new FakeClock()).read(inbound);
          const text = checkBody(body, inbound, limit);
          if (whole.byteLength > limit) {
            assert.ok(typeof text !== "string" && text.status === 413);
            return;
          }
          let expected: string | undefined;
          try {
            expected = strict.decode(whole);
          } catch {
            const replaced = new TextDecoder().decode(whole);
            const shorter = whole.byteLength - encoder.encode(replaced).byteLength;
            // By nothing, or by a byte order mark
            const asLong = shorter === 0 || shorter === 3;
            if (declared && asLong) assert.equal(text, replaced);
            else assert.ok(typeof text !== "string" && text.status === 400);
            return;
          }
          assert.equal(text, expected);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("[GATE-8] limits that are no positive integers are misuse", () => {
    for (const bodyBytes of [0, -1, 1.5, NaN]) {
      assert.throws(() => gateSettings({ limits: { bodyBytes } }), RangeError, `${bodyBytes}`);
    }
    // @ts-expect-error not a number
    assert.throws(() => gateSettings({ limits: { bodyBytes: "1" } }), TypeError);
  });
});
