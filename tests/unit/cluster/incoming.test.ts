import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Incoming } from "../../../src/cluster/incoming.ts";
import { MemoryBus } from "../../../src/cluster/memory_bus.ts";
import type { ForwardedRequest, ForwardMessage } from "../../../src/cluster/messages.ts";
import { NodeMessenger } from "../../../src/cluster/messenger.ts";
import type { Bus } from "../../../src/cluster/types.ts";
import { reply } from "../../../src/http/reply.ts";
import { SSE_HEADERS } from "../../../src/streams/sse.ts";
import { FakeClock } from "../../support/clock.ts";
import { settle } from "../../support/settle.ts";

const REQUEST: ForwardedRequest = {
  verb: "GET",
  url: "http://localhost/mcp",
  sealed: "",
  json: false,
  sse: true,
};

/** Serves one forwarded request with an endless stream; tells whether the stream was cancelled. */
async function serve(fate: (kind: ForwardMessage["kind"]) => boolean): Promise<boolean> {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new TextEncoder().encode(": \n\n")),
    cancel: () => void (cancelled = true),
  });
  const inner = new MemoryBus();
  inner.join("other", () => {});
  const bus: Bus = {
    join: (node, listener) => {
      const member = inner.join(node, listener);
      return {
        publish: (text) => member.publish(text),
        leave: () => member.leave(),
        send(to, text) {
          const { kind } = JSON.parse(text.slice(text.indexOf("\n") + 1));
          if (kind === "forward-part") throw new Error("The bus is away");
          return fate(kind) && member.send(to, text);
        },
      };
    },
  };
  const messenger = new NodeMessenger({
    bus,
    node: "this",
    clock: new FakeClock(),
    keys: undefined,
    onMessage() {},
    report() {},
  });
  const incoming = new Incoming(messenger, () => reply(200, SSE_HEADERS, body));
  incoming.onMessage({ kind: "forward", id: "1", request: REQUEST }, "other");
  await incoming.settled();
  await settle();
  assert.equal(incoming.size, 0);
  return cancelled;
}

describe("Incoming", () => {
  test("[CLU-5, STR-11] a stream that can't be sent on is cancelled, whatever message fails", async () => {
    assert.ok(await serve(() => true), "a part");
    assert.ok(await serve((kind) => kind !== "forward-head"), "the head");
    assert.ok(await serve((kind) => kind !== "forward-taken"), "the confirmation");
    assert.ok(
      await serve((kind) => {
        if (kind === "forward-head") throw new Error("The bus is away");
        return true;
      }),
      "the head, by an error",
    );
  });
});
