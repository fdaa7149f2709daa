/**
 * Two tools in place of many, and upstreams that wait until they are asked for.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { audit } from "../../src/audit/mod.ts";
import { onToolCall } from "../../src/calls/middleware/on_tool_call.ts";
import { Forbidden } from "../../src/auth/errors.ts";
import { gateway, type GatewayOptions, lazy, local } from "../../src/gateway/mod.ts";
import type { ViewOptions } from "../../src/gateway/gateway.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../src/server/server.ts";
import { ModernPeer, questionsOf, stateOf } from "../support/modern.ts";
import { as, byToken, Events, Gate, initialize, textOf } from "../support/wire.ts";
import { dispatch } from "../../src/protocol/route.ts";
import { FakeUpstream, GatewayExchange, GatewayHost, sessionOf, tools } from "./core_support.ts";

const NAMES = ["search_tools", "call_tool"];

/** A server of notes, with a tool of every kind. */
function notes(): McpServer {
  const server = new McpServer({ name: "notes", version: "1.0.0" });
  server.registerTool("create_note", {
    description: "Writes a note",
    inputSchema: z.object({ title: z.string().describe("What it is about") }),
    outputSchema: z.object({ title: z.string() }),
  }, ({ title }) => ({ structuredContent: { title } }));
  server.registerTool("purge_notes", { description: "Deletes all notes" }, () => "Purged");
  server.registerTool("share", { scopes: ["notes:share"] }, () => "Shared");
  server.registerTool("ask", { description: "Asks the user" }, async (_, context) => {
    const answer = await context.elicit("who", {
      message: "Really?",
      schema: z.object({ name: z.string() }),
    });
    return `Said ${JSON.stringify(answer)}`;
  });
  return server;
}

interface World {
  readonly view?: ViewOptions;
  readonly handler?: McpHandlerOptions;
  readonly gateway?: GatewayOptions;
}

function world(given: World = {}) {
  const events = new Events();
  const gw = gateway({ upstreams: { notes: local(notes()) }, ...given.gateway });
  const handler = createMcpHandler(gw.view(given.view ?? { toolSearch: true }), {
    authenticate: byToken,
    onEvent: events.onEvent,
    ...given.handler,
  });
  const close = async () => {
    await handler.close();
    await gw.close();
  };
  return { gw, handler, events, close };
}

/** The names in a list of tools. */
function namesIn({ tools }: JsonObject): unknown[] {
  assert.ok(Array.isArray(tools));
  return tools.map(({ name }) => name);
}

/** What a search says. */
function foundIn(result: JsonObject): JsonObject {
  assert.notEqual(result.isError, true, JSON.stringify(result));
  const found: unknown = JSON.parse(String(textOf(result)));
  assert.ok(isObject(found));
  return found;
}

/** Calls tools, in one of the eras. */
type Caller = (name: string, args?: JsonObject) => Promise<Response>;

/** Runs a test with a client of each era. */
async function inBothEras(
  fetch: (request: Request) => Promise<Response>,
  user: string,
  run: (call: Caller, list: () => Promise<JsonObject>) => Promise<void>,
): Promise<void> {
  const peer = await initialize(fetch, { headers: as(user) });
  let id = 0;
  await run(
    (name, args) => peer.call(++id, name, args),
    async () => await peer.result(await peer.request(++id, "tools/list")),
  );
  const modern = new ModernPeer(fetch, { headers: as(user) });
  await run((name, args) => modern.call(name, args), () => modern.ask("tools/list"));
}

/** The message that ends a response, without what differs from one request to the next. */
async function bodyOf(response: Response): Promise<string> {
  const body = await response.text();
  return `${response.status} ${body.replace(/"id":\d+/, '"id":0')}`;
}

