import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MemoryTaskStore } from "../../../src/cluster/memory/tasks.ts";
import type { TaskProgress } from "../../../src/protocol/task_store.ts";
import { DelayLine } from "../../../src/internal/delay_line.ts";
import type { TaskStore } from "../../../src/protocol/task_store.ts";
import { TaskWriter, type TaskWriterInit } from "../../../src/cluster/tasks/writer.ts";
import { FakeClock, flush } from "../../support/clock.ts";
import { Gate } from "../../support/wire.ts";
import { SlowStore } from "./support.ts";

function at(updatedAt: number): TaskProgress {
  return { state: { status: "working" }, updatedAt };
}

function record(id: string) {
  return { id, owner: "a", runner: "r", createdAt: 0, ttlMs: 1_000, ...at(0) };
}

function unexpected(error: unknown): void {
  assert.fail(String(error));
}

function writerTo(store: TaskStore, more: Partial<TaskWriterInit> = {}): TaskWriter {
  return new TaskWriter({
    store,
    id: "1",
    runner: "r",
    retries: new DelayLine(new FakeClock(0), 1_000),
    useless: () => false,
    failed: unexpected,
    refused: () => assert.fail("The store has refused a change"),
    ...more,
  });
}

const CAPS = { tasks: 10, tasksPerPrincipal: 10 };

describe("TaskWriter", () => {
  test("writes at once where the store does", () => {
    const store = new MemoryTaskStore(new FakeClock(0));
    store.create(record("1"), CAPS);
    const writer = writerTo(store);
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
    const writer = writerTo(store);
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
    const writer = writerTo(store, { failed: (error) => failures.push(error) });
    writer.write(at(1));
    writer.write(at(2));
    await flush();
    assert.equal(failures.length, 1);
    assert.equal(memory.get("1", "a")?.updatedAt, 2);
  });

  test("[CLU-8, CLU-11] writes the final state again until the store is back, once", async () => {
    const clock = new FakeClock(0);
    const memory = new MemoryTaskStore(clock);
    memory.create({ ...record("1"), ttlMs: 60_000 }, CAPS);
    let away = true;
    let written = 0;
    const store = new SlowStore(memory, async () => {
      written += 1;
      if (away) throw new Error("away");
    });
    const failures: unknown[] = [];
    const retries = new DelayLine(clock, 1_000);
    const writer = writerTo(store, { retries, failed: (error) => failures.push(error) });
    writer.write({ state: { status: "completed", result: {} }, updatedAt: 1 });
    await flush();
    for (let i = 0; i < 3; i++) await clock.advance(1_000);
    assert.equal(failures.length, 1);
    assert.equal(written, 4);
    away = false;
    await clock.advance(1_000);
    assert.equal(memory.get("1", "a")?.state.status, "completed");
    await clock.advance(10_000);
    assert.equal(written, 5);
    assert.equal(clock.pending, 0);
  });

  test("[CLU-11] writes the final state no more when it is useless", async () => {
    const clock = new FakeClock(0);
    const store = new SlowStore(new MemoryTaskStore(clock), async () => {
      throw new Error("away");
    });
    const useless = () => clock.now() >= 3_000;
    const retries = new DelayLine(clock, 1_000);
    const writer = writerTo(store, { retries, useless, failed: () => {} });
    writer.write({ state: { status: "cancelled" }, updatedAt: 1 });
    for (let i = 0; i < 5; i++) await clock.advance(1_000);
    assert.equal(clock.pending, 0);
  });

  test("[CLU-11] tells when the store refuses a change", () => {
    const store = new MemoryTaskStore(new FakeClock(0));
    store.create({ ...record("1"), runner: "another" }, CAPS);
    let refused = 0;
    writerTo(store, { refused: () => refused += 1 }).write(at(1));
    assert.equal(refused, 1);
  });
});
