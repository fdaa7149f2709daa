/**
 * What every {@linkcode TaskStore} must do.
 *
 * @module
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import type { MaybePromise } from "../../src/internal/types.ts";
import type {
  TaskCaps,
  TaskMessage,
  TaskProgress,
  TaskQuestion,
  TaskRecord,
  TaskState,
  TaskStore,
} from "../../src/tasks/types.ts";
import { ownerKey } from "../../src/sessions/owner.ts";
import { uniqueId } from "./unique.ts";

/** A store under test. */
export interface TaskStoreUnderTest {
  readonly store: TaskStore;
  /** The store's own time. */
  now(): number;
  /** Lets so many milliseconds pass by the store's own clock. */
  advance(ms: number): MaybePromise<void>;
  /** Lets everything arrive that was sent. */
  settle(): MaybePromise<void>;
  close(): MaybePromise<void>;
}

/** Makes a store that is empty. */
export type MakeTaskStore = () => MaybePromise<TaskStoreUnderTest>;

const WIDE: TaskCaps = { tasks: 1_000, tasksPerPrincipal: 1_000 };
const TTL = 10_000;
const WORKING: TaskState = { status: "working" };
const ENDS: readonly TaskState[] = [
  { status: "completed", result: { resultType: "complete", content: [] } },
  { status: "failed", error: { code: -32603, message: "Internal error" } },
  { status: "cancelled" },
];

/** Runs the suite against the stores that `make` makes. */
export function taskStoreContract(name: string, make: MakeTaskStore): void {
  async function using(run: (made: TaskStoreUnderTest) => Promise<void>): Promise<void> {
    const made = await make();
    try {
      await run(made);
    } finally {
      await made.close();
    }
  }

  describe(name, () => {
    keeping(using);
    expiring(using);
    counting(using);
    messaging(using);
  });
}

type Using = (run: (made: TaskStoreUnderTest) => Promise<void>) => Promise<void>;

/** A task of alice's that has just begun. */
function taskAt(now: number, more: Partial<TaskRecord> = {}): TaskRecord {
  const times = { createdAt: now, updatedAt: now, ttlMs: TTL };
  return { id: uniqueId(), owner: "alice", ...times, state: WORKING, ...more };
}

