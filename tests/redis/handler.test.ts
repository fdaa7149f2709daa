import { after, describe, test } from "node:test";
import assert from "node:assert/strict";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { redisStore } from "../../src/redis/mod.ts";
import { McpServer } from "../../src/server/server.ts";
import { tasks } from "../../src/tasks/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { CAPABLE, ModernPeer, questionsOf, stateOf } from "../support/modern.ts";
import {
  CLIENTS,
  deleteKeys,
  lastingKeys,
  noRedis,
  type TestClient,
  uniquePrefix,
  useServer,
} from "../support/redis.ts";
import { as, byToken, initialize, refused, Stub, text, textOf } from "../support/wire.ts";

const STATE_KEY = "0123456789abcdef0123456789abcdef";

if (noRedis !== false) {
  test("handlers share one Redis", { skip: noRedis }, () => {});
} else {
  for (const { name, connect } of CLIENTS) {
    const server = await useServer();
    const connection = await connect(server.url);
    describe(name, () => {
      handlers(connection);
      after(async () => {
        await connection.close();
        await server.stop();
      });
    });
  }
}

/** Two handlers, each with a store of its own on the same prefix. */
function pair(connection: TestClient) {
  const { client } = connection;
  const prefix = uniquePrefix();
  const clock = new FakeClock();
  const later: (() => void)[] = [];
  const node = () => {
    const stub = new Stub({
      hello: () => text("Hello"),
      wait: async () => {
        await new Promise<void>((resolve) => later.push(resolve));
        return text("Waited");
      },
    });
    return createMcpHandler(stub, {
      store: redisStore({ client, prefix }),
      clock,
      authenticate: byToken,
      requests: { stateKeys: [STATE_KEY] },
    });
  };
  const [a, b] = [node(), node()];
  const close = async () => {
    await Promise.all([a.close({ graceMs: 0 }), b.close({ graceMs: 0 })]);
    await connection.settle();
    assert.deepEqual(await lastingKeys(connection, prefix), []);
    await deleteKeys(connection, prefix);
  };
  return { a, b, clock, prefix, close, later };
}

