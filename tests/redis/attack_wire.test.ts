/**
 * What clients and operators see of programs that read and write Redis without a key of the nodes.
 */
import { after, before, describe, test } from "node:test";
import assert from "node:assert/strict";
import { z } from "zod";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import { digest } from "../../src/redis/keys.ts";
import { redisStore } from "../../src/redis/mod.ts";
import { McpServer } from "../../src/server/server.ts";
import { tasks } from "../../src/tasks/mod.ts";
import { ModernPeer } from "../support/modern.ts";
import { connectIoRedis, noBinary, OwnServer, type TestClient } from "../support/redis.ts";
import { until } from "../support/redis_fleet.ts";
import { as, byToken, Events, Peer, soon, textOf } from "../support/wire.ts";
import { type Contents, readContents, writeContents, writeKey } from "./contents.ts";

const STATE_KEY = "0123456789abcdef0123456789abcdef";
const EXTENSIONS = { extensions: { "io.modelcontextprotocol/tasks": {} } };

/** A server whose tools put what they get wherever a tool can. */
function makeServer(): McpServer {
  const server = new McpServer({ name: "demo", version: "1.0.0" });
  server.use(tasks());
  const inputSchema = z.object({ word: z.string() });
  server.registerTool("work", {
    inputSchema,
    annotations: { idempotentHint: true },
    retryOnNodeLoss: true,
  }, async ({ word }, ctx) => {
    await ctx.session?.state.set(`key-${word}`, { kept: word });
    ctx.progress(1, 2, `progress ${word}`);
    ctx.log("warning", `log ${word}`);
    return `result ${word}`;
  });
  server.registerTool(
    "recall",
    { inputSchema },
    async ({ word }, ctx) =>
      JSON.stringify(await ctx.session?.state.get(`key-${word}`) ?? "nothing"),
  );
  server.registerTool("ask", { inputSchema }, async ({ word }, ctx) => {
    const answer = await ctx.elicit("sure", {
      message: `question ${word}`,
      schema: z.object({ text: z.string() }),
    });
    return `answered ${JSON.stringify(answer)}`;
  });
  server.registerTool("long", { inputSchema, task: "required" }, ({ word }, ctx) => {
    ctx.progress(1, 2, `status ${word}`);
    return `task result ${word}`;
  });
  server.registerResource("item", "hush://item", {}, () => "An item");
  return server;
}

