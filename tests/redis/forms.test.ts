/**
 * The form of what nodes write for each other: of stored records, and of messages. The fixture holds
 * what the first version of this form wrote; nodes of any later version must read it, and write what it
 * reads, until the form's number rises: `FORM` of src/redis/keys.ts.
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { SealedEnvelopes } from "../../src/cluster/messages/sealed_envelope.ts";
import type { Backplane } from "../../src/cluster/types.ts";
import { isObject } from "../../src/protocol/jsonrpc.ts";
import { redisStore } from "../../src/redis/mod.ts";
import { FORM } from "../../src/redis/keys.ts";
import { readRecord, writeRecord } from "../../src/redis/sessions/session_record.ts";
import { FakeClock } from "../support/clock.ts";
import { CLIENTS, noBinary, OwnServer } from "../support/redis.ts";
import { ask } from "../support/redis_fleet.ts";

const FIXTURE = new URL("../fixtures/forms.json", import.meta.url);
const KEY = "a secret that is long enough for all of them";
const SESSION = "a session of the first version_01";
const MESSAGE = JSON.stringify({ kind: "cancel", session: SESSION, request: 1 });
const RECORD = {
  id: SESSION,
  owner: "alice",
  createdAt: 1,
  protocolVersion: "2025-11-25",
  client: { capabilities: { roots: {} }, info: { name: "client", version: "1" } },
  initialized: true,
  logLevel: "debug",
} as const;
const SETTINGS = {
  keys: [KEY],
  caps: { sessions: 10, sessionsPerPrincipal: 10 },
  lifetimes: { idleMs: 60_000, absoluteMs: 600_000 },
  log: { events: 256, eventBytes: 1_048_576, retainMs: 60_000 },
};

const TASK = {
  id: "a task of the first version",
  owner: RECORD.owner,
  createdAt: 1,
  ttlMs: 600_000,
  runner: "a node",
  state: { status: "completed", result: { content: [] } },
  message: "done",
  updatedAt: 2,
  rerun: { name: "index", answers: {} },
} as const;

/** What one key holds: the fields of a hash, or the answer of the command that lists it. */
type Kept = Readonly<Record<string, string>> | readonly unknown[];

interface Forms {
  readonly form: number;
  readonly envelope: string;
  readonly keys: Readonly<Record<string, Kept>>;
}

/** Writes one of everything that outlives its node. */
async function write({ sessions, log, leases, nodes, claims, documents, tasks }: Backplane) {
  await sessions.reserve(SESSION, RECORD.owner);
  await sessions.create(RECORD);
  await sessions.setState(SESSION, "k", { a: 1 });
  await sessions.subscribe(SESSION, "a:b", 10);
  for (const data of ["x", "y"]) await log.append(SESSION, "s", data);
  await log.deliver(SESSION, "s", 1);
  await log.open(SESSION, "r", { node: "a node", requests: [1, "1"] });
  await tasks?.create(TASK, { tasks: 10, tasksPerPrincipal: 10 });
  await leases.take("a lease", () => {});
  await nodes.beat({ id: "a node" }, 30_000);
  await claims.claim(SESSION, "a node", 30_000);
  await documents.put("a document", '{"a":1}');
}

/** Reads everything that {@linkcode write} writes. */
async function check({ sessions, log, leases, nodes, claims, documents, tasks }: Backplane) {
  assert.deepEqual((await sessions.use(SESSION, RECORD.owner)).record, RECORD);
  assert.deepEqual((await sessions.use(SESSION, "mallory")).refusal, "foreign");
  assert.deepEqual(await sessions.getState(SESSION, "k"), { a: 1 });
  assert.deepEqual(await sessions.subscribers("a:b"), [SESSION]);
  assert.deepEqual(await sessions.ids(), [SESSION]);
  assert.deepEqual(await log.read(SESSION, "s", 0), {
    events: [{ n: 1, data: "x" }, { n: 2, data: "y" }],
    ended: false,
    gap: false,
    last: 2,
  });
  assert.equal(await log.delivered(SESSION, "s"), 1);
  assert.equal(await log.append(SESSION, "s", "z"), 3);
  const { node, requests } = await log.run?.(SESSION, "r") ?? {};
  assert.deepEqual([node, requests], ["a node", [1, "1"]]);
  assert.deepEqual(await tasks?.get(TASK.id, TASK.owner), TASK);
  assert.equal(await leases.held("a lease"), true);
  assert.deepEqual((await nodes.find("a node"))?.id, "a node");
  assert.equal(await claims.holder(SESSION), "a node");
  assert.deepEqual(await documents.get("a document"), { version: 1, text: '{"a":1}' });
}

const strings = (reply: unknown): string[] =>
  (Array.isArray(reply) ? reply.flat() : []).map(String);

