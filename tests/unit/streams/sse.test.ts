import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import fc from "fast-check";
import { eventId } from "../../../src/streams/replay.ts";
import {
  frame,
  framedData,
  KEEP_ALIVE,
  primingFrame,
  retryFrame,
  SSE_HEADERS,
} from "../../../src/streams/sse.ts";

describe("server-sent events as text", () => {
  test("[STR-2] the headers keep proxies from buffering, caching and changing a stream", () => {
    assert.deepEqual({ ...SSE_HEADERS }, {
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    });
  });

  test("[STR-2] a frame is one message event with one data line", () => {
    assert.equal(frame("s.1", '{"a":1}'), 'id: s.1\nevent: message\ndata: {"a":1}\n\n');
    assert.equal(frame(undefined, "{}"), "event: message\ndata: {}\n\n");
  });

  test("[STR-2] line ends between a message's tokens don't break its frame", () => {
    const pretty = JSON.stringify({ a: "x\r\ny", b: [1] }, null, 2).replaceAll("\n", "\r\n");
    const text = frame("s.1", pretty);
    const [, , line = "", ...rest] = text.split("\n");
    assert.deepEqual(rest, ["", ""]);
    assert.ok(!text.includes("\r"));
    assert.deepEqual(JSON.parse(line.slice("data: ".length)), JSON.parse(pretty));
    assert.equal(frame(undefined, "1\n\nid: forged"), "event: message\ndata: 1 id: forged\n\n");
  });

  test("[STR-2] neither does any one kind of line end", () => {
    for (const end of ["\n", "\r", "\r\n", "\n\r", "\n\n", "\r\r"]) {
      const text = frame(undefined, `{"a":${end}1,${end}"b":2}`);
      assert.equal(text, 'event: message\ndata: {"a": 1, "b":2}\n\n', JSON.stringify(end));
    }
  });

  test("[STR-2] a comment carries no id and no data", () => {
    assert.equal(KEEP_ALIVE, ": keep-alive\n\n");
  });

  test("[STR-3] the priming event has an id, empty data and the wait", () => {
    assert.equal(primingFrame("s.0", 1_000), "id: s.0\nretry: 1000\ndata: \n\n");
  });

  test("[STR-9] a wait is told in whole milliseconds", () => {
    assert.equal(retryFrame(250), "retry: 250\n\n");
    assert.equal(retryFrame(0.2), "retry: 1\n\n");
    assert.equal(retryFrame(-1), "retry: 0\n\n");
    assert.match(retryFrame(Infinity), /^retry: \d+\n\n$/);
  });
});

/** Messages as one text, with ids or without. */
function frames(messages: readonly string[], stream?: string): string {
  const id = (n: number) => stream === undefined ? undefined : eventId(stream, n);
  return messages.map((data, index) => frame(id(index + 1), data)).join("");
}

describe("framedData()", () => {
  const odd = {
    "a blank line and a field": JSON.stringify("\n\ndata: x\n\nid: 7\r\n\r\ndata: y"),
    "what a frame begins with": '"id: s.1 event: message data: x"',
    "line separators of Unicode": '{"a":"\u2028\u2029\u0085\v\f"}',
    "more bytes than characters": '"é€😀"',
    "nothing": "",
    "spaces around": "  {}  ",
  };
  for (const [name, data] of Object.entries(odd)) {
    test(`[STR-7] gives back data with ${name}, alone and among others`, () => {
      for (const stream of ["s", undefined]) {
        assert.deepEqual(framedData(frames([data], stream)), [data]);
        const messages = ["{}", data, data, "[]", data];
        assert.deepEqual(framedData(frames(messages, stream)), messages);
      }
    });
  }

  test("[STR-7] gives back any messages, each as one, in order", () => {
    const text = fc.string({ unit: "binary" }).map((value) => JSON.stringify(value));
    const messages = fc.array(fc.oneof(fc.json({ maxDepth: 2 }), text));
    fc.assert(fc.property(messages, fc.constantFrom("s-1", undefined), (all, stream) => {
      assert.deepEqual(framedData(frames(all, stream)), all);
    }));
  });

  test("[STR-7] gives a message with line ends between its tokens back in one line", () => {
    const value = { a: "x\n\ndata: y", b: [1] };
    const data = framedData(frames([JSON.stringify(value, null, 2), "1\n\ndata: 2"], "s"));
    assert.equal(data.length, 2);
    assert.deepEqual(JSON.parse(data[0] ?? ""), value);
    assert.equal(data[1], "1 data: 2");
  });

  test("[STR-7] finds no message in comments and waits, nor in nothing", () => {
    assert.deepEqual(framedData(""), []);
    assert.deepEqual(framedData(KEEP_ALIVE + retryFrame(1)), []);
    assert.deepEqual(framedData(KEEP_ALIVE + frame("s.1", "{}") + retryFrame(1)), ["{}"]);
  });

  test("[STR-2, STR-3] a parser reads what is written", () => {
    const events: EventSourceMessage[] = [];
    const comments: string[] = [];
    const waits: number[] = [];
    const parser = createParser({
      onEvent: (event) => events.push(event),
      onComment: (text) => comments.push(text),
      onRetry: (ms) => waits.push(ms),
    });
    parser.feed(primingFrame("s.0", 1_000));
    parser.feed(frame("s.1", '{"a":"😀"}'));
    parser.feed(KEEP_ALIVE);
    parser.feed(frame(undefined, "{}"));
    parser.feed(retryFrame(50));
    assert.deepEqual(
      events.map(({ id, event, data }) => ({ id, event, data })),
      [
        { id: "s.0", event: undefined, data: "" },
        { id: "s.1", event: "message", data: '{"a":"😀"}' },
        { id: undefined, event: "message", data: "{}" },
      ],
    );
    assert.deepEqual(comments, ["keep-alive"]);
    assert.deepEqual(waits, [1_000, 50]);
  });
});
