/**
 * Middleware: what wraps a request, in both eras, and what a rewrite can't get around.
 */
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, test } from "node:test";
import { z } from "zod";
import { onToolCall } from "../../src/calls/middleware/on_tool_call.ts";
import { StopError } from "../../src/calls/lifetime/stop.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { McpError } from "../../src/protocol/errors.ts";
import type { Exchange } from "../../src/protocol/exchange.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import type { Middleware } from "../../src/protocol/middleware.ts";
import { McpServer } from "../../src/server/server.ts";
import { tasks } from "../../src/tasks/mod.ts";
import { CAPABLE, ModernPeer, questionsOf, stateOf } from "../support/modern.ts";
import { as, byToken, Events, Gate, initialize, type Peer, soon, textOf } from "../support/wire.ts";

const YES = { action: "accept", content: { approve: true } };
const KEY = "0123456789abcdef0123456789abcdef";

/** A server whose tools tell what they were called with. */
function server(ran: string[] = []): McpServer {
  const made = new McpServer({ name: "wrapped", version: "1.0.0" });
  const inputSchema = z.object({ path: z.string() });
  const tool = (name: string, config: JsonObject = {}) =>
    made.registerTool(name, { inputSchema, ...config }, ({ path }) => {
      ran.push(`${name} ${path}`);
      return `${name} ${path}`;
    });
  tool("look");
  tool("peek");
  tool("purge", { scopes: ["admin"] });
  tool("secret");
  tool("delete", { approval: true });
  made.registerPrompt("greet", {}, () => "Hello");
  made.registerResource("note", "demo://notes/{id}", {}, () => "A note");
  return made;
}

/** A handler with middleware, and clients of both eras. */
async function world(middleware: readonly Middleware[], options: McpHandlerOptions = {}) {
  const ran: string[] = [];
  const events = new Events();
  const handler = createMcpHandler(server(ran), {
    authenticate: byToken,
    requests: { stateKeys: [KEY] },
    onEvent: events.onEvent,
    ...options,
    middleware,
  });
  const headers = as("alice");
  const peer = await initialize(handler, { headers, capabilities: { elicitation: {} } });
  const modern = new ModernPeer(handler, { headers, capabilities: CAPABLE });
  return { ran, events, handler, peer, modern };
}

/** Calls a tool in both eras, and returns the results. */
async function callBoth(
  { peer, modern }: { readonly peer: Peer; readonly modern: ModernPeer },
  name: string,
  args: JsonObject = { path: "/a" },
): Promise<readonly JsonObject[]> {
  const old = await peer.result(await peer.call(7, name, args));
  return [old, await modern.say(name, args)];
}

/** The error codes of a call in both eras. */
async function refusedBoth(
  { peer, modern }: { readonly peer: Peer; readonly modern: ModernPeer },
  name: string,
): Promise<readonly unknown[]> {
  const old = await (await peer.call(8, name, { path: "/a" })).json();
  const now = await (await modern.call(name, { path: "/a" })).json();
  return [old.error?.code, now.error?.code];
}

/** Renames one tool. */
const renamed = (from: string, to: string): Middleware =>
  onToolCall((call, next) => call.name === from ? next({ name: to }) : next());

