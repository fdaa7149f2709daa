/**
 * What every {@linkcode TaskStore} must do.
 *
 * @module
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import type { MaybePromise } from "../../src/internal/types.ts";
import type {
  LostTask,
  TaskCaps,
  TaskProgress,
  TaskQuestion,
  TaskRecord,
  TaskState,
  TaskStore,
} from "../../src/protocol/task_store.ts";
import { ownerKey } from "../../src/sessions/owner.ts";
import { uniqueId } from "./unique.ts";

/** A store under test. */
export interface TaskStoreUnderTest {
  readonly store: TaskStore;
  /** The same store, as another process has it. */
  readonly other: TaskStore;
  /** The store's own time. */
  now(): number;
  /** Lets so many milliseconds pass by the store's own clock. */
  advance(ms: number): MaybePromise<void>;
  close(): MaybePromise<void>;
}

/** Makes a store that is empty. */
export type MakeTaskStore = () => MaybePromise<TaskStoreUnderTest>;

const WIDE: TaskCaps = { tasks: 1_000, tasksPerPrincipal: 1_000 };
const TTL = 10_000;
const WORKING: TaskState = { status: "working" };
const ASKING: TaskState = { status: "input_required", inputRequests: {} };
/** The runner of all tasks that name no other. */
const RUNNER = "node/a";
const BEAT_MS = 1_000;
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
    cancelling(using);
    losing(using);
  });
}

type Using = (run: (made: TaskStoreUnderTest) => Promise<void>) => Promise<void>;

