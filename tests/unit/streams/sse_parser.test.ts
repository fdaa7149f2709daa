import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { frame, KEEP_ALIVE, primingFrame, retryFrame } from "../../../src/streams/sse.ts";
import { parseEvents } from "../../../src/streams/sse_parser.ts";
import type { ParseEventsOptions, SseEvent } from "../../../src/streams/sse_parser.ts";

const encoder = new TextEncoder();

function bodyOf(...chunks: (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) {
        controller.enqueue(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
      }
      controller.close();
    },
  });
}

async function collect(
  body: ReadableStream<Uint8Array>,
  options?: ParseEventsOptions,
): Promise<SseEvent[]> {
  const events: SseEvent[] = [];
  for await (const event of parseEvents(body, options)) events.push(event);
  return events;
}

describe("parseEvents()", () => {
  test("reads what the encoder writes", async () => {
    const comments: string[] = [];
    const waits: number[] = [];
    const body = bodyOf(
      primingFrame("s.0", 1_000),
      frame("s.1", '{"a":"😀"}'),
      KEEP_ALIVE,
      frame(undefined, "{}"),
      retryFrame(50),
    );
    const events = await collect(body, {
      onComment: (text) => comments.push(text),
      onRetry: (ms) => waits.push(ms),
    });
    assert.deepEqual(events, [
      { id: "s.0", data: "", retry: 1_000 },
      { id: "s.1", event: "message", data: '{"a":"😀"}' },
      { event: "message", data: "{}" },
    ]);
    assert.deepEqual(comments, [" keep-alive"]);
    assert.deepEqual(waits, [1_000, 50]);
  });

  test("keeps to the standard's rules for fields", async () => {
    const cases: [string, SseEvent[]][] = [
      ["data\n\n", [{ data: "" }]],
      ["data:x\n\n", [{ data: "x" }]],
      ["data:  x \n\n", [{ data: " x " }]],
      ["data: a:b\n\n", [{ data: "a:b" }]],
      ["data: a\ndata:\ndata: b\n\n", [{ data: "a\n\nb" }]],
      ["Data: x\nunknown: y\n data: z\ndata: w\n\n", [{ data: "w" }]],
      ["event: a\nevent: b\ndata: x\n\ndata: y\n\n", [{ event: "b", data: "x" }, { data: "y" }]],
      ["event: lost\n\ndata: x\n\n", [{ data: "x" }]],
      ["id: 1\n\ndata: x\n\ndata: y\n\n", [{ id: "1", data: "x" }, { data: "y" }]],
      ["id: 1\nid\ndata: x\n\n", [{ id: "", data: "x" }]],
      ["id: a\0b\ndata: x\n\n", [{ data: "x" }]],
      ["retry: 5\ndata: x\n\ndata: y\n\n", [{ data: "x", retry: 5 }, { data: "y" }]],
      ["retry: 5ms\nretry: -1\nretry: 1.5\nretry\ndata: x\n\n", [{ data: "x" }]],
      [":\n: x\n\n\n\n", []],
      ["data: cut short\n", []],
      ["data: cut short", []],
      ["", []],
    ];
    for (const [text, expected] of cases) {
      assert.deepEqual(await collect(bodyOf(text)), expected, JSON.stringify(text));
    }
  });

  test("reads CR, LF and CRLF, a BOM, and invalid UTF-8", async () => {
    for (const end of ["\r", "\n", "\r\n"]) {
      const text = ["\ufeffdata: a", "data: b", "", "data: c", "", ""].join(end);
      assert.deepEqual(await collect(bodyOf(text)), [{ data: "a\nb" }, { data: "c" }]);
    }
    // Only the first BOM is none of the text's own.
    assert.deepEqual(await collect(bodyOf("\ufeff\ufeffdata: a\n\ndata: b\n\n")), [{ data: "b" }]);
    const invalid = new Uint8Array([...encoder.encode("data: "), 0xff, 0x0a, 0x0a]);
    assert.deepEqual(await collect(bodyOf(invalid)), [{ data: "\ufffd" }]);
  });

  test("an event is there as soon as its empty line is, even before the rest of a CRLF", async () => {
    for (const end of ["\n", "\r", "\r\n"]) {
      let feed: ReadableStreamDefaultController<Uint8Array> | undefined;
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => void (feed = controller),
      });
      const events = parseEvents(body);
      feed?.enqueue(encoder.encode(`data: a${end}${end[0]}`));
      assert.deepEqual((await events.next()).value, { data: "a" });
      feed?.enqueue(encoder.encode(`${end.slice(1)}data: b${end}${end}`));
      assert.deepEqual((await events.next()).value, { data: "b" });
      await events.return(undefined);
    }
  });

  test("reads the same however the body is cut into chunks", async () => {
    const line = fc.constantFrom("data: x", "data: ü😀", "id: 1", "event: e", "retry: 7", ":c", "");
    const end = fc.constantFrom("\n", "\r", "\r\n");
    const text = fc.array(fc.tuple(line, end), { maxLength: 30, size: "max" }).map((lines) =>
      lines.flat().join("")
    );
    await fc.assert(
      fc.asyncProperty(
        text,
        fc.array(fc.nat(12), { maxLength: 20, size: "max" }),
        async (text, sizes) => {
          const bytes = encoder.encode(text);
          const chunks: Uint8Array[] = [];
          let from = 0;
          for (const size of sizes) {
            chunks.push(bytes.slice(from, from + size));
            from += size;
          }
          chunks.push(bytes.slice(from));
          assert.deepEqual(await collect(bodyOf(...chunks)), await collect(bodyOf(bytes)));
        },
      ),
      { numRuns: 200 },
    );
  });

  test("refuses a line or an event that is too long, and cancels the body", async () => {
    for (const unit of ["x".repeat(10), "data: xxxx\n"]) {
      let cancelled = false;
      let pulled = 0;
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          pulled += 1;
          controller.enqueue(encoder.encode(unit));
        },
        cancel() {
          cancelled = true;
        },
      });
      await assert.rejects(collect(body, { maxLength: 100 }), RangeError);
      assert.equal(cancelled, true);
      assert.ok(pulled < 30, `pulled ${pulled} times`);
    }
    const fits = "x".repeat(94);
    assert.deepEqual(await collect(bodyOf(`data: ${fits}\n\n`), { maxLength: 100 }), [{
      data: fits,
    }]);
    await assert.rejects(collect(bodyOf(`data: ${fits}x\n\n`), { maxLength: 100 }), RangeError);
    // The bound is for each line and each event, not for the body.
    const many = `data: ${fits}\n\n`.repeat(5);
    assert.equal((await collect(bodyOf(many), { maxLength: 100 })).length, 5);
  });

  test("leaving the loop cancels the body and frees it", async () => {
    let reason: unknown = "none";
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(encoder.encode("data: x\n\n")),
      cancel(why) {
        reason = why;
      },
    });
    for await (const event of parseEvents(body)) {
      assert.deepEqual(event, { data: "x" });
      break;
    }
    assert.equal(reason, undefined);
    assert.equal(body.locked, false);
  });

  test("a body that fails makes the loop throw its error", async () => {
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.error(new Error("reset")),
    });
    await assert.rejects(collect(body), /reset/);
  });
});
