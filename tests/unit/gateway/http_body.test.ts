import assert from "node:assert/strict";
import { test } from "node:test";
import { discard } from "../../../src/gateway/upstreams/http_body.ts";

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