describe("MID: what middleware does", () => {
  test("[MID-1] it runs in order around every request, and sees the principal", async () => {
    const seen: string[] = [];
    const tracing = (name: string): Middleware => async ({ method, principal }, next) => {
      seen.push(`${name} ${method} ${principal.id}`);
      const result = await next();
      seen.push(`/${name} ${method}`);
      return result;
    };
    const { handler, peer, modern } = await world([tracing("a"), tracing("b")]);
    assert.deepEqual(seen.splice(0), [
      "a initialize alice",
      "b initialize alice",
      "/b initialize",
      "/a initialize",
    ]);
    await peer.result(await peer.request(2, "prompts/get", { name: "greet" }));
    await peer.result(await peer.request(3, "tools/list"));
    await modern.ask("server/discover");
    await modern.ask("resources/read", { uri: "demo://notes/1" });
    assert.deepEqual(seen.filter((line) => line.startsWith("a ")), [
      "a prompts/get alice",
      "a tools/list alice",
      "a server/discover alice",
      "a resources/read alice",
    ]);
    await handler.close();
  });

  test("[MID-2] it rewrites arguments and results, and what it passes on is validated", async () => {
    const rewriting = onToolCall(async (call, next) => {
      const { path } = call.arguments;
      const result = await next({ arguments: { path: path === "/bad" ? 5 : `${path}/b` } });
      return { ...result, content: [...result.content ?? [], { type: "text", text: "seen" }] };
    });
    const all = await world([rewriting]);
    for (const { content } of await callBoth(all, "look")) {
      assert.deepEqual(content, [{ type: "text", text: "look /a/b" }, {
        type: "text",
        text: "seen",
      }]);
    }
    for (const result of await callBoth(all, "look", { path: "/bad" })) {
      assert.equal(result.isError, true);
      assert.match(String(textOf(result)), /Invalid arguments/);
    }
    assert.deepEqual(all.ran, ["look /a/b", "look /a/b"]);
    await all.handler.close();
  });

  test("[MID-2] it refuses: by an error, or by a result of its own", async () => {
    const refusing = onToolCall(({ name }, next) => {
      if (name === "look") throw new McpError(-32602, "Not today");
      return name === "peek" ? { content: [{ type: "text", text: "No" }], isError: true } : next();
    });
    const all = await world([refusing]);
    assert.deepEqual(await refusedBoth(all, "look"), [-32602, -32602]);
    assert.deepEqual((await callBoth(all, "peek")).map(textOf), ["No", "No"]);
    assert.deepEqual(all.ran, []);
    assert.deepEqual(
      all.events.of("request-finished").slice(-2).map(({ errorType }) => errorType),
      [
        "tool_error",
        "tool_error",
      ],
    );
    await all.handler.close();
  });

  test("[MID-2] refusing initialize begins no session", async () => {
    const handler = createMcpHandler(server(), {
      middleware: [({ method }, next) => {
        if (method === "initialize") throw new McpError(-32602, "Not today");
        return next();
      }],
    });
    const response = await (await fetchInitialize(handler)).json();
    assert.equal(response.error.code, -32602);
    assert.equal(handler.sessions.size, 0);
    await handler.close();
  });

  test("[MID-3] the handler runs synchronously inside next()", async () => {
    const storage = new AsyncLocalStorage<string>();
    const made = new McpServer({ name: "storing", version: "1.0.0" });
    made.registerTool("inside", {}, () => String(storage.getStore()));
    const handler = createMcpHandler(made, {
      middleware: [(exchange, next) => storage.run(`for ${exchange.principal.id}`, next)],
    });
    const peer = await initialize(handler);
    assert.equal(textOf(await peer.result(await peer.call(1, "inside"))), "for anonymous");
    const modern = new ModernPeer(handler);
    assert.equal(textOf(await modern.say("inside")), "for anonymous");
    await handler.close();
  });

  test("[MID-3] next() runs nothing for a call that was cancelled meanwhile", async () => {
    const [entered, go, left] = [new Gate<Exchange>(), new Gate(), new Gate<unknown>()];
    const slow: Middleware = async (exchange, next) => {
      if (exchange.method !== "tools/call") return next();
      entered.open(exchange);
      await go.promise;
      return await (async () => await next())().catch((error) => {
        left.open(error);
        throw error;
      });
    };
    const { handler, peer, ran, events } = await world([slow]);
    const response = peer.call(9, "look", { path: "/a" });
    await soon(entered.promise);
    await peer.cancel(9);
    go.open();
    const error = await soon(left.promise);
    assert.ok(error instanceof StopError && error.kind === "cancelled");
    await response;
    assert.deepEqual(ran, []);
    assert.equal(events.of("request-cancelled").length, 1);
    assert.equal(events.of("request-finished").at(-1)?.errorType, "cancelled");
    await handler.close();
  });

  test("[MID-3] mistakes are errors that name the middleware, and stay secret", async () => {
    const wrong: readonly (readonly [string, Middleware, RegExp])[] = [
      [
        "twice",
        async (_, next) => (await next(), await next()),
        /Call next\(\) once in middleware\[0\]/,
      ],
      [
        "nothing",
        (() => undefined) as unknown as Middleware,
        /Return a result from middleware\[0\]/,
      ],
      ["no object", (_, next) => next(5 as unknown as JsonObject), /object of parameters to next/],
      ["throws", () => {
        throw new Error("database password: x");
      }, /database password/],
    ];
    for (const [name, middleware, expected] of wrong) {
      const events = new Events();
      const handler = createMcpHandler(server(), {
        onEvent: events.onEvent,
        middleware: [
          (exchange, next) =>
            exchange.method === "tools/call" ? middleware(exchange, next) : next(),
        ],
      });
      const peer = await initialize(handler);
      const { error } = await (await peer.call(1, "look", { path: "/" })).json();
      assert.deepEqual(error, { code: -32603, message: "Internal error" }, name);
      assert.match(String(events.of("error").at(-1)?.error), expected);
      await handler.close();
    }
    assert.throws(() => createMcpHandler(server(), { middleware: [5 as never] }), /"middleware"/);
    assert.throws(() => createMcpHandler(server(), { middleware: {} as never }), /"middleware"/);
    assert.throws(() => onToolCall(5 as never), /onToolCall/);
  });
});

