import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { McpError } from "../../src/protocol/errors.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { LOG_LEVELS } from "../../src/protocol/shapes.ts";
import { completable } from "../../src/server/schemas/completable.ts";
import { ResourceTemplate } from "../../src/server/uris/resource_template.ts";
import { McpServer } from "../../src/server/server.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { assertLinear } from "../support/growth.ts";
import { ModernPeer } from "../support/modern.ts";
import { Events, Gate, initialize, Peer, text, textOf } from "../support/wire.ts";

const ALL = { roots: {}, sampling: {}, elicitation: { form: {}, url: {} } };
const INFO = { name: "served", version: "1.0.0", title: "Served" };

/** A server with one of everything. */
function everything(): McpServer {
  const server = new McpServer(INFO, { instructions: "Use it well" });
  server.registerTool("add", {
    description: "Adds.",
    inputSchema: z.object({ a: z.number(), b: z.number() }),
    outputSchema: z.object({ sum: z.number() }),
  }, ({ a, b }) => ({ structuredContent: { sum: a + b } }));
  server.registerTool("ask", {}, async (_args, ctx) => {
    const form = await ctx.elicit("name", {
      message: "Who?",
      schema: z.object({ name: z.string() }),
    });
    const page = await ctx.elicit("page", { message: "Go", url: "https://a.example/" });
    const messages = [{ role: "user" as const, content: { type: "text", text: "Hi" } }];
    const model = await ctx.sample("model", { messages, maxTokens: 10 });
    return JSON.stringify([form, page, model, await ctx.roots()]);
  });
  server.registerTool("talk", {}, (_args, ctx) => {
    for (const level of LOG_LEVELS) ctx.log(level, { level }, "talk");
    return "talked";
  });
  server.registerResource("fixed", "test://fixed", { mimeType: "text/plain" }, () => "fixed text");
  server.registerResource("bytes", "test://bytes", {}, () => new Uint8Array([1, 2, 3]));
  server.registerResource(
    "users",
    new ResourceTemplate("test://users/{id}", {
      list: () => ({ resources: [{ uri: "test://users/1", name: "Ada" }] }),
      complete: { id: (typed) => ["1", "12", "2"].filter((id) => id.startsWith(typed)) },
    }),
    {},
    (_uri, { id }) => `user ${id}`,
  );
  server.registerPrompt("greet", {
    argsSchema: z.object({
      name: completable(z.string(), (typed) => ["Ada", "Alan"].filter((n) => n.startsWith(typed))),
    }),
  }, ({ name }) => `Hello ${name}`);
  return server;
}

function endpoint(server: McpServer = everything(), options: McpHandlerOptions = {}) {
  const clock = new FakeClock();
  const events = new Events();
  const handler = createMcpHandler(server, { clock, onEvent: events.onEvent, ...options });
  return { clock, events, server, handler };
}

async function resultOf(peer: Peer, method: string, params?: JsonObject): Promise<JsonObject> {
  return await peer.result(await peer.request("r", method, params));
}

async function errorOf(peer: Peer, method: string, params?: JsonObject) {
  const { error } = await peer.json(await peer.request("e", method, params));
  assert.ok(error, `${method} succeeded`);
  return error as { code: number; message: string; data?: unknown };
}

