import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { MemoryBus } from "../../../src/cluster/memory/bus.ts";
import { flush } from "../../support/clock.ts";

const MESSAGE = "hello";

describe("MemoryBus", () => {
  test("a listener never runs in the middle of what publishes", async () => {
    const bus = new MemoryBus();
    const order: string[] = [];
    const a = bus.join("a", () => order.push("a hears"));
    const b = bus.join("b", () => {
      order.push("b hears");
      void b.publish(MESSAGE);
      order.push("b has answered");
    });
    void a.publish(MESSAGE);
    order.push("a has told");
    await flush();
    assert.deepEqual(order, ["a has told", "b hears", "b has answered", "a hears"]);
  });

  test("who leaves right after a message was published doesn't hear it, who joins then neither", async () => {
    const bus = new MemoryBus();
    const heard: string[] = [];
    const a = bus.join("a", () => {});
    const b = bus.join("b", () => heard.push("b"));
    void a.publish(MESSAGE);
    b.leave();
    bus.join("c", () => heard.push("c"));
    await flush();
    assert.deepEqual(heard, []);
  });

  test("[CLU-2] leaving twice doesn't take a later member of the same name along", async () => {
    const bus = new MemoryBus();
    let heard = 0;
    const a = bus.join("a", () => {});
    const old = bus.join("b", () => assert.fail("it has left"));
    old.leave();
    bus.join("b", () => heard++);
    old.leave();
    void a.publish(MESSAGE);
    assert.equal(await a.send("b", MESSAGE), true);
    assert.equal(await old.send("a", MESSAGE), false);
    await flush();
    assert.equal(heard, 2);
  });

  test("a listener may join twice, as two members", async () => {
    const bus = new MemoryBus();
    let heard = 0;
    const listener = () => void (heard += 1);
    const one = bus.join("one", listener);
    const two = bus.join("two", listener);
    void one.publish(MESSAGE);
    await flush();
    assert.equal(heard, 1);
    one.leave();
    void two.publish(MESSAGE);
    await flush();
    assert.equal(heard, 1);
  });
});