describe("MID: what a rewrite can't get around", () => {
  test("[MID-4] a renamed tool passes its own scopes", async () => {
    const all = await world([renamed("look", "purge"), renamed("peek", "look")]);
    const { peer, modern, ran } = all;
    for (
      const response of [await peer.call(1, "look", { path: "/a" }), await modern.call("look")]
    ) {
      assert.equal(response.status, 403);
      assert.match(response.headers.get("www-authenticate") ?? "", /scope="admin"/);
      await response.body?.cancel();
    }
    assert.deepEqual(ran, []);
    await all.handler.close();
  });

  test("[MID-4] a renamed tool passes authorize, and a hidden one stays unknown", async () => {
    const asked: string[] = [];
    const all = await world([renamed("look", "secret"), renamed("peek", "look")], {
      authorize: (_, { method, params }) => {
        if (method === "tools/call") asked.push(String(params.name));
        return params.name !== "secret";
      },
    });
    const [hidden, unknown] = [await refusedBoth(all, "look"), await refusedBoth(all, "nothing")];
    assert.deepEqual(hidden, unknown);
    assert.deepEqual(asked.splice(0), ["look", "secret", "look", "secret", "nothing", "nothing"]);
    assert.deepEqual(all.ran, []);
    assert.ok(all.events.of("refused").some(({ reason }) => reason === "hidden"));
    // The other renamer's target may be used.
    assert.deepEqual((await callBoth(all, "peek")).map(textOf), ["look /a", "look /a"]);
    await all.handler.close();
  });

  test("[MID-4] a hidden request doesn't reach middleware, nor does a result of it show the hidden", async () => {
    const names: unknown[] = [];
    const leaking: Middleware = async (exchange, next) => {
      names.push(exchange.params.name);
      const result = await next();
      if (exchange.method !== "tools/list" || !Array.isArray(result.tools)) return result;
      return {
        ...result,
        tools: [...result.tools, { name: "secret", inputSchema: { type: "object" } }],
      };
    };
    const all = await world([leaking], { authorize: (_, { params }) => params.name !== "secret" });
    await refusedBoth(all, "secret");
    const { tools } = await all.peer.result(await all.peer.request(3, "tools/list"));
    const listed = Array.isArray(tools) ? tools.map((tool) => isObject(tool) && tool.name) : [];
    assert.ok(listed.includes("look") && !listed.includes("secret"));
    assert.ok(!names.includes("secret"));
    await all.handler.close();
  });

  test("[MID-4] approval is asked for what runs, and given for it alone", async () => {
    let suffix = "1";
    const rewriting = onToolCall((call, next) =>
      next({ name: "delete", arguments: { path: `${call.arguments.path}${suffix}` } })
    );
    const { handler, modern, ran } = await world([rewriting]);
    const first = await modern.say("look", { path: "/" });
    const [question] = Object.entries(questionsOf(first));
    assert.ok(question);
    assert.match(JSON.stringify(question[1]), /\/1/);
    const retry = { requestState: stateOf(first), inputResponses: { [question[0]]: YES } };
    suffix = "2";
    const { code } = await modern.error(await modern.call("look", { path: "/" }, retry));
    assert.equal(code, -32602);
    suffix = "1";
    assert.equal(textOf(await modern.say("look", { path: "/" }, retry)), "delete /1");
    assert.deepEqual(ran, ["delete /1"]);
    await handler.close();
  });
});