describe("SRV: what is there", () => {
  test("[SRV-1] initialize tells who, what and how, and no more", async () => {
    const { handler } = endpoint();
    const result = await new Peer(handler, { capabilities: ALL }).initialize();
    assert.deepEqual(result, {
      protocolVersion: "2025-11-25",
      serverInfo: INFO,
      instructions: "Use it well",
      capabilities: {
        tools: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        prompts: { listChanged: true },
        completions: {},
        logging: {},
      },
    });
    await handler.close();
  });

  test("[SRV-1] capabilities advertise exactly what is registered, and nothing else is served", async () => {
    const features: readonly (readonly [string, string, (server: McpServer) => unknown])[] = [
      ["tools", "tools/list", (server) => server.registerTool("t", {}, () => "")],
      [
        "resources",
        "resources/list",
        (server) => server.registerResource("r", "a:b", {}, () => ""),
      ],
      ["prompts", "prompts/list", (server) => server.registerPrompt("p", {}, () => "")],
    ];
    for (const [capability, method, register] of features) {
      const server = new McpServer(INFO, { logging: false, resourceSubscriptions: false });
      register(server);
      const { handler } = endpoint(server);
      const peer = new Peer(handler);
      const { capabilities } = await peer.initialize();
      assert.deepEqual(capabilities, { [capability]: { listChanged: true } });
      await resultOf(peer, method);
      const others = [
        ...features.map(([, each]) => each),
        "logging/setLevel",
        "completion/complete",
      ]
        .filter((each) => each !== method);
      for (const other of [...others, "resources/subscribe"]) {
        assert.equal((await errorOf(peer, other)).code, -32601, other);
      }
      await handler.close();
    }
    const bare = endpoint(new McpServer(INFO, { logging: false }));
    assert.deepEqual((await new Peer(bare.handler).initialize()).capabilities, {});
    await bare.handler.close();
  });

  test("[SRV-1] ping, tools, resources, prompts and completion do what they are for", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    assert.deepEqual(await resultOf(peer, "ping"), {});
    const { tools } = await resultOf(peer, "tools/list") as { tools: { name: string }[] };
    assert.deepEqual(tools.map(({ name }) => name), ["add", "ask", "talk"]);
    const sum = await resultOf(peer, "tools/call", { name: "add", arguments: { a: 1, b: 2 } });
    assert.deepEqual(sum, { content: text('{"sum":3}').content, structuredContent: { sum: 3 } });
    const { resources } = await resultOf(peer, "resources/list") as {
      resources: { uri: string }[];
    };
    assert.deepEqual(resources.map(({ uri }) => uri), [
      "test://fixed",
      "test://bytes",
      "test://users/1",
    ]);
    const templates = await resultOf(peer, "resources/templates/list");
    assert.deepEqual(templates, {
      resourceTemplates: [{ uriTemplate: "test://users/{id}", name: "users" }],
    });
    for (
      const [uri, contents] of Object.entries({
        "test://fixed": { mimeType: "text/plain", text: "fixed text" },
        "test://users/7": { text: "user 7" },
      })
    ) {
      assert.deepEqual(await resultOf(peer, "resources/read", { uri }), {
        contents: [{ uri, ...contents }],
      });
    }
    const { contents: [bytes] } = await resultOf(peer, "resources/read", {
      uri: "test://bytes",
    }) as { contents: JsonObject[] };
    assert.equal(bytes?.blob, "AQID");
    const { prompts } = await resultOf(peer, "prompts/list") as { prompts: JsonObject[] };
    assert.deepEqual(prompts, [{ name: "greet", arguments: [{ name: "name", required: true }] }]);
    const greeting = await resultOf(peer, "prompts/get", {
      name: "greet",
      arguments: { name: "A" },
    });
    assert.deepEqual(greeting, {
      messages: [{ role: "user", content: { type: "text", text: "Hello A" } }],
    });
    for (
      const [ref, argument, values] of [
        [{ type: "ref/prompt", name: "greet" }, { name: "name", value: "Al" }, ["Alan"]],
        [{ type: "ref/resource", uri: "test://users/{id}" }, { name: "id", value: "1" }, [
          "1",
          "12",
        ]],
        [{ type: "ref/prompt", name: "greet" }, { name: "other", value: "" }, []],
      ] as const
    ) {
      const { completion } = await resultOf(peer, "completion/complete", { ref, argument });
      assert.deepEqual((completion as JsonObject).values, values);
    }
    await handler.close();
  });

  test("[SRV-1, ASK-1] forms, pages, the model and roots are asked for, one after the other", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler, { capabilities: ALL });
    const call = peer.frames(await peer.call(1, "ask"));
    const model = { role: "assistant", content: { type: "text", text: "Hello" }, model: "m" };
    const replies: readonly (readonly [string, JsonObject])[] = [
      ["elicitation/create", { action: "accept", content: { name: "Ada" } }],
      ["elicitation/create", { action: "decline" }],
      ["sampling/createMessage", model],
      ["roots/list", { roots: [{ uri: "file:///a" }] }],
    ];
    for (const [method, reply] of replies) {
      const question = await call.message();
      assert.equal(question?.method, method);
      await peer.reply(question.id, reply);
    }
    const answers = JSON.parse(String(textOf((await call.message())?.result)));
    assert.deepEqual(answers, [
      { action: "accept", content: { name: "Ada" } },
      { action: "decline" },
      model,
      [{ uri: "file:///a" }],
    ]);
    await handler.close();
  });

  test("[SRV-1, STR-13] changes are told, and seen at once", async () => {
    const { handler, server } = endpoint();
    const peer = await initialize(handler);
    const stream = await peer.listen();
    const tool = server.registerTool("late", {}, () => "late");
    assert.equal((await stream.message())?.method, "notifications/tools/list_changed");
    assert.equal(textOf(await peer.result(await peer.call(1, "late"))), "late");
    tool.disable();
    assert.equal((await stream.message())?.method, "notifications/tools/list_changed");
    assert.equal((await errorOf(peer, "tools/call", { name: "late" })).code, -32602);
    server.registerPrompt("late", {}, () => "late").remove();
    assert.equal((await stream.message())?.method, "notifications/prompts/list_changed");
    server.registerResource("late", "test://late", {}, () => "late");
    let next = await stream.message();
    while (next?.method === "notifications/prompts/list_changed") next = await stream.message();
    assert.equal(next?.method, "notifications/resources/list_changed");
    await handler.close();
  });
});

