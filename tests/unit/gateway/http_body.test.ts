import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { discard, readEvents } from "../../../src/gateway/upstreams/http_body.ts";

/** A response whose body never ends, and when it was cancelled. */
function endless(type: string, length: string) {
  const { promise: cancelled, resolve: cancel } = Promise.withResolvers<number>();
  const began = performance.now();
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array(1)),
    cancel: () => cancel(performance.now() - began),
  });
  const headers = { "content-type": type, "content-length": length };
  return { response: new Response(body, { status: 202, headers }), cancelled };
}

test("[GTW-3] what nobody reads is let go of at once where it is long, or a stream", async () => {
  for (const [type, length] of [["text/event-stream", "100"], ["text/plain", "100000"]] as const) {
    const { response, cancelled } = endless(type, length);
    discard(response);
    assert.ok(await cancelled < 900);
  }
});

test("[GTW-3] what nobody reads and is short is read for a second", async () => {
  const { response, cancelled } = endless("application/json", "100");
  discard(response);
  assert.ok(await cancelled >= 990);
  const whole = new Response("whole", { headers: { "content-length": "5" } });
  discard(whole);
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(whole.bodyUsed);
});

const encoder = new TextEncoder();

/** A body of chunks, and whether it was cancelled. */
function bodyOf(...chunks: (string | Uint8Array)[]) {
  const state = { cancelled: false };
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const chunk = chunks.shift();
      if (chunk === undefined) return controller.close();
      controller.enqueue(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
    },
    cancel: () => void (state.cancelled = true),
  }, { highWaterMark: 0 });
  return { body, state };
}

/** Everything that a stream of events contains, in order. */
async function eventsOf(body: ReadableStream<Uint8Array>): Promise<unknown[]> {
  const all: unknown[] = [];
  await readEvents(body, {
    onMessage: (data) => all.push(data),
    onId: (id) => all.push({ id }),
    onRetry: (retry) => all.push({ retry }),
  });
  return all;
}

describe("readEvents()", () => {
  test("[GTW-8] reads messages, ids and delays, and ignores everything else", async () => {
    const cases: readonly (readonly [string, unknown[]])[] = [
      ["data: a\n\ndata:b\r\n\r\ndata: c\r\r", ["a", "b", "c"]],
      ["data: a\ndata:\ndata: b\n\n", ["a\n\nb"]],
      ["event: message\ndata: a\n\nevent: other\ndata: b\n\n", ["a"]],
      ["id: 1\ndata: a\n\nid\ndata: b\n\n", [{ id: "1" }, "a", { id: "" }, "b"]],
      ["id: 1\ndata:\n\n", [{ id: "1" }]],
      ["id: a\0b\ndata: a\n\n", ["a"]],
      ["retry: 5\ndata: a\n\n", [{ retry: 5 }, "a"]],
      ["retry: 5ms\nretry: -1\nretry\ndata: a\n\n", ["a"]],
      ["Data: a\nunknown: b\n data: c\n: d\ndata: e\n\n", ["e"]],
      ["\ufeffdata: a\n\n", ["a"]],
      ["\ufeff\ufeffdata: a\n\ndata: b\n\n", ["b"]],
      ["data: cut short\n", []],
    ];
    for (const [text, expected] of cases) {
      assert.deepEqual(await eventsOf(bodyOf(text).body), expected, JSON.stringify(text));
      const bytes = [...encoder.encode(text)].map((byte) => Uint8Array.of(byte));
      assert.deepEqual(await eventsOf(bodyOf(...bytes).body), expected, JSON.stringify(text));
    }
  });

  const mib = "x".repeat(1024 * 1024);
  const tooLong: Readonly<Record<string, readonly string[]>> = {
    "a line of data": ["data: ", ...Array(17).fill(mib)],
    "many lines of data": Array(17).fill(`data: ${mib}\n`),
    "a line that is no field": Array(17).fill(mib),
    "a comment": [":", ...Array(17).fill(mib)],
    "an id": ["id: ", ...Array(17).fill(mib)],
    "an event in one chunk": [`data: ${mib.repeat(17)}\n\n`],
  };
  for (const [what, chunks] of Object.entries(tooLong)) {
    test(`[GTW-2] refuses over 16 MiB, and cancels the body: ${what}`, async () => {
      const { body, state } = bodyOf(...chunks, "\n\n", ...Array(10).fill(mib));
      await assert.rejects(eventsOf(body), /16 MiB/);
      assert.ok(state.cancelled);
    });
  }

  test("[GTW-2] bounds each event, and not the stream", async () => {
    const events = Array<string>(20).fill(`data: ${mib}\n\n: ${mib}\n`);
    assert.equal((await eventsOf(bodyOf(...events).body)).length, 20);
  });
});
