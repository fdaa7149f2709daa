import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { MemoryBus } from "../../../src/cluster/memory/bus.ts";
import type { NodeMessage } from "../../../src/cluster/messages/messages.ts";
import { NodeMessenger, type NodeMessengerInit } from "../../../src/cluster/messages/messenger.ts";
import type { BusMember } from "../../../src/cluster/types.ts";
import type { McpEvent } from "../../../src/protocol/events.ts";
import { FakeClock } from "../../support/clock.ts";
import { settle } from "../../support/settle.ts";

const KEYS = ["k".repeat(32)];

function world() {
  const clock = new FakeClock();
  const bus = new MemoryBus();
  const join = (
    node: string,
    keys: NodeMessengerInit["keys"],
    more: Partial<NodeMessengerInit> = {},
  ) => {
    const received: { readonly name: string; readonly from: string }[] = [];
    const events: McpEvent[] = [];
    const messenger = new NodeMessenger({
      ...{ bus, node, clock, keys },
      onMessage: (message, from) => {
        if (message.kind === "document") received.push({ name: message.name, from });
      },
      report: (event) => void events.push(event),
      ...more,
    });
    return { messenger, received, events };
  };
  return { bus, clock, join };
}

function message(n: number): NodeMessage {
  // Of very different lengths, so that signing takes differently long.
  return { kind: "document", name: `${n}${"-".repeat(n % 3 === 0 ? 100_000 : 0)}` };
}

for (const keys of [undefined, KEYS]) {
  describe(keys === undefined ? "NodeMessenger, within a process" : "NodeMessenger, sealed", () => {
    test("[CLU-2, CLU-6] messages arrive in the order in which they were sent", async () => {
      const { join } = world();
      const [a, b] = [join("a", keys), join("b", keys)];
      for (let n = 0; n < 30; n++) {
        if (n % 2 === 0) void a.messenger.publish(message(n));
        else void a.messenger.send("b", message(n));
      }
      await settle();
      assert.deepEqual(b.received.map(({ name }) => parseInt(name)), [...Array(30).keys()]);
      assert.deepEqual(new Set(b.received.map(({ from }) => from)), new Set(["a"]));
      assert.deepEqual(a.received, []);
      assert.deepEqual([...a.events, ...b.events], []);
    });

    test("[CLU-5] it is known when nobody gets a message", async () => {
      const { join } = world();
      const [a, b] = [join("a", keys), join("b", keys)];
      assert.equal(await a.messenger.send("c", message(1)), false);
      b.messenger.leave();
      assert.equal(await a.messenger.send("b", message(1)), false);
    });

    test("[CLU-2] what is no message, and what a listener throws, stops nothing", async () => {
      const { bus, join } = world();
      let received = 0;
      const b = join("b", keys, {
        onMessage() {
          received++;
          throw new Error("no");
        },
      });
      const a = join("a", keys);
      bus.join("stranger", () => {}).publish("a\nno JSON");
      void a.messenger.publish(message(1));
      void a.messenger.publish(message(2));
      await settle();
      assert.equal(received, 2);
      assert.equal(b.events.filter(({ type }) => type === "error").length, keys ? 2 : 3);
    });
  });
}

describe("NodeMessenger, sealed", () => {
  test("[CLU-6] what strangers say is ignored and told of, and so is what was said before", async () => {
    const { bus, join } = world();
    const spied: string[] = [];
    const stranger: BusMember = bus.join("stranger", (text) => spied.push(text));
    const [a, b, c] = [join("a", KEYS), join("b", KEYS), join("c", ["z".repeat(32)])];
    await a.messenger.publish(message(1));
    await settle();
    for (const text of spied) {
      await stranger.publish(text);
      await stranger.publish(text.replace(/\n./, (found) => found === "\nA" ? "\nB" : "\nA"));
    }
    await stranger.publish(JSON.stringify(message(3)));
    await stranger.publish(`a\n${JSON.stringify(message(3))}`);
    await c.messenger.publish(message(4));
    await settle();
    assert.deepEqual(b.received, [{ name: "1", from: "a" }]);
    const reasons = b.events.map((event) => event.type === "message-ignored" && event.reason);
    assert.deepEqual(reasons, ["replayed", "foreign", "malformed", "malformed", "foreign"]);
  });

  test("[CLU-2] a message that can't be sealed fails alone, and those after it arrive", async () => {
    const { join } = world();
    const [a, b] = [join("a", KEYS), join("b", KEYS)];
    await a.messenger.publish(message(1));
    const { encrypt } = crypto.subtle;
    Object.defineProperty(crypto.subtle, "encrypt", {
      value: () => Promise.reject(new Error("no")),
      configurable: true,
    });
    const failed = assert.rejects(async () => await a.messenger.publish(message(2)), /no/);
    await settle();
    Object.defineProperty(crypto.subtle, "encrypt", { value: encrypt, configurable: true });
    await failed;
    await a.messenger.publish(message(4));
    assert.equal(await a.messenger.send("b", message(5)), true);
    await settle();
    assert.deepEqual(b.received.map(({ name }) => name), ["1", "4", "5"]);
  });

  test("[CLU-6] what waits to be sealed or opened is bounded", async () => {
    const { join } = world();
    const [a, b] = [join("a", KEYS), join("b", KEYS)];
    const large: NodeMessage = { kind: "document", name: "x".repeat(24 * 1024 * 1024) };
    const outcomes = await Promise.allSettled(
      Array.from({ length: 5 }, async () => await a.messenger.publish(large)),
    );
    const refused = outcomes.filter(({ status }) => status === "rejected").length;
    assert.ok(refused >= 1 && refused < 5, String(refused));
    await settle();
    await a.messenger.publish(message(1));
    await settle();
    assert.equal(b.received.at(-1)?.name, "1");
  });
});