describe("SRV: what goes wrong", () => {
  test("[SRV-2] an unknown method → -32601, with HTTP status 200", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    for (
      const method of [
        "tools/lists",
        "Tools/list",
        "x",
        "__proto__",
        "toString",
        "server/discover",
        "roots/list",
      ]
    ) {
      assert.equal((await errorOf(peer, method)).code, -32601, method);
    }
    await handler.close();
  });

  test("[SRV-2] invalid params → -32602 with a readable path", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const wrong: readonly (readonly [string, JsonObject | undefined, RegExp])[] = [
      ["tools/call", { name: "add", arguments: [1, 2] }, /arguments/],
      ["tools/call", { name: "add", arguments: "1, 2" }, /arguments/],
      ["tools/call", { name: "add", arguments: null }, /arguments/],
      ["tools/call", {}, /name/],
      ["tools/call", undefined, /name/],
      ["tools/call", { name: 7 }, /name/],
      ["tools/call", { name: "unknown" }, /unknown/i],
      ["tools/call", { name: "__proto__" }, /unknown/i],
      ["tools/call", { name: "constructor" }, /unknown/i],
      ["prompts/get", { name: "unknown" }, /unknown/i],
      ["prompts/get", { name: "greet", arguments: {} }, /\bname\b/],
      ["prompts/get", { name: "greet", arguments: { name: 7 } }, /\bname\b/],
      ["resources/read", {}, /uri/],
      ["resources/subscribe", { uri: 1 }, /uri/],
      ["logging/setLevel", { level: "loud" }, /level/],
      ["logging/setLevel", {}, /level/],
      ["completion/complete", {}, /argument|ref/],
      [
        "completion/complete",
        { ref: { type: "ref/x" }, argument: { name: "a", value: "" } },
        /ref/,
      ],
    ];
    for (const [method, params, message] of wrong) {
      const error = await errorOf(peer, method, params);
      assert.equal(error.code, -32602, `${method} ${JSON.stringify(params)}`);
      assert.match(error.message, message);
    }
    await handler.close();
  });

  test("[SRV-2] arguments that don't fit the schema are an error result, in every version", async () => {
    const { handler } = endpoint();
    const wrong: readonly (readonly [JsonObject | undefined, RegExp])[] = [
      [{ a: 1, b: "2" }, /Fix "b": .*expected number/],
      [{ a: 1 }, /Fix "b": /],
      [undefined, /Fix "a": .*; "b": /],
    ];
    const check = (result: JsonObject, told: RegExp) => {
      assert.equal(result.isError, true);
      assert.match(String(textOf(result)), told);
    };
    for (const version of ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]) {
      const peer = await initialize(handler, { version });
      for (const [args, told] of wrong) {
        const params = { name: "add", ...args && { arguments: args } };
        check(await resultOf(peer, "tools/call", params), told);
      }
    }
    const modern = new ModernPeer(handler);
    for (const [args, told] of wrong) {
      const params = { name: "add", ...args && { arguments: args } };
      check(await modern.ask("tools/call", params), told);
    }
    await handler.close();
  });

  test("[SRV-2] an unknown resource → -32002 with its URI", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const error = await errorOf(peer, "resources/read", { uri: "test://nowhere" });
    assert.deepEqual([error.code, error.data], [-32002, { uri: "test://nowhere" }]);
    await handler.close();
  });

  test("[SRV-2] a tool that throws is an error result without details, which go to onEvent", async () => {
    const server = new McpServer(INFO);
    const failure = new Error("password hunter2 at /srv/app.ts:1");
    server.registerTool("sync", {}, () => {
      throw failure;
    });
    server.registerTool("async", {}, () => Promise.reject(failure));
    server.registerTool("odd", {}, () => Promise.reject("hunter2"));
    server.registerTool("own", {}, () => {
      throw new McpError(-32010, "Own", { a: 1 });
    });
    // The point is what happens when the type is not kept.
    server.registerTool("nothing", {}, () => undefined as unknown as string);
    server.registerTool("wrong", {
      outputSchema: z.object({ n: z.number() }),
    }, () => ({ structuredContent: { n: "one" as unknown as number } }));
    const { handler, events } = endpoint(server);
    const peer = await initialize(handler);
    for (const name of ["sync", "async", "odd"]) {
      events.all.length = 0;
      const result = await peer.result(await peer.call(1, name));
      assert.equal(result.isError, true);
      assert.doesNotMatch(JSON.stringify(result), /hunter2|app\.ts/);
      assert.match(String(events.of("error")[0]?.error), /hunter2/);
    }
    const own = await errorOf(peer, "tools/call", { name: "own" });
    assert.deepEqual(own, { code: -32010, message: "Own", data: { a: 1 } });
    for (const name of ["nothing", "wrong"]) {
      events.all.length = 0;
      const message = await peer.json(await peer.call(1, name));
      const { error, result } = message as { error?: { code: number }; result?: JsonObject };
      assert.ok(error?.code === -32603 || result?.isError === true, JSON.stringify(message));
      assert.equal(events.of("error").length, 1, name);
      if (name === "wrong") assert.equal(error?.code, -32603);
    }
    await handler.close();
  });

  test("[SRV-2] what a resource, a prompt or a completion throws is an internal error without details", async () => {
    const server = new McpServer(INFO);
    const fail = () => {
      throw new Error("hunter2");
    };
    server.registerResource("r", "test://r", {}, fail);
    server.registerPrompt(
      "p",
      { argsSchema: { a: completable(z.string().optional(), fail) } },
      fail,
    );
    const { handler, events } = endpoint(server);
    const peer = await initialize(handler);
    const requests: readonly (readonly [string, JsonObject])[] = [
      ["resources/read", { uri: "test://r" }],
      ["prompts/get", { name: "p" }],
      ["completion/complete", {
        ref: { type: "ref/prompt", name: "p" },
        argument: { name: "a", value: "" },
      }],
    ];
    for (const [method, params] of requests) {
      const error = await errorOf(peer, method, params);
      assert.equal(error.code, -32603);
      assert.doesNotMatch(error.message, /hunter2/);
    }
    assert.equal(events.of("error").length, 3);
    await handler.close();
  });

  test("[SRV-2] a result over limits.resultBytes is an error result of the tool", async () => {
    const server = new McpServer(INFO);
    server.registerTool("big", {}, () => "x".repeat(2_000));
    server.registerResource("big", "test://big", {}, () => "x".repeat(2_000));
    const { handler } = endpoint(server, { limits: { resultBytes: 1_000 } });
    const peer = await initialize(handler);
    const result = await peer.result(await peer.call(1, "big"));
    assert.equal(result.isError, true);
    assert.equal((await errorOf(peer, "resources/read", { uri: "test://big" })).code, -32603);
    await handler.close();
  });

  test("[SRV-2] limits.resultBytes counts bytes, to the last one, of errors too", async () => {
    const server = new McpServer(INFO);
    const empty = JSON.stringify({ content: [{ type: "text", text: "" }] }).length;
    const sized = (bytes: number) => "€".repeat((bytes - empty) / 3);
    const most = empty + 900;
    server.registerTool("whole", {}, () => sized(most));
    server.registerTool("over", {}, () => sized(most + 3));
    server.registerTool("refuses", {}, () => {
      throw new McpError(-32000, "€".repeat(most / 3));
    });
    const { handler, events } = endpoint(server, { limits: { resultBytes: most } });
    const peer = await initialize(handler);
    assert.equal((await peer.result(await peer.call(1, "whole"))).isError, undefined);
    assert.equal((await peer.result(await peer.call(2, "over"))).isError, true);
    const { error } = await peer.json(await peer.call(3, "refuses"));
    assert.deepEqual(error, { code: -32603, message: "Internal error" });
    assert.equal(events.of("error").length, 1);
    await handler.close();
  });
});

