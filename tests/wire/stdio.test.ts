import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { McpServer } from "../../mod.ts";
import type { McpEvent } from "../../src/protocol/events.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { envelope, MODERN } from "../support/modern.ts";
import { PipeClient } from "../support/pipe.ts";
import { flush } from "../support/clock.ts";
import { Gate, soon } from "../support/wire.ts";

/** Tools for everything that a pipe is about, and what they saw. */
class World {
  readonly server = new McpServer({ name: "piped", version: "1.0.0" });
  readonly events: McpEvent[] = [];
  readonly stopped: string[] = [];
  readonly started: string[] = [];
  readonly gate = new Gate();

  constructor() {
    const { server } = this;
    server.registerTool(
      "echo",
      { inputSchema: z.object({ text: z.string() }) },
      ({ text }) => text,
    );
    server.registerTool(
      "wait",
      { inputSchema: z.object({ name: z.string() }) },
      async ({ name }, ctx) => {
        this.started.push(name);
        ctx.signal.addEventListener("abort", () => {
          this.stopped.push(`${name}: ${ctx.signal.reason.kind}`);
        });
        ctx.progress(1);
        await Promise.race([
          this.gate.promise,
          new Promise((resolve) => ctx.signal.addEventListener("abort", resolve)),
        ]);
        return `waited ${name}`;
      },
    );
    server.registerTool("ask", {}, async (_args, ctx) => {
      const { action } = await ctx.elicit("sure", {
        message: "Sure?",
        schema: { type: "object", properties: { sure: { type: "boolean" } } },
      });
      return action;
    });
    server.registerTool(
      "flood",
      { inputSchema: z.object({ count: z.number(), bytes: z.number() }) },
      async ({ count, bytes }, ctx) => {
        await undefined;
        for (let n = 0; n < count; n++) ctx.log("error", "x".repeat(bytes));
        return "flooded";
      },
    );
    server.registerTool("big", {}, () => {
      this.started.push("big");
      return "x".repeat(1_000_000);
    });
    server.registerTool("pause", {}, async (_args, ctx) => {
      ctx.log("error", "before");
      await undefined;
      ctx.closeStream({ retryMs: 600_000 });
      await flush();
      ctx.log("error", "after");
      return "resumed";
    });
    server.registerTool("guarded", { scopes: ["write"] }, (_args, ctx) => ctx.principal.id);
    server.registerResource("note", "note://one", {}, () => "one");
  }

  client(
    options: ConstructorParameters<typeof PipeClient>[1] = {},
    reading = true,
  ): PipeClient {
    return new PipeClient(
      this.server,
      { onEvent: (event) => this.events.push(event), ...options },
      reading,
    );
  }
}

const modern = (params: JsonObject = {}): JsonObject => ({
  ...params,
  _meta: { ...envelope({ elicitation: { form: {} } }), ...params._meta as JsonObject },
});
const call = (name: string, args: JsonObject = {}): JsonObject => ({ name, arguments: args });
const textIn = (response: JsonObject): unknown =>
  (response.result as { content?: { text?: string }[] } | undefined)?.content?.[0]?.text;
const errorIn = (response: JsonObject): { code: number; message: string; data?: unknown } =>
  response.error as { code: number; message: string };

