import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TaskQueue } from "../../../src/gateway/shared/task_queue.ts";
import { flush } from "../../support/clock.ts";
import { Gate } from "../../support/wire.ts";

/** A queue whose tasks end when their gate opens. */
function world(most: number, mostWaiting: number) {
  const queue = new TaskQueue(most, mostWaiting);
  const began: string[] = [];
  const gates = new Map<string, Gate>();
  const run = (name: string) => {
    const gate = new Gate();
    gates.set(name, gate);
    return queue.run(async () => {
      began.push(name);
      await gate.promise;
      if (name.startsWith("bad")) throw new Error(name);
    });
  };
  const end = async (name: string) => {
    gates.get(name)?.open();
    await flush();
  };
  return { began, run, end };
}

describe("TaskQueue", () => {
  test("[GTW-8] as many run as may, as many wait as may, and no more are taken", async () => {
    const { began, run, end } = world(2, 2);
    const runs = ["a", "b", "c", "d"].map(run);
    assert.equal(run("e"), undefined);
    assert.deepEqual(began, ["a", "b"]);
    await end("b");
    assert.deepEqual(began, ["a", "b", "c"]);
    runs.push(run("f"));
    assert.equal(run("g"), undefined);
    for (const name of ["a", "c", "d", "f"]) await end(name);
    assert.deepEqual(began, ["a", "b", "c", "d", "f"]);
    await Promise.all(runs);
  });

  test("[GTW-8] a place that came back is taken once, also after a failure", async () => {
    const { began, run, end } = world(1, 1);
    const bad = run("bad");
    const next = run("next");
    assert.ok(bad && next);
    const failed = assert.rejects(bad, { message: "bad" });
    await end("bad");
    await failed;
    await end("next");
    await next;
    const third = run("third");
    assert.deepEqual(began, ["bad", "next", "third"]);
    const fourth = run("fourth");
    await flush();
    assert.deepEqual(began, ["bad", "next", "third"]);
    await end("third");
    await end("fourth");
    await Promise.all([third, fourth]);
    assert.deepEqual(began, ["bad", "next", "third", "fourth"]);
  });
});
