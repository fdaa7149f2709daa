import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { MemoryBus } from "../../../src/cluster/memory/bus.ts";
import { MemoryNodes } from "../../../src/cluster/memory/nodes.ts";
import { NodeMessenger } from "../../../src/cluster/messages/messenger.ts";
import { Presence } from "../../../src/cluster/lost_nodes/presence.ts";
import { PresenceProof } from "../../../src/cluster/lost_nodes/presence_proof.ts";
import { PRESENT_MS, SILENT_MS } from "../../../src/cluster/types.ts";
import type { McpEvent } from "../../../src/protocol/events.ts";
import { Reporter } from "../../../src/protocol/reporter.ts";
import { FakeClock } from "../../support/clock.ts";
import { settle } from "../../support/settle.ts";

const KEYS = ["k".repeat(32)];
const OTHER_KEYS = ["o".repeat(32)];

/** Nodes that share a store and a bus, and what a test does to them. */
function world() {
  const clock = new FakeClock();
  const bus = new MemoryBus();
  const records = new MemoryNodes(clock);
  /** Nodes that don't reach the store. */
  const cut = new Set<string>();
  /** Nodes that hear nothing. */
  const deaf = new Set<string>();
  const events: McpEvent[] = [];
  const away = () => {
    throw new Error("The store is away");
  };
  const join = (node: string, keys = KEYS): Presence => {
    const messenger = new NodeMessenger({
      ...{ bus, node, clock, keys },
      onMessage(message, from) {
        if (deaf.has(node)) return;
        if (message.kind === "ping" || message.kind === "pong") presence.onMessage(message, from);
      },
      report: (event) => void events.push(event),
    });
    const nodes = {
      beat: (...args: Parameters<MemoryNodes["beat"]>) =>
        cut.has(node) ? away() : records.beat(...args),
      find: (id: string) => cut.has(node) ? away() : records.find(id),
      leave: (id: string) => records.leave(id),
    };
    const reporter = new Reporter((event) => void events.push(event));
    const presence = new Presence({ node, nodes, messenger, clock, reporter, keys });
    return presence;
  };
  /** Lets time pass, with all that follows. */
  const advance = async (ms: number) => {
    for (let left = ms; left >= 0; left -= 500) {
      await clock.advance(Math.min(left, 500));
      await settle();
    }
  };
  /** What a node says of another, when it has had time to ask. */
  const asks = async (presence: Presence, node: string): Promise<boolean> => {
    let known: boolean | undefined;
    const asked = presence.isLost(node).then((lost) => known = lost);
    // What runs on other threads may take several rounds.
    for (let round = 0; round < 50 && known === undefined; round++) {
      await settle();
      if (round > 2 && known === undefined) await advance(500);
    }
    return await asked;
  };
  return { clock, records, cut, deaf, events, join, advance, asks };
}

/** The key under which a node's sign of life is. */
const recordOf = (node: string) => `${node} present`;

describe("Presence", () => {
  test("[CLU-10] a node is lost once it neither writes nor answers, not before", async () => {
    const { join, deaf, cut, advance, asks } = world();
    const [a] = [join("a"), join("b")];
    await advance(PRESENT_MS);
    assert.equal(await asks(a, "b"), false);
    deaf.add("b");
    assert.equal(await asks(a, "b"), false);
    cut.add("b");
    await advance(SILENT_MS);
    assert.equal(await asks(a, "b"), true);
    deaf.delete("b");
    assert.equal(await asks(a, "b"), false);
    assert.equal(await asks(a, "nobody"), true);
  });

  test("[CLU-10] a node that can't reach the store is not sure of anybody, nor at once afterwards", async () => {
    const { join, cut, deaf, advance, asks } = world();
    const a = join("a");
    // Before its first sign of life it doesn't know how the store has been.
    assert.equal(a.sure, false);
    join("b");
    await advance(PRESENT_MS);
    cut.add("a").add("b");
    deaf.add("b");
    await advance(3 * SILENT_MS);
    assert.equal(a.sure, false);
    assert.equal(await asks(a, "b"), false);
    cut.clear();
    deaf.clear();
    await advance(PRESENT_MS);
    assert.equal(a.sure, false);
    assert.equal(await asks(a, "nobody"), false);
    await advance(SILENT_MS);
    assert.equal(await asks(a, "nobody"), true);
    assert.equal(await asks(a, "b"), false);
  });

  test("[CLU-12] whoever deletes a node's sign of life can't make it lost", async () => {
    const { join, records, advance, asks } = world();
    const [a] = [join("a"), join("b")];
    await advance(PRESENT_MS);
    records.leave(recordOf("b"));
    assert.equal(await asks(a, "b"), false);
    records.beat({ id: recordOf("b"), proof: "1 forged" }, 60_000);
    assert.equal(await asks(a, "b"), false);
  });

  test("[CLU-12] whoever has no key can't keep a dead node alive", async () => {
    const { clock, join, records, advance, asks } = world();
    const a = join("a");
    await advance(PRESENT_MS);
    const id = recordOf("dead");
    const forged = await new PresenceProof(OTHER_KEYS, clock).write(id);
    const anothers = records.find(recordOf("a"))?.proof;
    for (const proof of [undefined, "", "1 x", `${clock.now()} `, forged, anothers]) {
      records.beat(proof === undefined ? { id } : { id, proof }, 60_000);
      assert.equal(await asks(a, "dead"), true, proof);
    }
    // What it has written itself may be copied, for as long as clocks may differ.
    const proof = await new PresenceProof(KEYS, clock).write(id);
    records.beat({ id, proof }, 600_000);
    assert.equal(await asks(a, "dead"), false);
    await advance(30_000);
    assert.equal(await asks(a, "dead"), true);
  });

  test("[CLU-12] a node with another key is as good as none", async () => {
    const { join, events, advance, asks } = world();
    const [a] = [join("a"), join("b", OTHER_KEYS)];
    await advance(PRESENT_MS);
    assert.equal(await asks(a, "b"), true);
    assert.ok(events.some((event) => event.type === "message-ignored"));
  });

  test("[CLU-10] many who ask about a node ask it once, and a closed one has no sign of life", async () => {
    const { join, records, clock, cut, advance } = world();
    const [a, b] = [join("a"), join("b")];
    await advance(PRESENT_MS);
    await b.close();
    assert.equal(records.find(recordOf("b")), undefined);
    const before = clock.pending;
    const asked = Array.from({ length: 50 }, () => a.isLost("c"));
    await settle();
    assert.ok(clock.pending <= before + 1);
    let all: readonly boolean[] | undefined;
    const answered = Promise.all(asked).then((answers) => all = answers);
    for (let round = 0; round < 50 && all === undefined; round++) await advance(500);
    assert.deepEqual(new Set(await answered), new Set([true]));
    cut.add("a");
    await a.close();
    assert.equal(clock.pending, 0);
  });
});