/** What Redis holds, without what has the random name of a node. */
async function contents(server: OwnServer): Promise<Record<string, Kept>> {
  const kept: Record<string, Kept> = {};
  for (const key of strings(await ask(server, "KEYS", "*")).sort()) {
    const type = String(await ask(server, "TYPE", key));
    if (type === "hash") {
      const names = strings(await ask(server, "HKEYS", key)).sort();
      const fields: Record<string, string> = {};
      for (const name of names) {
        if (/^[wb]:|^holder$/.test(name)) continue;
        fields[name] = String(await ask(server, "HGET", key, name));
      }
      kept[key] = fields;
    } else if (type === "set") {
      kept[key] = ["SADD", ...strings(await ask(server, "SMEMBERS", key))];
    } else if (type === "zset") {
      const names = strings(await ask(server, "ZRANGE", key, "0", "-1"));
      kept[key] = ["ZADD"];
      for (const name of names) {
        kept[key] = [...kept[key], String(await ask(server, "ZSCORE", key, name)), name];
      }
    } else {
      const events = await ask(server, "XRANGE", key, "-", "+");
      assert.ok(Array.isArray(events));
      kept[key] = events;
    }
  }
  return kept;
}

/** Puts what the fixture holds into an empty Redis. */
async function restore(server: OwnServer, keys: Forms["keys"]): Promise<void> {
  for (const [key, kept] of Object.entries(keys)) {
    if (!Array.isArray(kept)) {
      const fields = Object.entries(kept).flat().map(String);
      await ask(server, "HSET", key, ...fields, ...key.includes(":l:") ? ["holder", "x/1"] : []);
    } else if (typeof kept[0] === "string") {
      await ask(server, String(kept[0]), key, ...kept.slice(1).map(String));
    } else {
      for (const [id, fields] of kept) await ask(server, "XADD", key, id, ...fields);
    }
    await ask(server, "PEXPIRE", key, "600000");
  }
}

/** A text sealed by `src/redis/seal.ts`: it differs each time. */
const SEALED = /[A-Za-z0-9_-]{20}(?:[A-Za-z0-9+/]{4}){9,}(?:[A-Za-z0-9+/]{2,3}=*)?/g;

/** Fails unless a value has everything of an older one. Fields may be added. */
function assertHolds(value: unknown, older: unknown, where: string): void {
  if (typeof older === "string" && older.startsWith("{")) {
    return assertHolds(JSON.parse(String(value)), JSON.parse(older), where);
  }
  if (!isObject(older)) return assert.deepEqual(withoutSealed(value), withoutSealed(older), where);
  assert.ok(isObject(value), where);
  for (const [name, part] of Object.entries(older)) {
    assertHolds(value[name], part, `${where} ${name}`);
  }
}

/** Leaves out of a value what differs each time: sealed texts, and the name of a writer. */
function withoutSealed(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value ?? null),
    (_key, part: unknown) =>
      typeof part !== "string"
        ? part
        : part.replace(/^[\w-]{16}\n\d+\n/, "(writer)\n").replace(SEALED, "(sealed)"),
  );
}

async function using(run: (server: OwnServer, backplane: Backplane) => Promise<void>) {
  const server = await OwnServer.start();
  const [{ connect } = assert.fail()] = CLIENTS;
  const connection = await connect(server.url);
  try {
    const { client } = connection;
    await run(
      server,
      redisStore({ client, prefix: "forms" }).open({ ...SETTINGS, clock: new FakeClock() }),
    );
  } finally {
    connection.closeDuplicates();
    await connection.close();
    await server.close();
  }
}

const envelopes = (node: string) =>
  new SealedEnvelopes({ node, keys: [KEY], clock: new FakeClock() });

if (process.env["MOORING_WRITE_FORMS"] === "1") {
  await using(async (server, backplane) => {
    await write(backplane);
    const forms: Forms = {
      form: FORM,
      envelope: await envelopes("a node").seal("another", MESSAGE),
      keys: await contents(server),
    };
    await writeFile(FIXTURE, `${JSON.stringify(forms, null, 2)}\n`);
  });
}

describe("forms", () => {
  test("[ROL-1] what the first version wrote is read", { skip: noBinary }, async () => {
    const { form, keys }: Forms = JSON.parse(await readFile(FIXTURE, "utf8"));
    assert.equal(form, FORM, "write the fixture anew: MOORING_WRITE_FORMS=1");
    await using(async (server, backplane) => {
      await restore(server, keys);
      await check(backplane);
    });
  });

  test(
    "[ROL-1] what this version writes has all that the first one reads",
    { skip: noBinary },
    async () => {
      const { keys }: Forms = JSON.parse(await readFile(FIXTURE, "utf8"));
      await using(async (server, backplane) => {
        await write(backplane);
        const now = await contents(server);
        for (const [key, kept] of Object.entries(keys)) assertHolds(now[key], kept, key);
      });
    },
  );

  test("[ROL-1, CLU-6] envelopes are opened that the first version of this form sealed, and sealed alike", async () => {
    const { envelope }: Forms = JSON.parse(await readFile(FIXTURE, "utf8"));
    assert.deepEqual(await envelopes("another").open(envelope), { from: "a node", text: MESSAGE });
    assert.equal(await envelopes("a node").seal("another", MESSAGE), envelope);
  });

  test("[ROL-1] a record of a newer form is refused, never misread; added fields are ignored", () => {
    const { initialized: _1, logLevel: _2, ...sealed } = RECORD;
    const record = (change: object) =>
      JSON.stringify({ ...JSON.parse(writeRecord(RECORD)), ...change });
    const read = (text: string) => readRecord(SESSION, text);
    assert.throws(
      () => read(record({ form: 2 })),
      /Update this node: a newer one wrote the session: 2/,
    );
    assert.deepEqual(read(record({ added: true })), sealed);
  });
});