describe("messages", () => {
  test("[STD-1] one pipe serves both eras, with questions as each era has them", async () => {
    await using client = new World().client();
    await client.initialize({ elicitation: {} });
    await client.send({ id: 1, method: "tools/call", params: call("ask") });
    const { id } = await client.message("elicitation/create");
    await client.send({ id, result: { action: "decline" } });
    assert.equal(textIn(await client.response(1)), "decline");

    client.version = MODERN;
    const first = await client.request(2, "tools/call", modern(call("ask")));
    const { inputRequests, requestState } = first.result as JsonObject;
    const [key = ""] = Object.keys(inputRequests as JsonObject);
    const retry = { requestState, inputResponses: { [key]: { action: "cancel" } } };
    const second = await client.request(3, "tools/call", modern({ ...call("ask"), ...retry }));
    assert.equal(textIn(second), "cancel");
  });

  test("[STD-1] a subscription brings updates, and so does a 2026 listen", async () => {
    const world = new World();
    await using client = world.client();
    await client.initialize();
    await client.request(1, "resources/subscribe", { uri: "note://one" });
    world.server.resourceUpdated("note://one");
    const { params } = await client.message("notifications/resources/updated");
    assert.deepEqual(params, { uri: "note://one" });

    client.version = MODERN;
    const notifications = { toolsListChanged: true };
    await client.send({ id: 7, method: "subscriptions/listen", params: modern({ notifications }) });
    await client.message("notifications/subscriptions/acknowledged");
    world.server.registerTool("later", {}, () => "");
    const changed = await client.next(
      "the listen's",
      ({ method, params }) => method === "notifications/tools/list_changed" && params !== undefined,
    );
    assert.match(JSON.stringify(changed.params), /subscriptionId":7/);
    await client.message("notifications/tools/list_changed");
  });

  test("[STD-8] what follows initialize in the same piece belongs to its session", async () => {
    await using client = new World().client();
    const params = {
      protocolVersion: "2025-06-18",
      capabilities: {},
      clientInfo: { name: "eager", version: "1.0.0" },
    };
    client.version = "2025-06-18";
    await client.send(
      { id: 1, method: "initialize", params },
      { method: "notifications/initialized" },
      { id: 2, method: "tools/call", params: call("echo", { text: "in session" }) },
    );
    assert.equal(textIn(await client.response(2)), "in session");
    assert.deepEqual(client.received.map(({ id }) => id), [1]);
  });

  test("[STD-8] before initialize only a ping is answered, and a second one replaces the first", async () => {
    const world = new World();
    await using client = world.client();
    const early = await client.request(1, "tools/list");
    assert.equal(errorIn(early).code, -32600);
    assert.match(errorIn(early).message, /initialize/);
    assert.deepEqual((await client.request(2, "ping")).result, {});
    await client.send({ method: "notifications/initialized" }, { id: "q-1", result: {} });
    await client.initialize();
    await client.send({ id: 3, method: "tools/call", params: call("wait", { name: "old" }) });
    await client.send({ id: 4, method: "ping" });
    await client.response(4);
    await client.initialize();
    assert.match(errorIn(await client.response(3)).message, /Session not found/);
    assert.deepEqual(world.stopped, ["old: session-ended"]);
    assert.equal(textIn(await client.request(5, "tools/call", call("echo", { text: "a" }))), "a");
  });

  test("[STD-8] a server of one era says so to clients of the other", async () => {
    const { server } = new World();
    await using old = new PipeClient(server, { versions: ["2025-11-25"] });
    const refused = await old.request(1, "server/discover", modern());
    assert.equal(errorIn(refused).code, -32022);
    await using young = new PipeClient(server, { versions: [MODERN] });
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: {} };
    assert.equal(errorIn(await young.request(1, "initialize", params)).code, -32022);
  });
});