function keeping(using: Using): void {
  test("[EXT-3] keeps a task and what happens to it", async () => {
    await using(async ({ store, now }) => {
      const task = taskAt(now());
      assert.equal(await store.create(task, WIDE), true);
      assert.deepEqual(await store.get(task.id, "alice"), task);
      const asking: TaskProgress = {
        state: {
          status: "input_required",
          inputRequests: Object.fromEntries([
            ["a", { method: "roots/list", params: {} }],
            ["__proto__", { method: "roots/list", params: {} }],
          ]),
        },
        message: "Waits",
        updatedAt: now() + 1,
      };
      assert.equal(await store.update(task.id, asking), true);
      assert.deepEqual(await store.get(task.id, "alice"), { ...task, ...asking });
      const working = { state: WORKING, updatedAt: now() + 2 };
      assert.equal(await store.update(task.id, working), true);
      assert.deepEqual(await store.get(task.id, "alice"), { ...task, ...working });
    });
  });

  for (const end of ENDS) {
    test(`[EXT-3, EXT-5] never changes a task that is ${end.status}`, async () => {
      await using(async ({ store, now }) => {
        const task = taskAt(now());
        await store.create(task, WIDE);
        assert.equal(await store.update(task.id, { state: end, updatedAt: 5 }), true);
        for (const state of [WORKING, ...ENDS]) {
          assert.equal(await store.update(task.id, { state, updatedAt: 6 }), false);
        }
        assert.deepEqual(await store.get(task.id, "alice"), { ...task, state: end, updatedAt: 5 });
      });
    });
  }

  test("keeps what it was given as it was", async () => {
    await using(async ({ store, now }) => {
      const result = { content: [{ type: "text", text: "before" }] };
      const inputRequests: Record<string, TaskQuestion> = {};
      const asking = taskAt(now(), { state: { status: "input_required", inputRequests } });
      await store.create(asking, WIDE);
      inputRequests.after = { method: "roots/list", params: {} };
      const asked = await store.get(asking.id, "alice");
      assert.equal(JSON.stringify(asked).includes("after"), false);
      const task = taskAt(now());
      await store.create(task, WIDE);
      await store.update(task.id, { state: { status: "completed", result }, updatedAt: 1 });
      result.content.push({ type: "text", text: "after" });
      const kept = await store.get(task.id, "alice");
      assert.equal(JSON.stringify(kept).includes("after"), false);
    });
  });

  test("[EXT-4] knows a task under its id and its owner alone", async () => {
    await using(async ({ store, now }) => {
      const task = taskAt(now());
      assert.equal(await store.get(task.id, "alice"), undefined);
      await store.create(task, WIDE);
      assert.equal(await store.create(taskAt(now(), { id: task.id, owner: "bob" }), WIDE), false);
      for (const owner of ["bob", "", "__proto__"]) {
        assert.equal(await store.get(task.id, owner), undefined);
      }
      for (const id of ["", "__proto__", "constructor", task.id.toLowerCase() + "x"]) {
        assert.equal(await store.get(id, "alice"), undefined);
        assert.equal(await store.update(id, { state: WORKING, updatedAt: 1 }), false);
        assert.equal(await store.send(id, "alice", { kind: "cancel" }), false);
        await store.delete(id);
      }
      assert.deepEqual(await store.get(task.id, "alice"), task);
    });
  });

  test("forgets a deleted task", async () => {
    await using(async ({ store, now }) => {
      const task = taskAt(now());
      await store.create(task, WIDE);
      await store.delete(task.id);
      await store.delete(task.id);
      assert.equal(await store.get(task.id, "alice"), undefined);
      assert.equal(await store.update(task.id, { state: WORKING, updatedAt: 1 }), false);
    });
  });
}

function expiring(using: Using): void {
  test("[EXT-3] takes a task for unknown from its time on, whether it has ended or not", async () => {
    await using(async ({ store, now, advance }) => {
      const [running, ended] = [taskAt(now()), taskAt(now())];
      for (const task of [running, ended]) await store.create(task, WIDE);
      await store.update(ended.id, { state: { status: "cancelled" }, updatedAt: 1 });
      await advance(TTL - 1);
      for (const { id } of [running, ended]) assert.ok(await store.get(id, "alice"));
      await advance(1);
      for (const { id } of [running, ended]) {
        assert.equal(await store.get(id, "alice"), undefined);
        assert.equal(await store.update(id, { state: WORKING, updatedAt: 1 }), false);
        assert.equal(await store.send(id, "alice", { kind: "cancel" }), false);
      }
    });
  });
}

