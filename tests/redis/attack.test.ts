/**
 * Programs that can read and write Redis, but have no key of the nodes: they learn nothing of what
 * sessions, streams and tasks contain, and nothing that they write is taken for a node's.
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import type { Backplane } from "../../src/cluster/types.ts";
import type { TaskRecord, TaskState } from "../../src/protocol/task_store.ts";
import { redisStore } from "../../src/redis/mod.ts";
import type { SessionRecord } from "../../src/sessions/types.ts";
import { FakeClock } from "../support/clock.ts";
import { connectIoRedis, noBinary, OwnServer, type TestClient } from "../support/redis.ts";
import { type Contents, type Kept, readContents, writeContents, writeKey } from "./contents.ts";

const KEYS = ["0123456789abcdef0123456789abcdef"];
const SETTINGS = {
  keys: KEYS,
  caps: { sessions: 10, sessionsPerPrincipal: 10 },
  lifetimes: { idleMs: 60_000, absoluteMs: 600_000 },
  log: { events: 256, eventBytes: 1_048_576, retainMs: 60_000 },
};

async function withRedis(run: (connection: TestClient) => Promise<void>): Promise<void> {
  const server = await OwnServer.start();
  const connection = await connectIoRedis(server.url);
  try {
    await run(connection);
  } finally {
    await connection.close();
    await server.close();
  }
}

/** What is in everything that must be kept secret. */
const MARK = "hush";
const ALICE = { id: "A-session-of-alice-hush-00000000", owner: "alice-hush", task: "A-task-hush" };
const BOB = { id: "B-session-of-bob-hush-0000000000", owner: "bob-hush", task: "B-task-hush" };
const URI = "hush:resource";
const message = (who: string, stream: string, n: number) =>
  JSON.stringify({ jsonrpc: "2.0", id: n, result: { hush: `${who} ${stream} ${n}` } });

const recordOf = ({ id, owner }: typeof ALICE): SessionRecord => ({
  id,
  owner,
  createdAt: 1,
  protocolVersion: "2025-11-25",
  client: { capabilities: {}, info: { name: `client-${owner}`, version: "1" } },
  initialized: true,
  logLevel: undefined,
});

const taskOf = ({ task: id, owner }: typeof ALICE, state: TaskState): TaskRecord => ({
  id,
  owner,
  createdAt: 1,
  ttlMs: 600_000,
  runner: "runner",
  state,
  message: `${owner} works`,
  updatedAt: 2,
  rerun: { name: "index", arguments: { of: owner }, answers: {} },
});

const questionOf = ({ owner }: typeof ALICE): TaskState => ({
  status: "input_required",
  inputRequests: { key: { method: "elicitation/create", params: { message: owner } } },
});

/** Writes what two users have. */
async function fill({ sessions, log, leases, claims, tasks, nodes }: Backplane): Promise<void> {
  for (const user of [ALICE, BOB]) {
    const { id, owner } = user;
    await sessions.reserve(id, owner);
    assert.equal(await sessions.create(recordOf(user)), true);
    await sessions.use(id, owner);
    await sessions.setState(id, "key-hush", `${owner} one`);
    await sessions.setState(id, "other-hush", `${owner} two`);
    await sessions.subscribe(id, URI, 10);
    for (const stream of ["s", "t"]) {
      for (const n of [1, 2, 3]) await log.append(id, stream, message(owner, stream, n));
    }
    await log.open(id, "r", { node: "node", requests: ["id-hush", `${owner}-1`] });
    await log.append(id, "r", message(owner, "r", 1));
    await leases.take(id, () => {});
    await claims.claim(id, "node", 600_000);
    await tasks?.create(taskOf(user, { status: "working" }), {
      tasks: 10,
      tasksPerPrincipal: 10,
    });
  }
  await tasks?.update(ALICE.task, "runner", { state: questionOf(ALICE), updatedAt: 3 });
  await nodes.beat({ id: "node" }, 600_000);
  await sessions.sweep(1);
}