describe("SRV: lists", () => {
  test("[SRV-3] lists come in the order of registration, in pages of limits.page", async () => {
    for (const [limits, page] of [[{}, 100], [{ page: 7 }, 7]] as const) {
      const server = new McpServer(INFO);
      const names = Array.from({ length: 250 }, (_, i) => `t${(i * 7919) % 250}`);
      for (const name of names) server.registerTool(name, {}, () => name);
      const { handler } = endpoint(server, { limits });
      const peer = await initialize(handler);
      const listed: string[] = [];
      let cursor: unknown;
      let pages = 0;
      do {
        const params: JsonObject = cursor === undefined ? {} : { cursor };
        const result = await resultOf(peer, "tools/list", params);
        const tools = result.tools as { name: string }[];
        assert.ok(tools.length <= page);
        listed.push(...tools.map(({ name }) => name));
        cursor = result.nextCursor;
        assert.ok(cursor === undefined || typeof cursor === "string");
        pages++;
      } while (cursor !== undefined);
      assert.deepEqual(listed, names);
      assert.equal(pages, Math.ceil(250 / page));
      await handler.close();
    }
  });

  test("[SRV-3] a cursor that nobody gave out → -32602, on every list", async () => {
    const { handler } = endpoint(everything(), { limits: { page: 1 } });
    const peer = await initialize(handler);
    const { nextCursor } = await resultOf(peer, "tools/list");
    const methods = ["tools/list", "resources/list", "resources/templates/list", "prompts/list"];
    for (const method of methods) {
      for (const cursor of ["", "x", "1", 1, null, {}, "__proto__", `${nextCursor}x`]) {
        assert.equal((await errorOf(peer, method, { cursor })).code, -32602, `${method} ${cursor}`);
      }
    }
    for (const method of methods.slice(1)) {
      const foreign = await errorOf(peer, method, { cursor: nextCursor });
      assert.equal(foreign.code, -32602, `another list's cursor for ${method}`);
    }
    await handler.close();
  });

  test("[SRV-4] templates match in linear time, however they are made and whatever comes", async () => {
    const server = new McpServer(INFO);
    for (
      const template of ["x://{a}{b}{c}{d}{e}", "y://{a}-{b}-{c}-{d}", "z://{+a}/{+b}/{+c}{?q,r}"]
    ) {
      server.registerResource(template, template, {}, (uri) => uri.href);
    }
    const { handler } = endpoint(server);
    const peer = await initialize(handler);
    for (
      const make of [
        (n: number) => `x://${"a".repeat(n)}/`,
        (n: number) => `y://${"-".repeat(n)}!/`,
        (n: number) => `z://${"/a".repeat(n / 2)}#`,
      ]
    ) {
      await assertLinear(make(10), 400_000, async (size) => {
        await peer.json(await peer.request(1, "resources/read", { uri: make(size) }));
      });
    }
    await handler.close();
  });
});