describe("input", () => {
  test("[STD-2] what isn't a message is answered, with its id where there is one", async () => {
    const world = new World();
    await using client = world.client({ limits: { bodyBytes: 1_000, jsonDepth: 8 } });
    await client.initialize({ elicitation: {} });
    const bad: readonly [string | Uint8Array, number, unknown][] = [
      ["nonsense\n", -32700, null],
      [new Uint8Array([0x22, 0xff, 0x22, 0x0a]), -32700, null],
      [`{"id":7,"method":"x","params":${"[".repeat(9)}${"]".repeat(9)}}\n`, -32700, 7],
      ['{"jsonrpc":"1.0","id":8,"method":"ping"}\n', -32600, 8],
      ['{"jsonrpc":"2.0","id":9,"method":"ping","params":[]}\n', -32600, 9],
      ['{"jsonrpc":"2.0","id":1.5,"method":"ping"}\n', -32600, null],
      ['[{"jsonrpc":"2.0","id":1,"method":"ping"}]\n', -32600, 1],
      [
        `{"method":"ping","params":{"a":"${"x".repeat(2_000)}"},"jsonrpc":"2.0","id":11}\n`,
        -32000,
        11,
      ],
      [
        `{"jsonrpc":"2.0","id":"b","method":"ping","params":{"a":"${"x".repeat(2_000)}"}}\n`,
        -32000,
        "b",
      ],
      [`{"method":"ping","a":"${"x".repeat(2_000)}","id":007}\n`, -32000, null],
      [`${"[".repeat(900)}\n`, -32700, null],
      [`{"method":"ping","id":3,"a":"${"x".repeat(2_000)}","params":{"id":4}}\n`, -32000, null],
    ];
    for (const [line, code, id] of bad) {
      await client.write(line);
      const response = await client.next("an error", (one) => one.error !== undefined);
      assert.deepEqual([errorIn(response).code, response.id], [code, id], String(line));
    }
    await client.write(" \r\n\n");
    const exact = '{"jsonrpc":"2.0","id":12,"method":"ping","params":{"a":""}}';
    await client.write(`${exact.replace('""', `"${"y".repeat(1_000 - exact.length)}"`)}\r\n`);
    assert.deepEqual((await client.response(12)).result, {});
    assert.deepEqual(client.received, []);
    assert.doesNotMatch(JSON.stringify(world.events), /xxxx/);
  });

  test("[STD-2] an answer over the limit fails its question at once", async () => {
    await using client = new World().client({ limits: { bodyBytes: 1_000 } });
    await client.initialize({ elicitation: {} });
    await client.send({ id: 1, method: "tools/call", params: call("ask") });
    const { id } = await client.message("elicitation/create");
    const content = { text: "x".repeat(2_000) };
    await client.write(
      `${JSON.stringify({ result: { action: "accept", content }, jsonrpc: "2.0", id })}\n`,
    );
    const response = await client.response(1);
    assert.equal((response.result as JsonObject).isError, true);
    assert.match(String(textIn(response)), /limits\.bodyBytes/);
  });

  test("[STD-2] a batch is for 2025-03-26, and its size has a limit", async () => {
    await using client = new World().client({ limits: { batch: 2 } });
    await client.initialize({}, "2025-03-26");
    const ping = (id: number) => `{"jsonrpc":"2.0","id":${id},"method":"ping"}`;
    await client.write(`[${ping(1)},${ping(2)}]\n`);
    const both = await client.next("the batch", (one) => Array.isArray(one));
    assert.deepEqual((both as unknown as JsonObject[]).map(({ id }) => id).sort(), [1, 2]);
    await client.write(`[${ping(1)},${ping(2)},${ping(3)}]\n`);
    assert.match(errorIn(await client.response(null)).message, /limits\.batch/);
  });

  test("[STD-1] running calls have a limit", async () => {
    const world = new World();
    await using client = world.client({ limits: { requests: 2 } });
    await client.initialize();
    const wait = (id: number) => ({
      id,
      method: "tools/call",
      params: call("wait", { name: `${id}` }),
    });
    await client.send(wait(1), wait(2), wait(3));
    assert.match(errorIn(await client.response(3)).message, /busy/);
    world.gate.open();
    assert.equal(textIn(await client.response(2)), "waited 2");
    assert.equal(
      textIn(await client.request(4, "tools/call", call("echo", { text: "again" }))),
      "again",
    );
  });
});

describe("output", () => {
  test("[STD-3] a client that doesn't read is not read, and gets every response later", async () => {
    const world = new World();
    const client = world.client({}, false);
    let written = 0;
    const text = "x".repeat(100_000);
    const writing = (async () => {
      for (let id = 1; id <= 100; id++) {
        await client.send({ id, method: "tools/call", params: modern(call("echo", { text })) });
        written = id;
      }
    })();
    for (let turn = 0; turn < 50; turn++) await flush();
    // 256 KiB that wait, and what is on its way in the streams of the test.
    assert.ok(written < 10, `${written} of 100 lines were read`);
    client.version = MODERN;
    void client.read();
    await soon(writing);
    for (let id = 1; id <= 100; id++) assert.equal(textIn(await client.response(id)), text);
    await client.server.close();
  });

  test("[STD-3] nor is the rest of a piece that it has sent at once", async () => {
    const world = new World();
    const client = world.client({}, false);
    const calls = Array.from({ length: 100 }, (_, id) => {
      return { id, method: "tools/call", params: modern(call("big")) };
    });
    void client.send(...calls).catch(() => {});
    for (let turn = 0; turn < 50; turn++) await flush();
    assert.ok(world.started.length < 5, `${world.started.length} of 100 calls ran`);
    client.version = MODERN;
    void client.read();
    for (let id = 0; id < 100; id++) await client.response(id);
    await client.server.close();
  });

  test("[STD-1] closeStream() leaves nothing out", async () => {
    for (const version of ["2025-11-25", "2025-06-18"] as const) {
      await using client = new World().client();
      await client.initialize({}, version);
      assert.equal(textIn(await client.request(1, "tools/call", call("pause"))), "resumed");
      const logs = client.received.filter(({ method }) => method === "notifications/message");
      assert.deepEqual(logs.map(({ params }) => (params as JsonObject).data), ["before", "after"]);
    }
  });

  test("[STD-3] a call that floods a client keeps its response, and memory its limit", async () => {
    const world = new World();
    const client = world.client({ limits: { eventBytes: 50_000 } }, false);
    const writing = client.initialize();
    void client.read();
    await writing;
    const params = call("flood", { count: 2_000, bytes: 1_000 });
    await client.send({ id: 1, method: "tools/call", params });
    assert.equal(textIn(await client.response(1)), "flooded");
    const logs = client.received.filter(({ method }) => method === "notifications/message").length;
    assert.ok(logs > 10 && logs < 1_000, `${logs} of 2000 messages`);

    client.version = MODERN;
    const _meta = { "io.modelcontextprotocol/logLevel": "debug" };
    const lost = await client.request(2, "tools/call", modern({ ...params, _meta }));
    assert.match(errorIn(lost).message, /read the output faster/);
    await client.server.close();
  });
});