/** Fails if anything is not what the user's own node wrote. A refusal or an error is honest. */
async function check(open: () => Backplane, what: string): Promise<void> {
  const { sessions, log, tasks } = open();
  const honest = async <T>(read: () => T | Promise<T>, accept: (value: T) => void) => {
    let value: T;
    try {
      value = await read();
    } catch (error) {
      assert.ok(error instanceof Error && !error.message.includes(MARK), what);
      return;
    }
    accept(value);
  };
  const among = (values: readonly unknown[]) => (value: unknown) =>
    assert.ok(values.includes(value), `${what}: ${JSON.stringify(value)}`);
  const ids = [ALICE.id, BOB.id];
  const users = [ALICE, BOB].map((user) => {
    const { id, owner, task } = user;
    const other = user === ALICE ? BOB : ALICE;
    const isOwn = (record: SessionRecord | undefined) => {
      if (record === undefined) return;
      assert.deepEqual(record, { ...recordOf(user), ...changeable(record) }, what);
    };
    const isOwnTask = (found: TaskRecord | undefined) => {
      if (found === undefined) return;
      const { state, message, updatedAt, runner: _, rerun, ...fixed } = found;
      const { id, createdAt, ttlMs } = taskOf(user, state);
      assert.deepEqual(fixed, { id, owner, createdAt, ttlMs }, what);
      if (updatedAt === 3) assert.deepEqual(state, questionOf(user), what);
      else assert.deepEqual([state.status, message], ["working", `${owner} works`], what);
      if (rerun !== undefined) assert.deepEqual(rerun.arguments, { of: owner }, what);
    };
    const readStream = (stream: string) => [
      honest(() => log.read(id, stream, 0), (slice) => {
        const messages = [1, 2, 3].map((n) => message(owner, stream, n));
        slice?.events.forEach(({ data }) => among(messages)(data));
      }),
      honest(() => log.run?.(id, stream), (run) => {
        if (run === undefined) return;
        assert.equal(run.node, "node", what);
        run.requests.forEach(among(["id-hush", `${owner}-1`]));
      }),
    ];
    return {
      read: () => [
        ...["s", "t", "r"].flatMap(readStream),
        honest(() => sessions.getState(id, "key-hush"), among([undefined, `${owner} one`])),
        honest(() => sessions.getState(id, "other-hush"), among([undefined, `${owner} two`])),
        honest(() => tasks?.get(task, owner), isOwnTask),
        honest(() => tasks?.get(task, other.owner), among([undefined])),
        honest(() => sessions.peek(id), isOwn),
      ],
      use: () => [
        honest(() => sessions.use(id, other.owner), ({ record }) => among([undefined])(record)),
        honest(() => sessions.use(id, owner), ({ record }) => isOwn(record)),
      ],
    };
  });
  const all = () => [
    honest(() => sessions.subscribers(URI), (found) => [...found].forEach(among(ids))),
    honest(() => sessions.ids(), (found) => [...found].forEach(among(ids))),
    honest(() => sessions.uses?.() ?? [], (found) => {
      for (const [id] of found) among(ids)(id);
    }),
  ];
  await Promise.all([...users.flatMap(({ read }) => read()), ...all()]);
  await Promise.all(users.flatMap(({ use }) => use()));
  await honest(() => sessions.sweep(10), (ended) => ended.forEach(({ id }) => among(ids)(id)));
  await honest(() => tasks?.beat("another", 7_000), (beat) => {
    beat?.lost.forEach(({ id }) => among([ALICE.task, BOB.task])(id));
  });
}

/** What may differ: others can disturb it. */
function changeable({ initialized, logLevel }: SessionRecord) {
  return { initialized, logLevel };
}

/** A change of one key. */
interface Attack {
  readonly what: string;
  readonly key: string;
  readonly kept: Kept;
}

const lastOf = (entry: readonly string[]): string => entry.at(-1) ?? "";

/** The keys of the same kind as a key: those that differ only in digests. */
function kindOf(key: string): string {
  return key.replaceAll(/[0-9a-f]{32}/g, "*").replaceAll(/:h:.*/g, ":h:*");
}

/** All ways to change, delete or replace one entry of a key, or all of it. */
function* attacks(contents: Contents): Generator<Attack> {
  for (const [key, kept] of contents) {
    const { type, entries } = kept;
    const same = [...contents].filter(([other]) => other !== key && kindOf(other) === kindOf(key));
    for (const [other, { entries }] of same) {
      yield { what: `${key} becomes ${other}`, key, kept: { type, entries } };
    }
    yield { what: `${key} is deleted`, key, kept: { type, entries: [] } };
    // What stands anywhere in a key of this kind may be put anywhere else there: most is sealed.
    const values = new Set(
      [kept, ...same.map(([, kept]) => kept)].flatMap(({ entries }) => entries.map(lastOf)),
    );
    for (const [at, entry] of entries.entries()) {
      const change = (next: readonly string[] | undefined) => ({
        what: `${key} ${entry[0]} becomes ${JSON.stringify(next)}`,
        key,
        kept: { type, entries: entries.flatMap((old, i) => i === at ? next ? [next] : [] : [old]) },
      });
      yield change(undefined);
      const last = entry.length - 1;
      const forged = ["", "1", '{"form":1}', "9:AAAA", "9000000000000", ...values];
      for (const value of forged) {
        if (value === entry[last] || type === "zset" && !/^\d+$/.test(value)) continue;
        yield change(entry.with(last, value));
      }
      if (type !== "zset" && type !== "set") continue;
      const members = [kept, ...same.map(([, kept]) => kept)].flatMap(({ entries }) => entries);
      for (const value of ["forged", ...members.map(([member = ""]) => member)]) {
        if (value !== entry[0]) yield change(entry.with(0, value));
      }
    }
  }
}

describe("programs that read and write Redis", { skip: noBinary }, () => {
  test("[CLU-12] none of the contents of sessions, streams and tasks can be read", async () => {
    await withRedis(async ({ client, send }) => {
      const store = redisStore({ client, prefix: "attack" });
      await fill(store.open({ ...SETTINGS, clock: new FakeClock() }));
      const text = JSON.stringify([...await readContents((...args) => send(...args))]);
      assert.ok(text.length > 5_000);
      for (const word of [MARK, "elicitation", "2025-11-25", "client", "index"]) {
        assert.ok(!text.replaceAll("{index}", "").includes(word), word);
      }
    });
  });

  test("[CLU-12] nothing is taken for a node's that another program has put there", async () => {
    await withRedis(async ({ client, send, closeDuplicates }) => {
      const clock = new FakeClock();
      const open = () => redisStore({ client, prefix: "attack" }).open({ ...SETTINGS, clock });
      // One node has met everything before, and the other one nothing.
      const warm = open();
      await fill(warm);
      const contents = await readContents(send);
      assert.ok(contents.size > 25, `${contents.size} keys`);
      await check(() => warm, "without an attack");
      let count = 0;
      for (const { what, key, kept } of attacks(contents)) {
        for (const node of count++ % 4 === 0 ? [open(), warm] : [open()]) {
          await writeContents(send, contents);
          await writeKey(send, key, kept).catch(() => {});
          await check(() => node, what);
        }
      }
      assert.ok(count > 500, `${count} attacks`);
      closeDuplicates();
    });
  });
});