function handlers(connection: TestClient): void {
  test("[CLU-1] a session that began at one node is known and owned at the other, until it ends", async () => {
    const { a, b, close } = pair(connection);
    const here = await initialize(a, { headers: as("alice"), accept: "application/json" });
    const there = here.with({ fetch: b });
    assert.equal(textOf(await there.result(await there.call(1, "hello"))), "Hello");
    await refused(await there.with({ headers: as("mallory") }).request(1, "ping"), 404, -32001);
    assert.equal((await there.delete()).status, 204);
    await refused(await here.request(2, "ping"), 404, -32001);
    await close();
    assert.equal(connection.duplicates.size, 0);
  });

  test("[ASK-5] a yes that was used at one node is refused at the other", async () => {
    const { client } = connection;
    const prefix = uniquePrefix();
    const ran: string[] = [];
    const node = (name: string) => {
      const server = new McpServer({ name: "approval", version: "1.0.0" });
      server.registerTool("delete", { approval: true }, () => {
        ran.push(name);
        return "Deleted";
      });
      return createMcpHandler(server, {
        store: redisStore({ client, prefix }),
        requests: { stateKeys: [STATE_KEY] },
      });
    };
    const [a, b] = [node("a"), node("b")];
    const [alice, there] = [a, b].map((to) => new ModernPeer(to, { capabilities: CAPABLE }));
    assert.ok(alice !== undefined && there !== undefined);
    const question = await alice.say("delete");
    const [key = ""] = Object.keys(questionsOf(question));
    const inputResponses = { [key]: { action: "accept", content: { approve: true } } };
    const retry = { requestState: stateOf(question), inputResponses };
    const answers = await Promise.all(
      [alice, there, alice, there].map(async (peer) =>
        (await peer.answer(await peer.call("delete", {}, retry))).message
      ),
    );
    assert.equal(answers.filter(({ result }) => result !== undefined).length, 1);
    assert.equal(ran.length, 1);
    assert.equal((await there.error(await there.call("delete", {}, retry))).code, -32602);
    await Promise.all([a.close({ graceMs: 0 }), b.close({ graceMs: 0 })]);
    await connection.settle();
    assert.deepEqual(await lastingKeys(connection, prefix), []);
    await deleteKeys(connection, prefix);
  });

  test("[CLU-1] a call that is answered with JSON at once costs one command", async () => {
    const { a, close } = pair(connection);
    const here = await initialize(a, { headers: as("alice"), accept: "application/json" });
    await here.result(await here.call(1, "hello"));
    await connection.settle();
    const before = connection.sent.length;
    await here.result(await here.call(2, "hello"));
    const sent = connection.sent.slice(before).map(([command]) => command);
    assert.deepEqual(sent, ["EVALSHA"]);
    await close();
  });

  test("[RDS-5] a call whose tool waits for less than half a second costs one command, too", async () => {
    const { a, clock, close, later } = pair(connection);
    const here = await initialize(a, { headers: as("alice"), accept: "application/json" });
    await here.result(await here.call(1, "hello"));
    await clock.advance(1_000);
    await connection.settle();
    const before = connection.sent.length;
    for (let id = 2; id < 5; id++) {
      const call = here.call(id, "wait");
      while (later.length === 0) await connection.settle();
      await clock.advance(100);
      for (const go of later.splice(0)) go();
      await here.result(await call);
    }
    await connection.settle();
    const sent = connection.sent.slice(before).map(([command]) => command);
    assert.deepEqual(sent, ["EVALSHA", "EVALSHA", "EVALSHA"]);
    await close();
  });

  test("[RDS-5] a client that begins costs eight commands", async () => {
    const { a, close } = pair(connection);
    const begin = () => initialize(a, { headers: as("alice"), accept: "application/json" });
    // From then on Redis knows the scripts
    await begin();
    await connection.settle();
    const before = connection.sent.length;
    await begin();
    await connection.settle();
    assert.equal(connection.sent.length - before, 8);
    await close();
  });

  test("[SES-4] a call that lasts tells that its session is held, and when it no more is", async () => {
    const { a, clock, prefix, close, later } = pair(connection);
    const here = await initialize(a, { headers: as("alice"), accept: "application/json" });
    const [key = ""] = await connection.send("KEYS", `${prefix}:*:s:*:record`) as string[]; // by KEYS
    const held = async () => {
      await connection.settle();
      return JSON.stringify(await connection.send("HGETALL", key)).includes('"b:');
    };
    const call = here.call(1, "wait");
    while (later.length === 0) await connection.settle();
    assert.equal(await held(), false);
    await clock.advance(1_000);
    assert.equal(await held(), true);
    for (const go of later) go();
    await here.result(await call);
    assert.equal(await held(), false);
    await close();
  });

  test("[CLU-11] a task takes a command for each step, and a call that is none takes none", async () => {
    const prefix = uniquePrefix();
    const clock = new FakeClock();
    const server = new McpServer({ name: "test", version: "1.0.0" });
    server.use(tasks({ clock }));
    server.registerTool("hello", { task: "optional" }, () => "Hello");
    const handler = createMcpHandler(server, {
      store: redisStore({ client: connection.client, prefix }),
      clock,
      authenticate: byToken,
      requests: { stateKeys: [STATE_KEY] },
    });
    const plain = new ModernPeer(handler, { headers: as("alice"), accept: "application/json" });
    const peer = plain.with({
      capabilities: { extensions: { "io.modelcontextprotocol/tasks": {} } },
    });
    const begin = async () => {
      const { result } = await (await peer.request("tools/call", { name: "hello" })).json();
      await connection.settle();
      return result.taskId;
    };
    const poll = async (taskId: string) => {
      const headers = { "mcp-name": taskId };
      return (await (await peer.request("tasks/get", { taskId }, { headers })).json()).result;
    };
    // From then on Redis knows the scripts
    await poll(await begin());
    connection.sent.length = 0;
    await plain.request("tools/call", { name: "hello" });
    await connection.settle();
    assert.equal(connection.sent.length, 0);
    const taskId = await begin();
    // Its creation and its end
    assert.deepEqual(connection.sent.map(([command]) => command), ["EVALSHA", "EVALSHA"]);
    assert.equal((await poll(taskId)).status, "completed");
    assert.equal(connection.sent.length, 3);
    const closed = handler.close({ graceMs: 0 });
    await clock.advance(1_000);
    await closed;
    await connection.settle();
    assert.deepEqual(await lastingKeys(connection, prefix), []);
    await deleteKeys(connection, prefix);
  });
}