async function resultOf(response: Promise<Response>): Promise<JsonObject> {
  const body = await (await response).text();
  const line = body.split("\n").findLast((line) => /^(?:data: ?)?\{/.test(line)) ?? "";
  const { result, error } = JSON.parse(line.replace(/^data: ?/, ""));
  assert.ok(isObject(result), JSON.stringify(error));
  return result;
}

/** A tool as large as published ones usually are. */
function definition(server: number, nth: number): JsonObject {
  const property = (about: string) => ({ type: "string", description: `${about} of item ${nth}` });
  return {
    name: `tool_${nth}_of_${server}`,
    description:
      `Does the ${nth}th thing that server ${server} can do. Use it when the user asks for ` +
      "that, and not for anything else. Returns what has been done as text.",
    inputSchema: {
      type: "object",
      properties: {
        id: property("The identifier"),
        name: property("The name"),
        tags: property("Tags"),
      },
      required: ["id"],
    },
  };
}

describe("SRCH: two tools in place of many", () => {
  test("[SRCH-1] 186 tools of 12 servers are less than a tenth of the bytes, with a search too", async () => {
    const upstreams = Object.fromEntries(
      Array.from({ length: 12 }, (_, server) => {
        const count = server < 6 ? 16 : 15;
        const list = Array.from({ length: count }, (_, nth) => definition(server, nth));
        return [
          `server-${server}`,
          new FakeUpstream({ answers: { "tools/list": () => ({ tools: list }) } }),
        ];
      }),
    );
    const gw = gateway({ upstreams });
    const init = { session: sessionOf("a"), pageSize: 1000 };
    const ask = async (searches: boolean, method: string, params: JsonObject) =>
      await dispatch(gw.view({ toolSearch: searches }), new GatewayExchange(method, params, init));
    const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value)).length;
    const whole = await ask(false, "tools/list", {});
    assert.equal(namesIn(whole).length, 186);
    const short = await ask(true, "tools/list", {});
    assert.deepEqual(namesIn(short), NAMES);
    const found = await ask(true, "tools/call", {
      name: "search_tools",
      arguments: { query: "7th thing that server 3 can do" },
    });
    assert.equal(namesIn(foundIn(found))[0], "server-3__tool_7_of_3");
    assert.ok(10 * bytes(short) < bytes(whole), `${bytes(short)} of ${bytes(whole)}`);
    const both = bytes(short) + bytes(found);
    assert.ok(10 * both < bytes(whole), `${both} of ${bytes(whole)}`);
    await gw.close();
  });

  test("[SRCH-1] only the two are listed, for each view; prompts and resources stay", async () => {
    for (const view of [{ toolSearch: true }, { toolSearch: true, only: "notes" }] as const) {
      const { handler, gw, close } = world({ view });
      assert.equal(gw.view(view), gw.view(view));
      await inBothEras(handler.fetch, "ada", async (call, list) => {
        assert.deepEqual(namesIn(await list()), NAMES);
        const prefix = "only" in view ? "" : "notes__";
        const search = call("search_tools", { query: "write a note" });
        const [first] = foundIn(await resultOf(search)).tools as JsonObject[];
        assert.equal(first?.name, `${prefix}create_note`);
        assert.ok(isObject(first.inputSchema) && isObject(first.inputSchema.properties));
        const name = `${prefix}create_note`;
        const result = await resultOf(call("call_tool", { name, arguments: { title: "Tea" } }));
        assert.deepEqual(result.structuredContent, { title: "Tea" });
      });
      await close();
    }
    const gw = gateway({ upstreams: { notes: local(notes()) } });
    assert.equal(gw.view(), gw);
    assert.equal(gw.view({ only: "notes" }), gw.only("notes"));
    assert.throws(() => gw.view({ only: "no" }), /Add the upstream first/);
    assert.throws(
      () => gw.view({ toolSearch: 1 as unknown as true }),
      /Give a boolean as "toolSearch"/,
    );
    await gw.close();
  });

  test("[SRCH-2] mistakes in the arguments say how to mend them", async () => {
    const { handler, close } = world();
    const cases: readonly [string, JsonObject, RegExp][] = [
      ["search_tools", { query: 1 }, /Fix "query": give a string/],
      ["search_tools", { server: 1 }, /Fix "server": give a string/],
      ["search_tools", { limit: 0 }, /Fix "limit": give a whole number from 1 to 50/],
      ["search_tools", { server: "nobody" }, /Unknown server: "nobody"/],
      ["call_tool", {}, /Fix "name"/],
      ["call_tool", { name: "notes__create_note", arguments: "{}" }, /Fix "arguments"/],
    ];
    await inBothEras(handler.fetch, "ada", async (call) => {
      for (const [name, args, expected] of cases) {
        const result = await resultOf(call(name, args));
        assert.equal(result.isError, true);
        assert.match(String(textOf(result)), expected);
      }
    });
    await close();
  });

  test("[SRCH-2] without a query tools are named only, of all servers or of one", async () => {
    const { handler, close } = world();
    await inBothEras(handler.fetch, "ada", async (call) => {
      for (const args of [{}, { server: "notes" }]) {
        const { tools } = foundIn(await resultOf(call("search_tools", args)));
        assert.deepEqual(tools, [
          { name: "notes__create_note", description: "Writes a note" },
          { name: "notes__purge_notes", description: "Deletes all notes" },
          { name: "notes__share" },
          { name: "notes__ask", description: "Asks the user" },
        ]);
      }
      const one = foundIn(await resultOf(call("search_tools", { limit: 1 })));
      assert.deepEqual([namesIn(one), one.more], [["notes__create_note"], 3]);
    });
    await close();
  });

  test("[SRCH-3] a call has the result of a direct one: data, mistakes, unknown names", async () => {
    const { handler, close } = world();
    await inBothEras(handler.fetch, "ada", async (call) => {
      for (
        const [name, args] of [
          ["notes__create_note", { title: "Tea" }],
          ["notes__create_note", { title: 1 }],
          ["notes__create_note", {}],
          ["notes__nothing", {}],
          ["nobody__nothing", {}],
          ["nothing", {}],
          ["notes__share", {}],
        ] as const
      ) {
        const direct = await bodyOf(await call(name, args));
        const found = await bodyOf(await call("call_tool", { name, arguments: args }));
        assert.equal(found, direct);
      }
      const refused = await call("call_tool", { name: "notes__share" });
      assert.equal(refused.status, 403);
      await refused.body?.cancel();
      // The two tools don't call each other.
      assert.match(await bodyOf(await call("call_tool", { name: "call_tool" })), /Unknown tool/);
    });
    await close();
  });

  test("[SRCH-3] middleware, events and the audit trail see the tool that is called", async () => {
    const seen: string[] = [];
    const lines: string[] = [];
    const trail = audit({ write: async (text) => void lines.push(text) });
    const events = new Events();
    const { handler, close } = world({
      handler: {
        onEvent: (event) => {
          events.onEvent(event);
          trail.onEvent(event);
        },
        middleware: [
          onToolCall(({ name, arguments: args }, next) => {
            seen.push(`${name} ${JSON.stringify(args)}`);
            return name === "alias"
              ? next({ name: "call_tool", arguments: { name: "notes__purge_notes" } })
              : next();
          }),
          onToolCall(({ name }, next) => {
            seen.push(name);
            return next();
          }),
        ],
      },
    });
    await inBothEras(handler.fetch, "ada", async (call, list) => {
      seen.length = 0;
      await list();
      await resultOf(call("search_tools", { query: "note" }));
      const { tool: search } = events.of("request-finished").at(-1) ?? {};
      assert.equal(search, "search_tools");
      const name = "notes__create_note";
      await resultOf(call("call_tool", { name, arguments: { title: "Tea" } }));
      const { tool, upstream, outcome } = events.of("request-finished").at(-1) ?? {};
      assert.deepEqual([tool, upstream, outcome], [name, "notes", "result"]);
      assert.equal(events.of("request-started").at(-1)?.tool, name);
      assert.equal(textOf(await resultOf(call("alias"))), "Purged");
      assert.equal(events.of("request-finished").at(-1)?.tool, "notes__purge_notes");
      assert.deepEqual(seen, [
        'search_tools {"query":"note"}',
        "search_tools",
        'notes__create_note {"title":"Tea"}',
        name,
        "alias {}",
        "notes__purge_notes",
      ]);
    });
    await trail.close();
    assert.ok(lines.join("").includes('"notes__create_note"'));
    assert.ok(!lines.join("").includes("call_tool"));
    await close();
  });

  test("[SRCH-3] the Mcp-Name header is what the client has called", async () => {
    const { handler, close } = world();
    const modern = new ModernPeer(handler.fetch, { headers: as("ada") });
    const call = (name: string) =>
      modern.call("call_tool", { name: "notes__purge_notes" }, {}, {
        headers: { "mcp-name": name },
      });
    assert.equal((await modern.error(await call("notes__purge_notes"))).code, -32020);
    assert.equal(textOf(await modern.result(await call("call_tool"))), "Purged");
    await close();
  });

  test("[SRCH-3] in a batch each call is the one that it stands for", async () => {
    const { handler, events, close } = world();
    const peer = await initialize(handler.fetch, { headers: as("ada"), version: "2025-03-26" });
    const call = (id: number, name: string) => ({
      jsonrpc: "2.0",
      id,
      method: "tools/call",
      params: { name: "call_tool", arguments: { name } },
    });
    const response = await peer.post([call(1, "notes__purge_notes"), call(2, "notes__gone")]);
    const body = await response.text();
    assert.match(body, /Purged/);
    assert.match(body, /Unknown tool/);
    const called = events.of("request-finished").flatMap(({ tool }) => tool ?? []);
    assert.deepEqual(called, ["notes__purge_notes"]);
    await close();
  });

  test("[SRCH-3] progress, cancellation and questions pass", async () => {
    const stopped = new Gate<string>();
    const slow = new FakeUpstream({
      answers: tools({
        work: async (call) => {
          call.notify({
            method: "notifications/progress",
            params: { progressToken: "p", progress: 1 },
          });
          return { content: [{ type: "text", text: "Done" }] };
        },
        hang: (call) =>
          new Promise((_, reject) =>
            call.signal.addEventListener("abort", () => {
              stopped.open("stopped");
              reject(call.signal.reason);
            })
          ),
      }),
    });
    const { handler, close } = world({
      gateway: { upstreams: { notes: local(notes()), slow } },
    });
    const call = (name: string) => ({ name: "call_tool", arguments: { name } });
    const peer = await initialize(handler.fetch, {
      headers: as("ada"),
      capabilities: { elicitation: {} },
    });
    const progressing = peer.frames(
      await peer.request(1, "tools/call", {
        ...call("slow__work"),
        _meta: { progressToken: "p" },
      }),
    );
    const [progress, done] = await progressing.messages();
    assert.deepEqual(progress?.params, { progressToken: "p", progress: 1 });
    assert.equal(textOf(done?.result), "Done");
    const hanging = peer.request(2, "tools/call", call("slow__hang"));
    hanging.catch(() => {});
    const called = () => slow.sessions.some(({ calls }) => calls.at(-1)?.params.name === "hang");
    while (!called()) await new Promise((resolve) => setTimeout(resolve, 5));
    await peer.cancel(2);
    assert.equal(await stopped.promise, "stopped");

    const modern = new ModernPeer(handler.fetch, {
      headers: as("ada"),
      capabilities: { elicitation: { form: {} } },
    });
    const args = { name: "notes__ask", arguments: {} };
    const asked = await modern.say("call_tool", args);
    const [key = ""] = Object.keys(questionsOf(asked));
    const said = await modern.say("call_tool", args, {
      requestState: stateOf(asked),
      inputResponses: { [key]: { action: "accept", content: { name: "Ada" } } },
    });
    assert.match(String(textOf(said)), /Ada/);
    await close();
  });

  test("[SRCH-4] what is hidden is neither found nor called, and changes nothing", async () => {
    const asked: string[] = [];
    const { handler, close } = world({
      gateway: { upstreams: { notes: local(notes()), secret: local(notes()) } },
      handler: {
        authorize: ({ id }, { method, params: { name } }) => {
          if (method === "tools/list") return id !== "nobody";
          if (method !== "tools/call") return true;
          asked.push(String(name));
          if (name === "notes__ask") throw new Forbidden("More", { scopes: ["ask"] });
          return name === "notes__create_note" || name === "notes__share";
        },
      },
    });
    await inBothEras(handler.fetch, "ada", async (call, list) => {
      const listed = await list();
      assert.deepEqual(namesIn(listed), NAMES);
      assert.doesNotMatch(JSON.stringify(listed), /secret/);
      for (const query of ["delete all notes", "notes__purge_notes", "secret", ""]) {
        const found = foundIn(await resultOf(call("search_tools", { query })));
        assert.doesNotMatch(JSON.stringify(found), /purge|secret/);
        assert.ok(!("more" in found) && !("notSearched" in found));
      }
      const inServer = async (server: string) =>
        (await bodyOf(await call("search_tools", { server }))).replace(server, "S");
      assert.equal(await inServer("secret"), await inServer("nobody"));
      const unknown = async (name: string) =>
        (await bodyOf(await call("call_tool", { name }))).replace(name, "T");
      assert.equal(await unknown("notes__purge_notes"), await unknown("notes__gone"));
      assert.equal(await unknown("secret__share"), await unknown("nobody__share"));
      for (const name of ["notes__purge_notes", "notes__ask", "notes__create_note"]) {
        const direct = await bodyOf(await call(name));
        assert.equal(await bodyOf(await call("call_tool", { name })), direct);
      }
      assert.match(await bodyOf(await call("call_tool", { name: "notes__ask" })), /^403/);
    });
    assert.ok(!asked.some((name) => NAMES.includes(name)));
    await inBothEras(handler.fetch, "nobody", async (call) => {
      const unknown = await bodyOf(await call("gone"));
      const search = await bodyOf(await call("search_tools", { query: "note" }));
      assert.equal(search.replace("search_tools", "gone"), unknown);
    });
    await close();
  });

  test("[SRCH-4] a dispatcher around it can't skip authorization", async () => {
    const gw = gateway({ upstreams: { notes: local(notes()) } });
    const view = gw.view({ toolSearch: true });
    const call = { name: "call_tool", arguments: { name: "notes__purge_notes" } };
    const mayUse = (_: string, name: string) => name !== "notes__purge_notes";
    const init = { session: sessionOf("a"), mayUse };
    await assert.rejects(
      async () => await dispatch(view, new GatewayExchange("tools/call", call, init)),
      /Unknown tool: "notes__purge_notes"/,
    );
    await gw.close();
  });

  test("[SRCH-3] behind another gateway it works as well", async () => {
    const inner = gateway({ upstreams: { notes: local(notes()) } });
    const { handler, close } = world({
      gateway: { upstreams: { inner: local(inner.view({ toolSearch: true })) } },
      view: {},
    });
    await inBothEras(handler.fetch, "ada", async (call, list) => {
      assert.deepEqual(namesIn(await list()), NAMES.map((name) => `inner__${name}`));
      const args = { name: "notes__purge_notes" };
      assert.equal(textOf(await resultOf(call("inner__call_tool", args))), "Purged");
    });
    await close();
    await inner.close();
  });

  test("[SRCH-6] a changed list of an upstream is searched as it is", async () => {
    let names = ["first"];
    const upstream = new FakeUpstream({
      capabilities: { tools: { listChanged: true } },
      answers: {
        "tools/list": () => ({
          tools: names.map((name) => ({ name, inputSchema: { type: "object" } })),
        }),
      },
    });
    const gw = gateway({ upstreams: { up: upstream } });
    const view = gw.view({ toolSearch: true });
    const host = new GatewayHost();
    view.attach?.(host);
    const search = async () => {
      const params = { name: "search_tools", arguments: { query: "first second" } };
      const init = { session: sessionOf("a") };
      return namesIn(
        foundIn(await dispatch(view, new GatewayExchange("tools/call", params, init))),
      );
    };
    assert.deepEqual(await search(), ["up__first"]);
    names = ["second"];
    assert.deepEqual(await search(), ["up__first"]);
    upstream.session().opened.downstream.notified({
      method: "notifications/tools/list_changed",
    });
    assert.deepEqual(await search(), ["up__second"]);
    await gw.remove("up");
    assert.deepEqual(await search(), []);
    await gw.close();
  });

  test("[SRCH-6] a search reads 10,000 tools, and names the servers that have more", async () => {
    const many = (count: number) =>
      new FakeUpstream({
        answers: {
          "tools/list": () => ({
            tools: Array.from({ length: count }, (_, nth) => ({
              name: `t${nth}`,
              inputSchema: { type: "object" },
            })),
          }),
        },
      });
    const gw = gateway({
      upstreams: { a: many(6000), b: many(6000), c: many(10) },
      limits: { listEntries: 6000 },
    });
    const ask = async (args: JsonObject) => {
      const params = { name: "search_tools", arguments: args };
      const init = { session: sessionOf("a") };
      const view = gw.view({ toolSearch: true });
      return foundIn(await dispatch(view, new GatewayExchange("tools/call", params, init)));
    };
    assert.deepEqual(
      await ask({ query: "t5" }).then(({ tools, notSearched }) => [
        (tools as JsonObject[]).map(({ name }) => name),
        notSearched,
      ]),
      [["a__t5", "c__t5"], ["b"]],
    );
    assert.equal(namesIn(await ask({ query: "t5999", server: "b" }))[0], "b__t5999");
    const named = await ask({});
    assert.deepEqual([namesIn(named).length, named.more], [200, 5810]);
    await gw.close();
  });

  test("[SRCH-6] a result is bounded: what has no room is counted", async () => {
    const upstream = new FakeUpstream({
      answers: {
        "tools/list": () => ({
          tools: Array.from({ length: 10 }, (_, nth) => ({
            name: `large${nth}`,
            description: `note ${"x".repeat(30_000)}`,
            inputSchema: { type: "object" },
          })),
        }),
      },
    });
    const gw = gateway({ upstreams: { up: upstream } });
    const params = { name: "search_tools", arguments: { query: "note", limit: 10 } };
    const init = { session: sessionOf("a") };
    const view = gw.view({ toolSearch: true });
    const found = foundIn(await dispatch(view, new GatewayExchange("tools/call", params, init)));
    assert.deepEqual([namesIn(found).length, found.more], [2, 8]);
    await gw.close();
  });
});