describe("SRV: sessions of a server", () => {
  test("[SRV-5] subscribing is idempotent, unsubscribing too, and unknown resources are refused", async () => {
    const { handler, server, clock } = endpoint();
    const peer = await initialize(handler);
    const stream = await peer.listen();
    const uri = "test://users/1";
    for (let i = 0; i < 3; i++) await resultOf(peer, "resources/subscribe", { uri });
    server.resourceUpdated(uri);
    await clock.advance(250);
    assert.deepEqual((await stream.message())?.params, { uri });
    assert.equal((await errorOf(peer, "resources/subscribe", { uri: "test://no" })).code, -32002);
    for (let i = 0; i < 3; i++) await resultOf(peer, "resources/unsubscribe", { uri });
    server.resourceUpdated(uri);
    await clock.advance(250);
    await peer.delete();
    assert.deepEqual(await stream.messages(), []);
    await handler.close();
  });

  test("[SRV-5] a session that ends meanwhile subscribes nothing, and its subscriptions go with it", async () => {
    const { handler, server, clock, events } = endpoint();
    const peer = await initialize(handler);
    const uri = "test://fixed";
    const [subscribed] = await Promise.all([
      peer.request(1, "resources/subscribe", { uri }),
      peer.delete(),
    ]);
    await subscribed.body?.cancel();
    server.resourceUpdated(uri);
    await clock.advance(250);
    assert.deepEqual(events.of("error"), []);
    assert.equal(handler.stats().sessions, 0);
    await handler.close();
  });

  test("[SRV-6] from info on until the client says otherwise; then from its level on", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const heard = async (who: Peer) => {
      const messages = await who.frames(await who.call(1, "talk")).messages();
      return messages.slice(0, -1).map(({ params }) => (params as JsonObject).level);
    };
    assert.deepEqual(await heard(peer), LOG_LEVELS.slice(1));
    const other = await initialize(handler);
    for (const [rank, level] of LOG_LEVELS.entries()) {
      assert.deepEqual(await resultOf(peer, "logging/setLevel", { level }), {});
      assert.deepEqual(await heard(peer), LOG_LEVELS.slice(rank));
    }
    assert.deepEqual(await heard(other), LOG_LEVELS.slice(1), "a level is its session's own");
    await handler.close();
  });

  test("[SRV-6] nothing below the level is built", async () => {
    const server = new McpServer(INFO);
    let built = 0;
    server.registerTool("talk", {}, (_args, ctx) => {
      const data = {
        toJSON() {
          built++;
          return "data";
        },
      };
      ctx.log("debug", data);
      ctx.log("error", data);
      return "";
    });
    const { handler } = endpoint(server);
    const peer = await initialize(handler);
    await resultOf(peer, "logging/setLevel", { level: "critical" });
    await peer.json(await peer.call(1, "talk"));
    assert.equal(built, 0);
    await resultOf(peer, "logging/setLevel", { level: "warning" });
    assert.equal((await peer.frames(await peer.call(1, "talk")).messages()).length, 2);
    assert.equal(built, 1);
    await handler.close();
  });

  test("[SES-1, SRV-1] what a session keeps is its own, and gone with it", async () => {
    const server = new McpServer(INFO);
    server.registerTool("count", {}, async (_args, { session }) => {
      const count = Number(await session?.state.get("count") ?? 0) + 1;
      await session?.state.set("count", count);
      return String(count);
    });
    const { handler } = endpoint(server);
    const count = async (peer: Peer) => textOf(await peer.result(await peer.call(1, "count")));
    const [first, second] = [await initialize(handler), await initialize(handler)];
    assert.deepEqual([await count(first), await count(first), await count(second)], [
      "1",
      "2",
      "1",
    ]);
    await first.delete();
    assert.equal(await count(second), "2");
    await handler.close();
  });

  test("[CAN-3, SRV-2] a tool that stops at its signal causes no error, and no result", async () => {
    const server = new McpServer(INFO);
    const begun = new Gate();
    server.registerTool("wait", {}, (_args, { signal }) => {
      begun.open();
      return new Promise<string>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    });
    const { handler, events } = endpoint(server);
    const peer = await initialize(handler);
    const call = peer.call(1, "wait");
    await begun.promise;
    await peer.cancel(1);
    assert.equal((await call).status, 202);
    await flush();
    assert.deepEqual(events.of("error"), []);
    await handler.close();
  });
});
