import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { MemoryBus } from "../../../src/cluster/memory_bus.ts";
import type { NodeMessage } from "../../../src/cluster/messages.ts";
import { Post, type PostInit } from "../../../src/cluster/post.ts";
import type { BusMember } from "../../../src/cluster/types.ts";
import type { McpEvent } from "../../../src/protocol/events.ts";
import { FakeClock } from "../../support/clock.ts";
import { settle } from "../../support/settle.ts";

const KEYS = ["k".repeat(32)];

function world() {
  const clock = new FakeClock();
  const bus = new MemoryBus();
  const join = (node: string, keys: PostInit["keys"], more: Partial<PostInit> = {}) => {
    const heard: { readonly name: string; readonly from: string }[] = [];
    const events: McpEvent[] = [];
    const post = new Post({
      ...{ bus, node, clock, keys },
      hear: (message, from) => {
        if (message.kind === "document") heard.push({ name: message.name, from });
      },
      report: (event) => void events.push(event),
      ...more,
    });
    return { post, heard, events };
  };
  return { bus, clock, join };
}

function message(n: number): NodeMessage {
  // Of very different lengths, so that signing takes differently long.
  return { kind: "document", name: `${n}${"-".repeat(n % 3 === 0 ? 100_000 : 0)}` };
}

for (const keys of [undefined, KEYS]) {
  describe(keys === undefined ? "Post, within a process" : "Post, signed", () => {
    test("[CLU-2, CLU-6] messages arrive in the order in which they were sent", async () => {
      const { join } = world();
      const [a, b] = [join("a", keys), join("b", keys)];
      for (let n = 0; n < 30; n++) {
        if (n % 2 === 0) void a.post.tell(message(n));
        else void a.post.send("b", message(n));
      }
      await settle();
      assert.deepEqual(b.heard.map(({ name }) => parseInt(name)), [...Array(30).keys()]);
      assert.deepEqual(new Set(b.heard.map(({ from }) => from)), new Set(["a"]));
      assert.deepEqual(a.heard, []);
      assert.deepEqual([...a.events, ...b.events], []);
    });

    test("[CLU-5] it is known when nobody gets a message", async () => {
      const { join } = world();
      const [a, b] = [join("a", keys), join("b", keys)];
      assert.equal(await a.post.send("c", message(1)), false);
      b.post.leave();
      assert.equal(await a.post.send("b", message(1)), false);
    });

    test("[CLU-5] an envelope may travel by another way", async () => {
      const { join } = world();
      const [a, b] = [join("a", keys), join("b", keys)];
      const envelope = await a.post.seal("b", message(1));
      assert.deepEqual(await b.post.open(envelope), { message: message(1), from: "a" });
      assert.equal(await b.post.open("nothing"), undefined);
    });

    test("[CLU-2] what is no message, and what a listener throws, stops nothing", async () => {
      const { bus, join } = world();
      let heard = 0;
      const b = join("b", keys, {
        hear() {
          heard++;
          throw new Error("no");
        },
      });
      const a = join("a", keys);
      bus.join("stranger", () => {}).publish("a\nno JSON");
      void a.post.tell(message(1));
      void a.post.tell(message(2));
      await settle();
      assert.equal(heard, 2);
      assert.equal(b.events.filter(({ type }) => type === "error").length, keys ? 2 : 3);
    });
  });
}

describe("Post, signed", () => {
  test("[CLU-6] what strangers say is ignored and told of, and so is what was said before", async () => {
    const { bus, join } = world();
    const spied: string[] = [];
    const stranger: BusMember = bus.join("stranger", (text) => spied.push(text));
    const [a, b, c] = [join("a", KEYS), join("b", KEYS), join("c", ["z".repeat(32)])];
    await a.post.tell(message(1));
    await settle();
    for (const text of spied) {
      await stranger.publish(text);
      await stranger.publish(text.replace('"name":"1"', '"name":"2"'));
    }
    await stranger.publish(JSON.stringify(message(3)));
    await stranger.publish(`a\n${JSON.stringify(message(3))}`);
    await c.post.tell(message(4));
    await settle();
    assert.deepEqual(b.heard, [{ name: "1", from: "a" }]);
    const reasons = b.events.map((event) => event.type === "message-ignored" && event.reason);
    assert.deepEqual(reasons, ["replayed", "foreign", "malformed", "malformed", "foreign"]);
  });

  test("[CLU-6] what waits to be signed or checked is bounded", async () => {
    const { join } = world();
    const [a, b] = [join("a", KEYS), join("b", KEYS)];
    const large: NodeMessage = { kind: "document", name: "x".repeat(24 * 1024 * 1024) };
    const outcomes = await Promise.allSettled(
      Array.from({ length: 5 }, async () => await a.post.tell(large)),
    );
    const refused = outcomes.filter(({ status }) => status === "rejected").length;
    assert.ok(refused >= 1 && refused < 5, String(refused));
    await settle();
    await a.post.tell(message(1));
    await settle();
    assert.equal(b.heard.at(-1)?.name, "1");
  });
});