describe("cancellation", () => {
  for (const era of ["2025", "2026"] as const) {
    test(`[STD-4] a cancelled call stops, and nothing more is sent for it: ${era}`, async () => {
      const world = new World();
      await using client = world.client();
      if (era === "2025") await client.initialize();
      else client.version = MODERN;
      const _meta = { progressToken: "p" };
      const params = { ...call("wait", { name: "it" }), _meta };
      const sent = era === "2025" ? params : modern(params);
      await client.send({ id: 1, method: "tools/call", params: sent });
      await client.message("notifications/progress");
      await client.send(
        { method: "notifications/cancelled", params: { requestId: 1, reason: "enough" } },
        { id: 2, method: "tools/list", params: era === "2025" ? {} : modern() },
      );
      await client.response(2);
      assert.deepEqual(world.stopped, ["it: cancelled"]);
      world.gate.open();
      await flush();
      assert.deepEqual(client.received, []);
    });

    test(`[STD-4] a call is cancelled while authorize decides: ${era}`, async () => {
      const world = new World();
      const decided = new Gate();
      await using client = world.client({
        async authorize(_principal, { method }) {
          if (method === "tools/call") await decided.promise;
          return true;
        },
      });
      if (era === "2025") await client.initialize();
      else client.version = MODERN;
      const wrap = (params: JsonObject) => era === "2025" ? params : modern(params);
      await client.send(
        { id: 1, method: "tools/call", params: wrap(call("wait", { name: "never" })) },
        { method: "notifications/cancelled", params: { requestId: 1 } },
        { id: 2, method: "resources/list", params: wrap({}) },
      );
      await client.response(2);
      decided.open();
      await client.request(3, "resources/list", wrap({}));
      assert.deepEqual(world.started, []);
      assert.deepEqual(client.received, []);
    });
  }

  test("[STD-4] a listen ends when it is cancelled, and with a result when the server ends", async () => {
    const world = new World();
    const client = world.client({ graceMs: 600_000, limits: { listens: 1 } });
    client.version = MODERN;
    const listen = async (id: number) => {
      const params = modern({ notifications: { toolsListChanged: true } });
      await client.send({ id, method: "subscriptions/listen", params });
      await client.message("notifications/subscriptions/acknowledged");
    };
    await listen(1);
    await client.send({ method: "notifications/cancelled", params: { requestId: 1 } });
    await listen(2);
    world.server.registerTool("later", {}, () => "");
    const { params } = await client.message("notifications/tools/list_changed");
    assert.match(JSON.stringify(params), /subscriptionId":2/);
    await client.closeInput();
    const { result } = await client.response(2);
    assert.equal((result as JsonObject).resultType, "complete");
    await soon(client.ended);
    assert.deepEqual(client.received, []);
  });
});

describe("the end", () => {
  test("[STD-5] when the input ends, calls finish, questions fail, and the output ends", async () => {
    const world = new World();
    const client = world.client({ graceMs: 60_000 });
    await client.initialize({ elicitation: {} });
    await client.send(
      { id: 1, method: "tools/call", params: call("wait", { name: "last" }) },
      { id: 2, method: "tools/call", params: call("ask") },
    );
    await client.message("elicitation/create");
    // The last line has no end.
    await client.write('{"jsonrpc":"2.0","id":3,"method":"ping"}');
    await client.closeInput();
    const asked = await client.response(2);
    assert.equal((asked.result as JsonObject).isError, true);
    await client.response(3);
    world.gate.open();
    assert.equal(textIn(await client.response(1)), "waited last");
    await soon(client.ended);
    await soon(client.server.finished);
  });

  test("[STD-5] what runs after the grace period is cancelled and answered", async () => {
    const world = new World();
    const client = world.client({ graceMs: 1 });
    await client.initialize();
    await client.send({ id: 1, method: "tools/call", params: call("wait", { name: "late" }) });
    await client.send({ id: 2, method: "ping" });
    await client.response(2);
    await client.closeInput();
    assert.match(errorIn(await client.response(1)).message, /shutting down/);
    await soon(client.server.finished);
    assert.deepEqual(world.stopped, ["late: shutdown"]);
  });

  test("[STD-5] close() cuts a grace period short", async () => {
    const world = new World();
    const client = world.client({ graceMs: 600_000 });
    await client.initialize();
    await client.send({ id: 1, method: "tools/call", params: call("wait", { name: "long" }) });
    await client.request(2, "ping");
    await client.closeInput();
    await flush();
    await soon(client.server.close({ graceMs: 0 }));
    assert.deepEqual(world.stopped, ["long: shutdown"]);
  });

  test("[STD-5] close() works while the client doesn't read", async () => {
    const world = new World();
    const client = world.client({ graceMs: 600_000 }, false);
    client.version = MODERN;
    const params = modern(call("echo", { text: "x".repeat(500_000) }));
    void client.send({ id: 1, method: "tools/call", params }).catch(() => {});
    void client.send({ id: 2, method: "tools/call", params }).catch(() => {});
    await flush();
    await soon(client.server.close({ graceMs: 0 }));
    await soon(client.server.finished);
  });

  test("[STD-5] a client that closes the output ends the server", async () => {
    const world = new World();
    const client = world.client({ graceMs: 600_000 });
    await client.initialize();
    await client.send({ id: 1, method: "tools/call", params: call("wait", { name: "gone" }) });
    await client.request(2, "ping");
    await client.closeOutput();
    await soon(client.server.finished);
    assert.deepEqual(world.stopped, ["gone: shutdown"]);
  });
});

describe("the user", () => {
  test("[STD-7] scopes are those of the option principal", async () => {
    const { server } = new World();
    await using poor = new PipeClient(server);
    await poor.initialize();
    const refused = errorIn(await poor.request(1, "tools/call", call("guarded")));
    assert.match(refused.message, /"principal"/);
    assert.deepEqual(refused.data, { requiredScopes: ["write"] });
    const principal = { id: "ada", scopes: ["write"], expiresAt: 1 };
    await using rich = new PipeClient(server, { principal });
    await rich.initialize();
    assert.equal(textIn(await rich.request(1, "tools/call", call("guarded"))), "ada");
  });

  test("[STD-7] options are checked", () => {
    const { server } = new World();
    const bad: readonly [object, RegExp][] = [
      [{ authenticate: () => ({ id: "a" }) }, /"principal"/],
      [{ principal: {} }, /"principal"/],
      [{ graceMs: -1 }, /"graceMs"/],
      [{ limits: { bodyBytes: 0 } }, /"limits.bodyBytes"/],
    ];
    for (const [options, message] of bad) {
      assert.throws(() => new PipeClient(server, options), { message });
    }
  });
});

describe("LONG: calls that run long, over pipes", () => {
  for (const version of ["2025-11-25", MODERN]) {
    test(`[LONG-18] a call is answered with a handle, ${version}`, async () => {
      const world = new World();
      await using client = world.client({ longCalls: { afterMs: 50 } });
      const _meta = version === MODERN ? envelope({}) : {};
      if (version !== MODERN) await client.initialize();
      const said = async (id: number, name: string, args: JsonObject) => {
        const params = { name, arguments: args, _meta };
        const { result } = await client.request(id, "tools/call", params);
        return JSON.stringify(result);
      };
      const answer = await said(11, "wait", { name: "long" });
      const [, handle] = /(call_[\w-]+)/.exec(answer) ?? [];
      assert.ok(handle, answer);
      assert.match(await said(12, "wait_for_result", { handle }), /still running/);
      assert.deepEqual(world.stopped, []);
      world.gate.open();
      assert.match(await said(13, "wait_for_result", { handle }), /waited long/);
    });
  }
});
