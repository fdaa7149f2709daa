import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MemoryBus } from "../../../src/cluster/memory/bus.ts";
import type { ForwardedRequest, ForwardMessage } from "../../../src/cluster/messages/messages.ts";
import { NodeMessenger } from "../../../src/cluster/messages/messenger.ts";
import { NoAnswer, NotDelivered, Outgoing } from "../../../src/cluster/forwarding/outgoing.ts";
import { FakeClock } from "../../support/clock.ts";
import { settle } from "../../support/settle.ts";
import { isPending } from "../../support/wire.ts";

const REQUEST: ForwardedRequest = {
  verb: "POST",
  url: "http://localhost/mcp",
  sender: {},
  body: "{}",
  json: true,
  sse: true,
};

/** Forwards a request to the node `b`, and returns the pending reply. */
async function forward() {
  const bus = new MemoryBus();
  const sent: ForwardMessage[] = [];
  bus.join("b", (text) => sent.push(JSON.parse(text.slice(text.indexOf("\n") + 1))));
  const clock = new FakeClock();
  const messenger = new NodeMessenger({
    ...{ bus, node: "a", clock, keys: undefined },
    onMessage() {},
    report() {},
  });
  const outgoing = new Outgoing(messenger, clock);
  let over = 0;
  const reply = outgoing.send("b", REQUEST, () => over++);
  await settle();
  const [first] = sent;
  assert.ok(first?.kind === "forward");
  return { outgoing, clock, sent, reply, id: first.id, over: () => over };
}

describe("Outgoing", () => {
  test("[CLU-5, CLU-6] no node but the one that was asked answers", async () => {
    const { outgoing, reply, id, over } = await forward();
    const head = { kind: "forward-head", id, status: 200, headers: {}, whole: "forged" } as const;
    outgoing.onMessage(head, "c");
    outgoing.onMessage({ kind: "forward-unknown", ids: [id] }, "c");
    outgoing.onMessage({ kind: "forward-end", id, n: 0, failed: true }, "c");
    assert.equal(await isPending(reply), true);
    outgoing.onMessage({ ...head, whole: "own" }, "b");
    assert.equal((await reply).body, "own");
    assert.equal(over(), 1);
    assert.equal(outgoing.size, 0);
  });

  test("[CLU-5] a request that fails before it is confirmed leaves no timer", async () => {
    const { outgoing, clock, sent, reply, over } = await forward();
    const failed = assert.rejects(reply, NoAnswer);
    outgoing.lost("b");
    await failed;
    assert.equal(clock.pending, 0);
    const left = assert.rejects(outgoing.send("nobody", REQUEST, () => {}), NotDelivered);
    await settle();
    await left;
    assert.deepEqual([outgoing.size, clock.pending, over()], [0, 0, 0]);
    await clock.advance(10_000);
    assert.deepEqual(sent.map(({ kind }) => kind), ["forward"]);
  });

  test("[CLU-5] a node that doesn't confirm in time may have run the request", async () => {
    const { clock, reply, sent, over, outgoing } = await forward();
    const failed = assert.rejects(reply, NoAnswer);
    await clock.advance(4_999);
    assert.equal(outgoing.size, 1);
    await clock.advance(1);
    await failed;
    await settle();
    assert.equal(sent.at(-1)?.kind, "forward-gone");
    assert.deepEqual([outgoing.size, clock.pending, over()], [0, 0, 0]);
  });
});