function counting(using: Using): void {
  test("[EXT-7] lets no more tasks in than there may be", async () => {
    await using(async ({ store, now }) => {
      const caps = { tasks: 3, tasksPerPrincipal: 2 };
      const create = (owner: string) => store.create(taskAt(now(), { owner }), caps);
      assert.deepEqual(
        [await create("a"), await create("a"), await create("a")],
        [true, true, false],
      );
      assert.deepEqual([await create("b"), await create("b")], [true, false]);
    });
  });

  test("[SES-5, EXT-7] the clients of a user count as one, though each has its tasks alone", async () => {
    await using(async ({ store, now }) => {
      const caps = { tasks: 10, tasksPerPrincipal: 2 };
      const [one, two, three] = ["a", "b", "c"].map((clientId) => ownerKey({ id: "o", clientId }));
      const first = taskAt(now(), { owner: one });
      assert.equal(await store.create(first, caps), true);
      assert.equal(await store.create(taskAt(now(), { owner: two }), caps), true);
      assert.equal(await store.create(taskAt(now(), { owner: three }), caps), false);
      assert.equal(await store.get(first.id, two ?? ""), undefined);
      await store.delete(first.id);
      assert.equal(await store.create(taskAt(now(), { owner: three }), caps), true);
    });
  });

  test("[EXT-7] a burst passes no cap", async () => {
    await using(async ({ store, now }) => {
      const caps = { tasks: 1_000, tasksPerPrincipal: 5 };
      const made = await Promise.all(
        Array.from({ length: 20 }, async () => await store.create(taskAt(now()), caps)),
      );
      assert.equal(made.filter(Boolean).length, 5);
    });
  });

  test("[EXT-7] counts a task until it is deleted or has expired, and no longer", async () => {
    await using(async ({ store, now, advance }) => {
      const caps = { tasks: 2, tasksPerPrincipal: 2 };
      const [long, short] = [taskAt(now(), { ttlMs: 2 * TTL }), taskAt(now())];
      for (const task of [long, short]) assert.equal(await store.create(task, caps), true);
      await store.update(long.id, { state: { status: "cancelled" }, updatedAt: 1 });
      assert.equal(await store.create(taskAt(now()), caps), false);
      await advance(TTL);
      const next = taskAt(now());
      assert.equal(await store.create(next, caps), true);
      assert.equal(await store.create(taskAt(now()), caps), false);
      await store.delete(next.id);
      await store.delete(next.id);
      assert.equal(await store.create(taskAt(now()), caps), true);
      assert.equal(await store.create(taskAt(now()), caps), false);
      assert.ok(await store.get(long.id, "alice"));
    });
  });
}

function messaging(using: Using): void {
  const answers = (n: number): TaskMessage => ({ kind: "answers", answers: { n } });

  test("[EXT-5, EXT-6] hands messages to whoever runs the task, once and in order", async () => {
    await using(async ({ store, now, settle }) => {
      const task = taskAt(now());
      await store.create(task, WIDE);
      const heard: TaskMessage[] = [];
      const deafen = store.receive(task.id, (message) => heard.push(message));
      const sent = [answers(1), answers(2), { kind: "cancel" }, answers(3)] as const;
      for (const message of sent) assert.equal(await store.send(task.id, "alice", message), true);
      await settle();
      assert.deepEqual(heard, sent);
      deafen();
      deafen();
      assert.equal(await store.send(task.id, "alice", answers(4)), true);
      await settle();
      assert.equal(heard.length, 4);
    });
  });

  test("[EXT-4] hands nothing on that somebody else sends", async () => {
    await using(async ({ store, now, settle }) => {
      const [task, other] = [taskAt(now()), taskAt(now(), { owner: "bob" })];
      for (const each of [task, other]) await store.create(each, WIDE);
      const heard: TaskMessage[] = [];
      store.receive(task.id, (message) => heard.push(message));
      assert.equal(await store.send(task.id, "bob", { kind: "cancel" }), false);
      assert.equal(await store.send(other.id, "bob", { kind: "cancel" }), true);
      await settle();
      assert.deepEqual(heard, []);
    });
  });

  test("[EXT-5] hands nothing on when the task has ended", async () => {
    await using(async ({ store, now, settle }) => {
      const task = taskAt(now());
      await store.create(task, WIDE);
      const heard: TaskMessage[] = [];
      store.receive(task.id, (message) => heard.push(message));
      await store.update(task.id, { state: { status: "cancelled" }, updatedAt: 1 });
      assert.equal(await store.send(task.id, "alice", { kind: "cancel" }), true);
      await settle();
      assert.deepEqual(heard, []);
    });
  });

  test("never throws what a listener throws", async () => {
    await using(async ({ store, now, settle }) => {
      const task = taskAt(now());
      await store.create(task, WIDE);
      store.receive(task.id, () => {
        throw new Error("no");
      });
      assert.equal(await store.send(task.id, "alice", { kind: "cancel" }), true);
      await settle();
    });
  });
}