/** A task of alice's that has just begun. */
function taskAt(now: number, more: Partial<TaskRecord> = {}): TaskRecord {
  const times = { createdAt: now, updatedAt: now, ttlMs: TTL };
  return { id: uniqueId(), owner: "alice", ...times, state: WORKING, runner: RUNNER, ...more };
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
      assert.equal(await store.update(task.id, RUNNER, asking), true);
      assert.deepEqual(await store.get(task.id, "alice"), { ...task, ...asking });
      const working = { state: WORKING, updatedAt: now() + 2 };
      assert.equal(await store.update(task.id, RUNNER, working), true);
      assert.deepEqual(await store.get(task.id, "alice"), { ...task, ...working });
    });
  });

  for (const end of ENDS) {
    test(`[EXT-3, EXT-5] never changes a task that is ${end.status}`, async () => {
      await using(async ({ store, now }) => {
        const task = taskAt(now());
        await store.create(task, WIDE);
        assert.equal(await store.update(task.id, RUNNER, { state: end, updatedAt: 5 }), true);
        for (const state of [WORKING, ...ENDS]) {
          assert.equal(await store.update(task.id, RUNNER, { state, updatedAt: 6 }), false);
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
      await store.update(task.id, RUNNER, { state: { status: "completed", result }, updatedAt: 1 });
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
        assert.equal(await store.update(id, RUNNER, { state: WORKING, updatedAt: 1 }), false);
        assert.equal(await store.cancel(id, "alice", CANCELLED), undefined);
        assert.equal(await store.take(id, "alice", "node/b"), false);
        await store.lose(id, RUNNER, LOST);
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
      assert.equal(await store.update(task.id, RUNNER, { state: WORKING, updatedAt: 1 }), false);
    });
  });
}

function expiring(using: Using): void {
  test("[EXT-3] takes a task for unknown from its time on, whether it has ended or not", async () => {
    await using(async ({ store, now, advance }) => {
      const [running, ended] = [taskAt(now()), taskAt(now())];
      for (const task of [running, ended]) await store.create(task, WIDE);
      await store.update(ended.id, RUNNER, { state: { status: "cancelled" }, updatedAt: 1 });
      await advance(TTL - 1);
      for (const { id } of [running, ended]) assert.ok(await store.get(id, "alice"));
      await advance(1);
      for (const { id } of [running, ended]) {
        assert.equal(await store.get(id, "alice"), undefined);
        assert.equal(await store.update(id, RUNNER, { state: WORKING, updatedAt: 1 }), false);
        assert.equal(await store.cancel(id, "alice", CANCELLED), undefined);
        assert.equal(await store.take(id, "alice", "node/b"), false);
        await store.lose(id, RUNNER, LOST);
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
      await store.update(long.id, RUNNER, { state: { status: "cancelled" }, updatedAt: 1 });
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

const CANCELLED: TaskProgress = { state: { status: "cancelled" }, updatedAt: 7 };
const LOST: TaskProgress = {
  state: { status: "failed", error: { code: -32603, message: "Lost" } },
  message: "Lost",
  updatedAt: 8,
};

function cancelling(using: Using): void {
  test("[EXT-5, CLU-11] cancels for the owner at any node, and tells who runs the task", async () => {
    await using(async ({ store, other, now }) => {
      const task = taskAt(now());
      await store.create(task, WIDE);
      assert.equal(await other.cancel(task.id, "bob", CANCELLED), undefined);
      assert.deepEqual(await store.get(task.id, "alice"), task);
      assert.deepEqual(await other.cancel(task.id, "alice", CANCELLED), task);
      const cancelled = { ...task, ...CANCELLED };
      assert.deepEqual(await store.get(task.id, "alice"), cancelled);
      assert.equal(await store.update(task.id, RUNNER, { ...LOST }), false);
      assert.deepEqual(await other.cancel(task.id, "alice", LOST), cancelled);
      assert.deepEqual(await store.get(task.id, "alice"), cancelled);
    });
  });

  test("[CLU-11] changes a task for its runner alone", async () => {
    await using(async ({ store, other, now }) => {
      const task = taskAt(now());
      await store.create(task, WIDE);
      for (const runner of ["node/b", "", "__proto__"]) {
        assert.equal(await other.update(task.id, runner, LOST), false);
      }
      assert.deepEqual(await store.get(task.id, "alice"), task);
      assert.equal(await other.update(task.id, RUNNER, LOST), true);
    });
  });
}

function losing(using: Using): void {
  const rerun = { name: "tool", arguments: { a: [1] }, answers: { key: { hash: "h" } } };

  /** Two processes, of which the first runs tasks and then beats no more. */
  async function bereft(
    { store, other, now, advance }: TaskStoreUnderTest,
    tasks: readonly Partial<TaskRecord>[],
  ) {
    const made = tasks.map((more) => taskAt(now(), { ttlMs: 600_000, ...more }));
    assert.equal((await store.beat(RUNNER, 4 * BEAT_MS)).lapsed, true);
    assert.equal((await other.beat("node/b", 4 * BEAT_MS)).lapsed, true);
    for (const task of made) assert.equal(await store.create(task, WIDE), true);
    const lost: LostTask[] = [];
    for (let beat = 1; beat <= 4; beat++) {
      assert.equal(lost.length, 0);
      await advance(BEAT_MS);
      const answer = await other.beat("node/b", 4 * BEAT_MS);
      assert.equal(answer.lapsed, false);
      lost.push(...answer.lost);
    }
    return { made, lost };
  }

  test("[CLU-11] finds the running tasks of a runner that beats no more, for one caller", async () => {
    await using(async (made) => {
      const { store, other, advance } = made;
      const ended = uniqueId();
      const { made: tasks, lost } = await bereft(made, [{}, {}, { runner: "node/b" }, {
        id: ended,
        state: WORKING,
      }]);
      const ids = (list: readonly { readonly id: string }[]) => list.map(({ id }) => id).sort();
      assert.deepEqual(ids(lost), ids(tasks.filter(({ runner }) => runner === RUNNER)));
      assert.ok(lost.every(({ runner }) => runner === RUNNER));
      assert.deepEqual((await other.beat("node/c", 4 * BEAT_MS)).lost, []);
      assert.deepEqual((await other.beat("node/b", 4 * BEAT_MS)).lost, []);
      await store.cancel(ended, "alice", CANCELLED);
      for (let beat = 0; beat < 4; beat++) {
        await advance(BEAT_MS);
        const { lost } = await other.beat("node/b", 4 * BEAT_MS);
        // Whoever was to end them may have died
        assert.equal(lost.length, beat === 3 ? 2 : 0);
      }
    });
  });

  test("[CLU-11] ends a lost task once, and its runner can't change it any more", async () => {
    await using(async (made) => {
      const { store, other } = made;
      const { made: [task = assert.fail()] } = await bereft(made, [{ state: ASKING }]);
      await other.lose(task.id, "node/x", LOST);
      assert.deepEqual(await other.get(task.id, "alice"), task);
      await other.lose(task.id, RUNNER, LOST);
      const done = { state: { status: "completed", result: {} }, updatedAt: 9 } as const;
      assert.equal(await store.update(task.id, RUNNER, done), false);
      assert.deepEqual(await store.get(task.id, "alice"), { ...task, ...LOST });
      assert.equal((await store.beat(RUNNER, 4 * BEAT_MS)).lapsed, true);
      assert.equal(await store.update(task.id, RUNNER, done), false);
    });
  });

  test("[CLU-11] ends no task of a runner that has come back in time", async () => {
    await using(async (made) => {
      const { store, other } = made;
      const { made: [task = assert.fail()], lost } = await bereft(made, [{}]);
      assert.equal(lost.length, 1);
      assert.equal((await store.beat(RUNNER, 4 * BEAT_MS)).lapsed, true);
      await other.lose(task.id, RUNNER, LOST);
      assert.deepEqual(await store.get(task.id, "alice"), task);
    });
  });

  test("[CLU-11] gives a task that may run again to one runner, once", async () => {
    await using(async (made) => {
      const { store, other, advance } = made;
      const { made: [task = assert.fail()] } = await bereft(made, [{ rerun }]);
      assert.deepEqual(await other.get(task.id, "alice"), task);
      assert.equal(await other.take(task.id, "alice", "node/b"), false);
      await other.lose(task.id, RUNNER, LOST);
      assert.deepEqual(await other.get(task.id, "alice"), { ...task, runner: "" });
      assert.equal(await store.update(task.id, RUNNER, LOST), false);
      assert.equal(await other.take(task.id, "bob", "node/b"), false);
      const takers = ["node/b", "node/c"];
      const took = await Promise.all(
        takers.map(async (runner) => await other.take(task.id, "alice", runner)),
      );
      assert.deepEqual(took, [true, false]);
      const { rerun: _, ...again } = { ...task, runner: "node/b" };
      assert.deepEqual(await other.get(task.id, "alice"), again);
      // That one dies too
      for (let beat = 0; beat < 4; beat++) {
        await advance(BEAT_MS);
        await other.beat("node/c", 4 * BEAT_MS);
      }
      await other.lose(task.id, "node/b", LOST);
      assert.deepEqual(await other.get(task.id, "alice"), { ...again, ...LOST });
    });
  });

  test("[CLU-11] runs no task again that has asked the client", async () => {
    await using(async (made) => {
      const { store, now } = made;
      const task = taskAt(now(), { rerun });
      await store.create(task, WIDE);
      await store.update(task.id, RUNNER, { state: ASKING, updatedAt: 1 });
      await store.update(task.id, RUNNER, { state: WORKING, updatedAt: 2 });
      const { rerun: _, ...rest } = task;
      assert.deepEqual(await store.get(task.id, "alice"), { ...rest, updatedAt: 2 });
    });
  });

  test("[CLU-11] cancels a task that waits for a runner", async () => {
    await using(async (made) => {
      const { other } = made;
      const { made: [task = assert.fail()] } = await bereft(made, [{ rerun }]);
      await other.lose(task.id, RUNNER, LOST);
      assert.equal((await other.cancel(task.id, "alice", CANCELLED))?.runner, "");
      assert.equal(await other.take(task.id, "alice", "node/b"), false);
      assert.equal((await other.get(task.id, "alice"))?.state.status, "cancelled");
    });
  });

  test("[CLU-11] finds nobody lost when nobody has beaten for a while", async () => {
    await using(async ({ store, other, now, advance }) => {
      for (const runner of [RUNNER, "node/b"]) await store.beat(runner, 4 * BEAT_MS);
      await store.create(taskAt(now(), { ttlMs: 600_000 }), WIDE);
      // The store was away, or the whole machine stood still
      await advance(60_000);
      assert.deepEqual((await other.beat("node/b", 4 * BEAT_MS)).lost, []);
      await advance(BEAT_MS);
      assert.equal((await store.beat(RUNNER, 4 * BEAT_MS)).lapsed, false);
    });
  });

  test("[CLU-11] finds the tasks of a runner that has left at once", async () => {
    await using(async ({ store, other, now }) => {
      for (const runner of [RUNNER, "node/b"]) await store.beat(runner, 4 * BEAT_MS);
      const task = taskAt(now());
      await store.create(task, WIDE);
      await store.leave(RUNNER);
      await store.leave("node/never");
      const { lost } = await other.beat("node/b", 4 * BEAT_MS);
      assert.deepEqual(lost, [{ id: task.id, runner: RUNNER }]);
    });
  });
}