describe("SRCH: upstreams that wait until they are asked for", () => {
  function lazyWorld(given: World = {}) {
    let starts = 0;
    const billing = new FakeUpstream({
      capabilities: { tools: {}, prompts: {} },
      instructions: "Bill kindly",
      opening: () => void starts++,
      answers: {
        ...tools({ pay: () => ({ content: [{ type: "text", text: "Paid" }] }) }),
        "prompts/list": () => ({ prompts: [{ name: "thank" }] }),
      },
    });
    const upstreams = { notes: local(notes()), billing: lazy(billing) };
    const made = world({ view: {}, ...given, gateway: { upstreams } });
    return { ...made, starts: () => starts };
  }

  test("[SRCH-5] one is neither started nor listed until it is asked for", async () => {
    const { handler, starts, close } = lazyWorld();
    const peer = await initialize(handler.fetch, { headers: as("ada") });
    const list = async (method: string) => await peer.result(await peer.request(1, method));
    const call = async (name: string, args: JsonObject) =>
      await peer.result(await peer.call(1, name, args));
    const listed = await list("tools/list");
    assert.deepEqual(namesIn(listed).slice(0, 3), [...NAMES, "notes__create_note"]);
    assert.match(JSON.stringify(listed), /Servers: billing\./);
    await list("prompts/list");
    await list("resources/list");
    const before = foundIn(await call("search_tools", { query: "pay" }));
    assert.deepEqual(before, { tools: [], notSearched: ["billing"] });
    assert.equal(starts(), 0);

    const found = foundIn(await call("search_tools", { query: "pay", server: "billing" }));
    assert.deepEqual(namesIn(found), ["billing__pay"]);
    assert.equal(starts(), 1);
    assert.deepEqual(namesIn(foundIn(await call("search_tools", { query: "pay" }))), [
      "billing__pay",
    ]);
    assert.equal(textOf(await call("call_tool", { name: "billing__pay" })), "Paid");
    // Its tools stay where they are found; its prompts are listed now.
    assert.ok(!namesIn(await list("tools/list")).includes("billing__pay"));
    const { prompts } = await list("prompts/list");
    assert.deepEqual(prompts, [{ name: "billing__thank" }]);
    await close();
  });

  test("[SRCH-5] a call starts it, and its client is told of its prompts", async () => {
    const { handler, starts, close } = lazyWorld();
    const peer = await initialize(handler.fetch, { headers: as("ada") });
    const stream = await peer.listen();
    assert.equal(starts(), 0);
    const result = await peer.result(await peer.call(1, "billing__pay"));
    assert.deepEqual([textOf(result), starts()], ["Paid", 1]);
    const message = await stream.message();
    assert.equal(message?.method, "notifications/prompts/list_changed");
    await stream.cancel();
    await close();
  });

  test("[SRCH-5] it is the same for clients of 2026, and where all tools are found", async () => {
    for (const view of [{}, { toolSearch: true }] as const) {
      const { handler, starts, close } = lazyWorld({ view });
      const modern = new ModernPeer(handler.fetch, { headers: as("ada") });
      await modern.ask("server/discover");
      await modern.ask("tools/list");
      const search = async (args: JsonObject) => foundIn(await modern.say("search_tools", args));
      assert.deepEqual((await search({ query: "pay" })).notSearched, ["billing"]);
      assert.equal(starts(), 0);
      assert.deepEqual(namesIn(await search({ query: "pay", server: "billing" })), [
        "billing__pay",
      ]);
      assert.equal(textOf(await modern.say("call_tool", { name: "billing__pay" })), "Paid");
      assert.equal(starts(), 1);
      await close();
    }
  });

  test("[SRCH-5] alone it is like any other", async () => {
    const { handler, starts, close } = lazyWorld({ view: { only: "billing" } });
    await inBothEras(handler.fetch, "ada", async (call, list) => {
      assert.deepEqual(namesIn(await list()), ["pay"]);
      assert.match(await bodyOf(await call("search_tools")), /Unknown tool|No such tool/);
    });
    assert.ok(starts() > 0);
    await close();
  });

  test("[SRCH-5] what may not be seen of it isn't found", async () => {
    const { handler, close } = lazyWorld({
      handler: { authorize: (_, { params: { name } }) => !String(name).startsWith("billing__") },
    });
    await inBothEras(handler.fetch, "ada", async (call) => {
      const found = await resultOf(call("search_tools", { server: "billing" }));
      assert.deepEqual(foundIn(found), { tools: [] });
      const unknown = async (name: string) =>
        (await bodyOf(await call("call_tool", { name }))).replace(name, "T");
      assert.equal(await unknown("billing__pay"), await unknown("billing__gone"));
    });
    await close();
  });

  test("[SRCH-5] without one, no tool is added", async () => {
    const { handler, gw, close } = world({ view: {} });
    await inBothEras(handler.fetch, "ada", async (call, list) => {
      assert.ok(!namesIn(await list()).includes("search_tools"));
      assert.match(await bodyOf(await call("search_tools")), /Unknown tool/);
      const name = "notes__purge_notes";
      assert.match(await bodyOf(await call("call_tool", { name })), /Unknown tool: \\"call_tool/);
    });
    assert.throws(() => lazy({} as Parameters<typeof lazy>[0]), /Give an upstream to lazy/);
    await gw.set("notes", lazy(local(notes())));
    await inBothEras(handler.fetch, "ada", async (_, list) => {
      assert.deepEqual(namesIn(await list()), NAMES);
    });
    await close();
  });
});
