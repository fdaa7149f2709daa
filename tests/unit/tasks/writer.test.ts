import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MemoryTaskStore } from "../../../src/tasks/memory_store.ts";
import type { TaskProgress } from "../../../src/tasks/types.ts";
import { TaskWriter } from "../../../src/tasks/writer.ts";
import { FakeClock, flush } from "../../support/clock.ts";
import { Gate } from "../../support/wire.ts";
import { SlowStore } from "./support.ts";

function at(updatedAt: number): TaskProgress {
  return { state: { status: "working" }, updatedAt };
}

function record(id: string) {
  return { id, owner: "a", createdAt: 0, ttlMs: 1_000, ...at(0) };
}

function unexpected(error: unknown): void {
  assert.fail(String(error));
}

const CAPS = { tasks: 10, tasksPerPrincipal: 10 };

describe("TaskWriter", () => {
  test("writes at once where the store does", () => {
    const store = new MemoryTaskStore(new FakeClock(0));
    store.create(record("1"), CAPS);
    const writer = new TaskWriter(store, "1", unexpected);
    for (const time of [1, 2, 3]) {
      writer.write(at(time));
      assert.equal(store.get("1", "a")?.updatedAt, time);
    }
  });

  test("writes one after the other, and of those that wait the newest", async () => {
    const memory = new MemoryTaskStore(new FakeClock(0));
    memory.create(record("1"), CAPS);
    const gates: Gate[] = [];
    const store = new SlowStore(memory, () => {
      const gate = new Gate();
      gates.push(gate);
      return gate.promise;
    });
    const writer = new TaskWriter(store, "1", unexpected);
    for (const time of [1, 2, 3]) writer.write(at(time));
    assert.equal(gates.length, 1);
    gates[0]?.open();
    await flush();
    assert.equal(memory.get("1", "a")?.updatedAt, 1);
    assert.equal(gates.length, 2);
    gates[1]?.open();
    await flush();
    assert.equal(memory.get("1", "a")?.updatedAt, 3);
    assert.equal(gates.length, 2);
  });

  test("tells of what fails, and goes on", async () => {
    const memory = new MemoryTaskStore(new FakeClock(0));
    memory.create(record("1"), CAPS);
    let left = 1;
    const store = new SlowStore(memory, async () => {
      if (left-- > 0) throw new Error("away");
    });
    const failures: unknown[] = [];
    const writer = new TaskWriter(store, "1", (error) => failures.push(error));
    writer.write(at(1));
    writer.write(at(2));
    await flush();
    assert.equal(failures.length, 1);
    assert.equal(memory.get("1", "a")?.updatedAt, 2);
  });
});
