import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  frame,
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
