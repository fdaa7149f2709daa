import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Incoming } from "../../../src/cluster/forwarding/incoming.ts";
import { MemoryBus } from "../../../src/cluster/memory/bus.ts";
import type { ForwardedRequest, ForwardMessage } from "../../../src/cluster/messages/messages.ts";
import { NodeMessenger } from "../../../src/cluster/messages/messenger.ts";
import type { Bus } from "../../../src/cluster/types.ts";
import { type Reply, reply } from "../../../src/http/reply.ts";
import type { MaybePromise } from "../../../src/internal/types.ts";
import { SSE_HEADERS } from "../../../src/streams/sse.ts";
import { FakeClock } from "../../support/clock.ts";
import { settle } from "../../support/settle.ts";

const REQUEST: ForwardedRequest = {
  verb: "GET",
  url: "http://localhost/mcp",
  sender: {},
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

/** Makes the receiving side of forwarded requests, and records what it sends to the node `other`. */
function make(answer: (request: ForwardedRequest) => MaybePromise<Reply>) {
  const sent: ForwardMessage[] = [];
  const bus = new MemoryBus();
  bus.join("other", (text) => sent.push(JSON.parse(text.slice(text.indexOf("\n") + 1))));
  bus.join("third", () => {});
  const messenger = new NodeMessenger({
    bus,
    node: "this",
    clock: new FakeClock(),
    keys: undefined,
    onMessage() {},
    report() {},
  });
  return { incoming: new Incoming(messenger, answer), sent };
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

  test("[CLU-5] a request that is delivered twice runs once", async () => {
    const { promise, resolve } = Promise.withResolvers<Reply>();
    let runs = 0;
    const { incoming, sent } = make(() => {
      runs++;
      return promise;
    });
    const forward = { kind: "forward", id: "1", request: REQUEST } as const;
    incoming.onMessage(forward, "other");
    incoming.onMessage(forward, "other");
    await settle();
    incoming.onMessage(forward, "other");
    assert.equal(incoming.size, 1);
    resolve(reply(200, {}, "answer"));
    await incoming.settled();
    await settle();
    assert.equal(runs, 1);
    assert.deepEqual(sent.map(({ kind }) => kind), ["forward-taken", "forward-head"]);
    assert.equal(incoming.size, 0);
  });

  test("[CLU-5, STR-11] a stream is cancelled if nobody waits for it when it begins", async () => {
    let cancelled = false;
    const { promise, resolve } = Promise.withResolvers<Reply>();
    const { incoming } = make(() => promise);
    incoming.onMessage({ kind: "forward", id: "1", request: REQUEST }, "other");
    incoming.onMessage({ kind: "forward-gone", id: "1" }, "other");
    resolve(reply(200, SSE_HEADERS, new ReadableStream({ cancel: () => void (cancelled = true) })));
    await incoming.settled();
    await settle();
    assert.ok(cancelled);
    assert.equal(incoming.size, 0);
  });

  test("[CLU-5] a body that breaks off is told at once", async () => {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(": \n\n"));
      },
      pull: (controller) => controller.error(new Error("broken")),
    });
    const { incoming, sent } = make(() => reply(200, SSE_HEADERS, body));
    incoming.onMessage({ kind: "forward", id: "1", request: REQUEST }, "other");
    await incoming.settled();
    await settle();
    const last = sent.at(-1);
    assert.ok(last?.kind === "forward-end" && last.failed === true, last?.kind);
  });

  test("[CLU-5] a character that comes in two chunks arrives as one", async () => {
    const bytes = new TextEncoder().encode("data: ü😀\n\n");
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    }, { highWaterMark: 100 });
    const { incoming, sent } = make(() => reply(200, SSE_HEADERS, body));
    incoming.onMessage({ kind: "forward", id: "1", request: REQUEST }, "other");
    for (let more = 0; more < 100; more++) {
      incoming.onMessage({ kind: "forward-more", id: "1", n: more }, "other");
    }
    await incoming.settled();
    await settle();
    const text = sent.map((one) => one.kind === "forward-part" ? one.text : "").join("");
    assert.equal(text, "data: ü😀\n\n");
  });

  test("[CLU-5, CLU-7] a node that is dead takes no other node's requests along", async () => {
    const cancelled: string[] = [];
    const { incoming } = make(({ url }) =>
      reply(200, SSE_HEADERS, new ReadableStream({ cancel: () => void cancelled.push(url) }))
    );
    for (const node of ["other", "third"]) {
      const request = { ...REQUEST, url: node };
      incoming.onMessage({ kind: "forward", id: "1", request }, node);
    }
    await settle();
    incoming.lost("other");
    await settle();
    assert.deepEqual(cancelled, ["other"]);
    assert.equal(incoming.size, 1);
    await incoming.close();
  });

  test("[CLU-5] requests of two nodes under one id are two requests", async () => {
    let runs = 0;
    const { incoming } = make(() => {
      runs++;
      return reply(200, {}, "answer");
    });
    const forward = { kind: "forward", id: "1", request: REQUEST } as const;
    incoming.onMessage(forward, "other");
    incoming.onMessage(forward, "third");
    await incoming.settled();
    await settle();
    assert.equal(runs, 2);
    assert.equal(incoming.size, 0);
  });
});