describe("MID: where it applies", () => {
  test("[MID-5] each round of a 2026 request passes it", async () => {
    const rounds: string[] = [];
    const { handler, modern } = await world([async (exchange, next) => {
      const before = exchange.method;
      try {
        const result = await next();
        rounds.push(`${before} ${result.resultType}`);
        return result;
      } catch (error) {
        rounds.push(`${before} ${error instanceof StopError ? error.kind : error}`);
        throw error;
      }
    }]);
    rounds.length = 0;
    const first = await modern.say("delete", { path: "/a" });
    const [key = ""] = Object.keys(questionsOf(first));
    const retry = { requestState: stateOf(first), inputResponses: { [key]: YES } };
    assert.equal(textOf(await modern.say("delete", { path: "/a" }, retry)), "delete /a");
    assert.deepEqual(rounds, ["tools/call input-required", "tools/call complete"]);
    await handler.close();
  });

  test("[MID-5] the run of a task passes it too, once the call has", async () => {
    const seen: string[] = [];
    const ended = new Gate();
    const made = new McpServer({ name: "tasks", version: "1.0.0" });
    made.use(tasks());
    const inputSchema = z.object({ path: z.string() });
    made.registerTool("slow", { inputSchema, task: "optional" }, ({ path }) => path);
    const redacting = onToolCall(async ({ name, exchange, arguments: { path } }, next) => {
      const result = await next({ arguments: { path: `${path}!` } });
      seen.push(`${name} ${path} ${exchange.task === undefined ? "call" : "run"}`);
      if (exchange.task !== undefined) ended.open();
      return result.content === undefined
        ? result
        : { ...result, content: [{ type: "text", text: `${textOf(result)} redacted` }] };
    });
    const handler = createMcpHandler(made, { middleware: [redacting] });
    const capabilities = { extensions: { "io.modelcontextprotocol/tasks": {} } };
    const modern = new ModernPeer(handler, { capabilities });
    const { result: { taskId } } = await (await modern.call("slow", { path: "/a" })).json();
    await soon(ended.promise);
    const params = { taskId };
    const headers = { "mcp-name": String(taskId) };
    const task = await (await modern.request("tasks/get", params, { headers })).json();
    assert.equal(textOf(task.result.result), "/a! redacted");
    assert.deepEqual(seen.toSorted(), ["slow /a call", "slow /a! run"].toSorted());
    await handler.close();
  });

  test("[MID-5] a listen passes it: refused, answered, or opened with another filter", async () => {
    const wanted = { toolsListChanged: true, promptsListChanged: true };
    let act: Middleware = (_, next) => next();
    const { handler, modern } = await world([
      (exchange, next) => exchange.method === "subscriptions/listen" ? act(exchange, next) : next(),
    ]);
    act = () => {
      throw new McpError(-32602, "Not today");
    };
    const refused = await modern.request("subscriptions/listen", { notifications: wanted });
    assert.equal((await modern.error(refused, "subscriptions/listen")).code, -32602);
    assert.equal(handler.stats().listens, 0);
    act = (exchange, next) =>
      next({ ...exchange.params, notifications: { toolsListChanged: true } });
    const opened = await modern.request("subscriptions/listen", { notifications: wanted });
    const frames = modern.frames(opened, "subscriptions/listen");
    const first = await frames.message();
    assert.ok(isObject(first?.params));
    assert.deepEqual(first.params.notifications, { toolsListChanged: true });
    await frames.cancel();
    act = async (_, next) => {
      await next();
      throw new McpError(-32602, "Too late");
    };
    const late = await modern.request("subscriptions/listen", { notifications: wanted });
    assert.equal((await modern.error(late, "subscriptions/listen")).code, -32602);
    assert.equal(handler.stats().listens, 0);
    await handler.close();
  });
});

async function fetchInitialize(
  handler: (request: Request) => Promise<Response>,
): Promise<Response> {
  return await handler(
    new Request("http://localhost/mcp", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "initialize",
        params: {
          protocolVersion: "2025-11-25",
          capabilities: {},
          clientInfo: { name: "wire-test", version: "1.0.0" },
        },
      }),
    }),
  );
}