describe("clients of a Redis that others write to", { skip: noBinary }, () => {
  let redis: OwnServer;
  let connection: TestClient;
  let handlers: McpHandler[];
  let contents: Contents;
  const events = new Events();
  const peers = new Map<string, Peer>();
  const taskIds = new Map<string, string>();
  const lastIds = new Map<string, string>();

  const node = () => {
    const handler = createMcpHandler(makeServer(), {
      store: redisStore({ client: connection.client, prefix: "attack" }),
      authenticate: byToken,
      requests: { stateKeys: [STATE_KEY] },
      onEvent: events.onEvent,
    });
    handlers.push(handler);
    return handler;
  };

  const peerOf = (name: string, fetch: McpHandler): Peer =>
    (peers.get(name) ?? assert.fail(name)).with({ fetch });

  const poll = (name: string, of: string, fetch: McpHandler) => {
    const taskId = taskIds.get(of) ?? "";
    const headers = { ...as(name), "mcp-name": taskId };
    const peer = new ModernPeer(fetch, { headers, capabilities: EXTENSIONS });
    return peer.request("tasks/get", { taskId });
  };

  const keyOf = (name: string, part: string) => {
    const tag = digest(peers.get(name)?.sessionId ?? "");
    return [...contents.keys()].find((key) => key.endsWith(`{${tag}}:${part}`)) ??
      assert.fail(part);
  };

  before(async () => {
    redis = await OwnServer.start();
    connection = await connectIoRedis(redis.url);
    handlers = [];
    const first = node();
    for (const name of ["alice0hush", "bob0hush"]) {
      const peer = new Peer(first, { headers: as(name), capabilities: { elicitation: {} } });
      await peer.initialize();
      peers.set(name, peer);
      const word = `hush-${name}`;
      const params = { name: "work", arguments: { word }, _meta: { progressToken: word } };
      const frames = await peer.frames(await peer.request(`id-${word}`, "tools/call", params))
        .rest();
      assert.ok(JSON.stringify(frames).includes(`result ${word}`));
      lastIds.set(name, frames.find(({ id }) => id !== undefined)?.id ?? assert.fail("no id"));
      await peer.request(2, "resources/subscribe", { uri: "hush://item" });
      const asking = peer.frames(await peer.call(3, "ask", { word }));
      const question = await asking.message();
      await peer.reply(question?.id, { action: "accept", content: { text: `answer ${word}` } });
      assert.ok(JSON.stringify(await asking.rest()).includes(`answer ${word}`));
      const modern = new ModernPeer(first, { headers: as(name), capabilities: EXTENSIONS });
      const created = await (await modern.call("long", { word })).json();
      taskIds.set(name, created.result.taskId);
      await until(
        async () => (await (await poll(name, name, first)).text()).includes(`task result ${word}`),
        "the task's result",
      );
      await connection.settle();
    }
    contents = await readContents(connection.send);
  });

  after(async () => {
    await Promise.all((handlers ?? []).map((handler) => handler.close({ graceMs: 0 })));
    await connection?.close();
    await redis?.close();
  });

  test("[CLU-12] who reads Redis learns no argument, result, question, answer, principal, session or task", () => {
    const text = JSON.stringify([...contents]);
    const ids = [...peers.values()].map(({ sessionId }) => sessionId ?? "");
    for (const word of ["hush", "wire-test", "elicit", "question", ...ids, ...taskIds.values()]) {
      assert.ok(word.length > 3 && !text.includes(word), word);
    }
  });

  test("[CLU-12] another user's data in a session's place reach nobody", async () => {
    const kinds = ["record", "state", "streams", "events"];
    for (const kind of kinds) {
      await writeContents(connection.send, contents);
      const [alice, bob] = ["alice0hush", "bob0hush"].map((name) =>
        contents.get(keyOf(name, kind))
      );
      assert.ok(alice && bob);
      await writeKey(connection.send, keyOf("alice0hush", kind), bob);
      await writeKey(connection.send, keyOf("bob0hush", kind), alice);
      const fresh = node();
      const before = events.all.length;
      for (const [name, other] of [["alice0hush", "bob0hush"], ["bob0hush", "alice0hush"]]) {
        assert.ok(name && other);
        const own = peerOf(name, fresh);
        const word = `hush-${name}`;
        const answers = [
          await own.call(10, "recall", { word }),
          await own.call(11, "recall", { word: `hush-${other}` }),
          await own.get(lastIds.get(name)),
          await own.with({ headers: as(other) }).call(12, "recall", { word }),
        ];
        const texts: string[] = [];
        for (const response of answers) {
          const stream = response.headers.get("content-type") === "text/event-stream";
          // With its events replaced, a stream that is resumed ends before the first.
          if (!stream || response === answers[0] || kind === "events") {
            texts.push(await soon(response.text()));
          } else await response.body?.cancel();
        }
        for (const text of texts) {
          assert.ok(!text.includes(`kept\\":\\"hush-${other}`), `${kind}: ${text}`);
          assert.ok(!text.includes(`result hush-${other}`), `${kind}: ${text}`);
          assert.ok(!/sealed|Redis|key/.test(text.replaceAll("key-hush", "")), `${kind}: ${text}`);
        }
        assert.equal(answers[3]?.status, 404);
        if (kind === "record") {
          // A digest of the owner is wrong, so that the session is as unknown as another's.
          assert.deepEqual(answers.map(({ status }) => status), [404, 404, 404, 404]);
        }
      }
      if (kind === "events") {
        const errors = events.all.slice(before).filter(({ type }) => type === "error");
        assert.ok(errors.length > 0, "the operator is told");
      }
    }
  });

  test("[CLU-12] a forged record is refused with 503, and the operator learns why", async () => {
    await writeContents(connection.send, contents);
    const key = keyOf("alice0hush", "record");
    const [alice, bob] = ["alice0hush", "bob0hush"].map((name) =>
      new Map(contents.get(keyOf(name, "record"))?.entries.map(([name, value]) => [name, value]))
    );
    const plain = JSON.stringify({ form: 1, owner: "bob0hush", client: { capabilities: {} } });
    for (const rec of [plain, bob?.get("rec") ?? "", `${alice?.get("rec")}`.toLowerCase()]) {
      await connection.send("HSET", key, "rec", rec);
      events.all.length = 0;
      for (const fetch of [node(), ...handlers.slice(0, 1)]) {
        const response = await peerOf("alice0hush", fetch).call(20, "recall", { word: "x" });
        assert.equal(response.status, 503);
        const text = await response.text();
        assert.ok(!/sealed|Redis|prefix/.test(text), text);
      }
      const told = JSON.stringify(
        events.all,
        (_, value) => value instanceof Error ? value.message : value,
      );
      assert.match(told, /unexpected session, which was changed or sealed with another key/);
    }
  });

  test("[CLU-12] another user's task, or a forged one, is no task of anybody", async () => {
    const keys = [...contents.keys()].filter((key) => key.includes("{tasks}:t:"));
    assert.equal(keys.length, 2);
    const [first, second] = keys.map((key) => contents.get(key));
    assert.ok(first && second);
    const [one = "", other = ""] = keys;
    const fresh = node();
    for (const field of ["all", "owner", "rec", "progress"]) {
      await writeContents(connection.send, contents);
      const taken = (of: typeof first, from: typeof first) => ({
        type: of.type,
        entries: of.entries.map((entry) =>
          field === "all" || entry[0] === field
            ? from.entries.find(([name]) => name === entry[0]) ?? entry
            : entry
        ),
      });
      await writeKey(connection.send, one, taken(first, second));
      await writeKey(connection.send, other, taken(second, first));
      for (const name of ["alice0hush", "bob0hush"]) {
        for (const ownerOfTask of ["alice0hush", "bob0hush"]) {
          const response = await poll(name, ownerOfTask, fresh);
          const text = await response.text();
          assert.ok(!text.includes("task result"), `${field}: ${text}`);
          assert.ok(!/sealed|Redis|prefix/.test(text), text);
        }
      }
    }
    await writeContents(connection.send, contents);
    const text = await (await poll("alice0hush", "alice0hush", fresh)).text();
    assert.ok(text.includes("task result hush-alice0hush"));
    assert.equal(
      textOf(
        await peerOf("alice0hush", fresh).result(
          await peerOf("alice0hush", fresh).call(30, "recall", { word: "hush-alice0hush" }),
        ),
      ),
      '{"kept":"hush-alice0hush"}',
    );
  });
});
