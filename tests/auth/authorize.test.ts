import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { Forbidden, Unauthorized, Unavailable } from "../../src/auth/errors.ts";
import { protectedResource } from "../../src/auth/protected_resource.ts";
import type { Authorize } from "../../src/auth/authorize.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import { UnknownTool } from "./unknown_tool.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import type { Principal } from "../../src/protocol/exchange.ts";
import { McpServer } from "../../src/server/server.ts";
import { MODERN, ModernPeer } from "../support/modern.ts";
import { as, Events, initialize, Peer, refused, seen, Stub, text } from "../support/wire.ts";
import { dispatch } from "../../src/protocol/route.ts";

const SECRET = "purge";
const ROOT: Principal = { id: "root", scopes: ["notes:read", "admin"] };
const BEN: Principal = { id: "ben", scopes: ["notes:read"] };

/** A server with a tool that not everybody may know of, or the same without it. */
function makeServer(withSecret = true): McpServer {
  const server = new McpServer({ name: "notes", version: "1.0.0" });
  server.registerTool("look", { inputSchema: z.object({ id: z.number() }) }, () => "Looked");
  if (withSecret) {
    const inputSchema = z.object({ scope: z.string().meta({ "x-mcp-header": "Scope" }) });
    server.registerTool(SECRET, { inputSchema, approval: true }, () => "Purged");
  }
  server.registerTool("write", {}, () => "Written");
  server.registerPrompt("greet", {}, () => "Hello");
  return server;
}

const authenticate = ({ headers }: Request): Principal => {
  if (headers.get("authorization") === "Bearer root") return ROOT;
  if (headers.get("authorization") === "Bearer ben") return BEN;
  throw new Unauthorized();
};

/** Only root may call the secret tool. */
const hideSecret: Authorize = ({ id }, { method, params }) =>
  id === "root" || method !== "tools/call" || params.name !== SECRET;

function endpoint(options: McpHandlerOptions = {}, server = makeServer()): McpHandler {
  return createMcpHandler(server, { authenticate, authorize: hideSecret, ...options });
}

/** What a client sees, without what is random or of the moment. */
async function told(response: Response): Promise<unknown> {
  const { status, headers, body } = await seen(response);
  return { status, headers, body: body.replace(/^id: [^.\n]+/gm, "id: x") };
}

async function tools(fetch: McpHandler, who: string): Promise<string[]> {
  const peer = await initialize(fetch, { headers: as(who) });
  const result = await peer.result(await peer.request(1, "tools/list"));
  return namesOf(result);
}

function namesOf({ tools }: JsonObject): string[] {
  assert.ok(Array.isArray(tools));
  return tools.map((tool) => isObject(tool) ? String(tool.name) : "");
}

describe("AUTH: what is hidden isn't there", () => {
  test("[AUTH-5] a refused tool is not listed, in either era, and to others it is", async () => {
    for (const sync of [true, false]) {
      const authorize: Authorize = sync ? hideSecret : async (...args) => hideSecret(...args);
      const handler = endpoint({ authorize });
      assert.deepEqual(await tools(handler, "root"), ["look", SECRET, "write"]);
      assert.deepEqual(await tools(handler, "ben"), ["look", "write"]);
      const modern = new ModernPeer(handler, { headers: as("ben") });
      assert.deepEqual(namesOf(await modern.ask("tools/list")), ["look", "write"]);
      assert.deepEqual(
        namesOf(await modern.with({ headers: as("root") }).ask("tools/list")),
        ["look", SECRET, "write"],
      );
      await handler.close();
    }
  });

  const calls: [string, JsonObject][] = [
    ["without arguments", { name: SECRET }],
    ["with good arguments", { name: SECRET, arguments: { scope: "all" } }],
    ["with bad arguments", { name: SECRET, arguments: { scope: 1 } }],
    ["with arguments that are none", { name: SECRET, arguments: [] }],
    ["with a progress token", { name: SECRET, _meta: { progressToken: 1 } }],
    ["with answers", { name: SECRET, inputResponses: { a: { action: "accept" } } }],
    ["with a state that is no good", { name: SECRET, requestState: "x" }],
    ["with a state that is no text", { name: SECRET, requestState: 1 }],
  ];
  for (const [how, params] of calls) {
    test(`[AUTH-5] a call ${how} is answered byte for byte as if there were no such tool`, async () => {
      for (const accept of ["application/json", "text/event-stream", "*/*"]) {
        const answers: unknown[] = [];
        const without = endpoint({ authorize: undefined }, makeServer(false));
        for (const handler of [endpoint(), without]) {
          const peer = await initialize(handler, { headers: as("ben"), accept });
          const modern = new ModernPeer(handler, { headers: as("ben"), accept });
          answers.push([
            await told(await peer.request("a", "tools/call", params)),
            await told(await modern.post(modern.message("tools/call", params, 7))),
            // The tool has an argument that clients repeat in a header
            await told(
              await modern.post(modern.message("tools/call", params, 7), {
                headers: { "mcp-param-scope": "other" },
              }),
            ),
            await told(
              await modern.post(modern.message("tools/call", params, 7), {
                headers: { "mcp-name": "other" },
              }),
            ),
          ]);
          await handler.close();
        }
        assert.deepEqual(answers[0], answers[1]);
      }
    });
  }

  test("[AUTH-5] the words are those for an unknown tool, and cut like them", async () => {
    const handler = endpoint({ authorize: (_, { method }) => method !== "tools/call" });
    const peer = await initialize(handler, { headers: as("ben") });
    const long = "x".repeat(200);
    for (const name of [SECRET, "nothing", long]) {
      const { error } = await peer.json(await peer.call(1, name));
      const shown = name === long ? `${"x".repeat(100)}…` : name;
      assert.deepEqual(error, { code: -32602, message: `Unknown tool: "${shown}"` });
    }
    await handler.close();
  });

  test("[AUTH-5] it never runs, asks or reports; only the operator is told", async () => {
    const events = new Events();
    let runs = 0;
    const server = makeServer(false);
    server.registerTool(SECRET, {}, () => `${++runs}`);
    const handler = endpoint({ onEvent: events.onEvent }, server);
    const peer = await initialize(handler, { headers: as("ben") });
    const modern = new ModernPeer(handler, { headers: as("ben") });
    await peer.json(await peer.call(1, SECRET));
    await modern.error(await modern.call(SECRET));
    assert.equal(runs, 0);
    assert.deepEqual(events.refusals, ["hidden", "hidden"]);
    assert.deepEqual(events.of("error"), []);
    assert.equal(handler.stats().requests, 0);
    const root = await initialize(handler, { headers: as("root") });
    await root.result(await root.call(1, SECRET));
    assert.equal(runs, 1);
    await handler.close();
  });

  test("[AUTH-5] a request that is refused for another reason is reported with that one alone", async () => {
    const events = new Events();
    const authorize: Authorize = (_, { method }) => method === "initialize";
    const handler = endpoint({ authorize, onEvent: events.onEvent });
    const peer = await initialize(handler, { headers: as("ben") });
    const modern = new ModernPeer(handler, { headers: as("ben") });
    const foreign = peer.with({ headers: as("root") });
    await refused(await foreign.call(1, SECRET), 404, -32001);
    await modern.call(SECRET, {}, {}, { headers: { "mcp-name": "other" } });
    assert.deepEqual(events.refusals, ["session-foreign", "envelope"]);
    await handler.close();
  });

  test("[AUTH-5] a hidden subscription is reported once, with its true reason", async () => {
    const events = new Events();
    const authorize: Authorize = (_, { method }) => method !== "subscriptions/listen";
    const handler = endpoint({ authorize, onEvent: events.onEvent });
    const modern = new ModernPeer(handler, { headers: as("ben") });
    const response = await modern.request("subscriptions/listen", { notifications: {} });
    assert.equal(response.status, 404);
    const refused = events.of("refused").map((
      { status, reason, method, principal },
    ) => [status, reason, method, principal]);
    assert.deepEqual(refused, [[404, "hidden", "subscriptions/listen", "ben"]]);
    await handler.close();
  });

  test("[AUTH-5] in a batch only what is hidden isn't there", async () => {
    const handler = endpoint();
    const peer = await initialize(handler, { headers: as("ben"), version: "2025-03-26" });
    const response = await peer.post([
      { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: SECRET } },
      { jsonrpc: "2.0", id: 2, method: "tools/call", params: { name: "write" } },
    ]);
    const body = await response.json();
    const byId = new Map(body.map((one: JsonObject) => [one.id, one]));
    assert.deepEqual(byId.get(1), {
      jsonrpc: "2.0",
      id: 1,
      error: { code: -32602, message: `Unknown tool: "${SECRET}"` },
    });
    assert.deepEqual(byId.get(2), { jsonrpc: "2.0", id: 2, result: text("Written") });
    await handler.close();
  });

  for (const method of ["prompts/list", "tools/list", "completion/complete"]) {
    test(`[AUTH-5] refused, ${method} is as unknown as any method`, async () => {
      const handler = endpoint({ authorize: (_, message) => message.method !== method });
      const peer = await initialize(handler, { headers: as("ben") });
      const modern = new ModernPeer(handler, { headers: as("ben") });
      const unknown = { code: -32601, message: `Unknown method: "${method}"` };
      assert.deepEqual((await peer.json(await peer.request(1, method))).error, unknown);
      const error = await modern.error(await modern.request(method, { name: "greet" }), method);
      assert.deepEqual({ code: error.code, message: error.message }, unknown);
      assert.equal(error.status, 404);
      await handler.close();
    });
  }

  test("[AUTH-5] refused, subscriptions/listen is as where it is switched off", async () => {
    const answers: unknown[] = [];
    const off = endpoint({ streams: { listen: false } });
    const refuses = endpoint({ authorize: (_, { method }) => method !== "subscriptions/listen" });
    for (const handler of [off, refuses]) {
      const peer = new ModernPeer(handler, { headers: as("ben") });
      const message = peer.message("subscriptions/listen", { notifications: {} }, 1);
      answers.push(await told(await peer.post(message)));
      await handler.close();
    }
    assert.deepEqual(answers[0], answers[1]);
  });

  test("[AUTH-5] refused, initialize begins nothing", async () => {
    const handler = endpoint({ authorize: (_, { method }) => method !== "initialize" });
    const peer = new Peer(handler, { headers: as("ben") });
    const response = await peer.post(peer.initializeRequest());
    assert.equal(response.headers.get("mcp-session-id"), null);
    const { error } = await peer.json(response);
    assert.deepEqual(error, { code: -32601, message: 'Unknown method: "initialize"' });
    assert.equal(handler.sessions.size, 0);
    await handler.close();
  });

  test("[AUTH-5] a dispatcher that hides nothing by itself hides all the same", async () => {
    const list = () => ({ tools: ["a", SECRET, "b"].map((name) => ({ name, inputSchema: {} })) });
    const stub = new Stub({ [SECRET]: () => text("Purged") }, { "tools/list": list });
    const handler = createMcpHandler(stub, { authenticate, authorize: hideSecret });
    const peer = await initialize(handler, { headers: as("ben") });
    const listed: unknown = await (await peer.request(1, "tools/list")).json();
    assert.ok(isObject(listed) && isObject(listed.result));
    assert.deepEqual(namesOf(listed.result), ["a", "b"]);
    const { error } = await peer.json(await peer.call(2, SECRET));
    assert.deepEqual(error, { code: -32602, message: `Unknown tool: "${SECRET}"` });
    assert.ok(!stub.exchanges.some(({ method }) => method === "tools/call"));
    await handler.close();
  });

  test("[AUTH-5] nor is a method there that is refused, where the dispatcher hides nothing by itself", async () => {
    const stub = new Stub({}, { "prompts/list": () => ({ prompts: [] }) });
    const authorize: Authorize = ({ id }, { method }) => id === "root" || method !== "prompts/list";
    const handler = createMcpHandler(stub, { authenticate, authorize });
    const peer = await initialize(handler, { headers: as("ben") });
    const { error } = await peer.json(await peer.request(1, "prompts/list"));
    assert.deepEqual(error, { code: -32601, message: 'Unknown method: "prompts/list"' });
    assert.ok(!stub.exchanges.some(({ method }) => method === "prompts/list"));
    await handler.close();
  });

  test("[AUTH-5] a dispatcher with words of its own for what isn't there is asked for them", async () => {
    const dispatcher = new UnknownTool();
    const handler = createMcpHandler(dispatcher, { authenticate, authorize: hideSecret });
    const peer = await initialize(handler, { headers: as("ben") });
    const [hidden, unknown] = [await peer.call(1, SECRET), await peer.call(1, "other")];
    assert.deepEqual(
      (await seen(hidden)).body.replaceAll(SECRET, "other"),
      (await seen(unknown)).body,
    );
    assert.deepEqual(dispatcher.called, ["other"]);
    await handler.close();
  });
});

describe("AUTH: lists that are shorter for some", () => {
  async function pages(handler: McpHandler, who: string): Promise<string[][]> {
    const peer = await initialize(handler, { headers: as(who) });
    const found: string[][] = [];
    let cursor: unknown;
    do {
      const params = cursor === undefined ? {} : { cursor };
      const result = await peer.result(await peer.request(1, "tools/list", params));
      found.push(namesOf(result));
      cursor = result.nextCursor;
    } while (cursor !== undefined);
    return found;
  }

  function many(): McpServer {
    const server = new McpServer({ name: "many", version: "1.0.0" });
    for (let i = 0; i < 30; i++) server.registerTool(`tool-${i}`, {}, () => "Done");
    return server;
  }

  const sets: [string, (index: number) => boolean, number[]][] = [
    ["every third is there", (i) => i % 3 === 0, [4, 4, 2]],
    ["only the last is there", (i) => i === 29, [1]],
    ["only the first is there", (i) => i === 0, [1]],
    ["a full page is there", (i) => i < 4, [4]],
    ["one more than a page is there", (i) => i < 5, [4, 1]],
    ["all are there", () => true, [4, 4, 4, 4, 4, 4, 4, 2]],
    ["none is there", () => false, [0]],
  ];
  for (const [name, shows, lengths] of sets) {
    test(`[AUTH-5] pages are full and end where they should: ${name}`, async () => {
      const authorize: Authorize = ({ id }, { method, params }) =>
        id === "root" || method !== "tools/call" ||
        shows(Number(String(params.name).replace("tool-", "")));
      const handler = endpoint({ authorize, limits: { page: 4 } }, many());
      const found = await pages(handler, "ben");
      assert.deepEqual(found.map(({ length }) => length), lengths);
      const expected = [...Array(30).keys()].filter(shows).map((i) => `tool-${i}`);
      assert.deepEqual(found.flat(), expected);
      assert.equal((await pages(handler, "root")).flat().length, 30);
      await handler.close();
    });
  }

  test("[AUTH-5, SRV-3] a cursor that was never given out is refused as ever", async () => {
    const handler = endpoint({ limits: { page: 4 } }, many());
    const peer = await initialize(handler, { headers: as("ben") });
    const { error } = await peer.json(await peer.request(1, "tools/list", { cursor: "x" }));
    assert.ok(isObject(error) && error.code === -32602);
    await handler.close();
  });

  test("[AUTH-5] the list for all is untouched: one frozen object, as before", async () => {
    const server = makeServer();
    const exchange = { params: {}, pageSize: 100, method: "tools/list" };
    // Nothing else of an exchange is looked at here
    const ask = (more: object) =>
      dispatch(server, { ...exchange, protocolVersion: "2025-11-25", ...more } as never);
    const full = ask({});
    const short = await ask({ mayUse: (_method: string, name: string) => name !== SECRET });
    assert.deepEqual(namesOf(short), ["look", "write"]);
    assert.equal(ask({}), full);
    assert.ok(Object.isFrozen(full));
  });

  test("[AUTH-5] each tool is asked about once for a list, by its name alone", async () => {
    const asked: unknown[] = [];
    const handler = endpoint({
      authorize(principal, message) {
        asked.push([principal, message]);
        return true;
      },
    });
    const peer = await initialize(handler, { headers: as("ben") });
    asked.length = 0;
    await peer.result(await peer.request(1, "tools/list"));
    assert.deepEqual(asked, [
      [BEN, { method: "tools/list", params: {} }],
      ...["look", SECRET, "write"].map((name) => [BEN, { method: "tools/call", params: { name } }]),
    ]);
    await handler.close();
  });

  test("[AUTH-5, ERA-2] what differs by principal may not be kept for others", async () => {
    const server = new McpServer({ name: "x", version: "1.0.0" }, {
      cache: { ttlMs: 60_000, cacheScope: "public" },
    });
    server.registerTool("look", {}, () => "Looked");
    for (const [authorize, scope] of [[hideSecret, "private"], [undefined, "public"]] as const) {
      const handler = endpoint({ authorize }, server);
      const peer = new ModernPeer(handler, { headers: as("ben") });
      for (const method of ["tools/list", "server/discover"]) {
        const { cacheScope, ttlMs } = await peer.ask(method);
        assert.deepEqual({ cacheScope, ttlMs }, { cacheScope: scope, ttlMs: 60_000 });
      }
      await handler.close();
    }
  });
});

describe("AUTH: authorize", () => {
  test("[AUTH-5] is asked about requests, with the principal, and about nothing else", async () => {
    const asked: string[] = [];
    const handler = endpoint({
      authorize(principal, { method }) {
        asked.push(`${principal.id} ${method}`);
        return true;
      },
    });
    const peer = await initialize(handler, { headers: as("ben") });
    await peer.cancel(1);
    await peer.reply("x", {});
    await peer.result(await peer.call(2, "write"));
    await (await peer.listen()).cancel();
    assert.equal((await peer.delete()).status, 204);
    assert.deepEqual(asked, ["ben initialize", "ben tools/call"]);
    await handler.close();
  });

  const thrown: [string, unknown, number, RegExp | null][] = [
    ["Forbidden", new Forbidden("No"), 403, /^Bearer error="insufficient_scope"$/],
    [
      "Forbidden with scopes",
      new Forbidden("No", { scopes: ["admin"] }),
      403,
      /^Bearer error="insufficient_scope", scope="admin notes:read"$/,
    ],
    [
      "Forbidden with a challenge of its own",
      new Forbidden("No", { scopes: ["admin"], challenge: "DPoP" }),
      403,
      /^DPoP$/,
    ],
    ["Unauthorized", new Unauthorized("Again", { challenge: "DPoP" }), 401, /^DPoP$/],
    ["Unavailable", new Unavailable(), 503, null],
    ["anything else", new Error("policy at 10.0.0.7"), 500, null],
  ];
  for (const [name, error, status, challenge] of thrown) {
    test(`[AUTH-5] ${name} thrown → ${status}, with the request's id`, async () => {
      const throwing: Authorize[] = [
        () => {
          throw error;
        },
        () => Promise.reject(error),
      ];
      for (const authorize of throwing) {
        const events = new Events();
        const handler = endpoint({ authorize, onEvent: events.onEvent });
        const peer = new ModernPeer(handler, { headers: as("ben") });
        const response = await peer.post(peer.message("tools/call", { name: "write" }, "id-1"));
        const header = response.headers.get("www-authenticate");
        if (challenge === null) assert.equal(header, null);
        else assert.match(header ?? "", challenge);
        const { message } = await refused(response, status, -32603, "id-1");
        assert.doesNotMatch(message, /10\.0\.0\.7/);
        const reported = events.of("error").map(({ during }) => during);
        assert.deepEqual(reported, status < 500 ? [] : ["authorize"]);
        assert.equal(handler.stats().requests, 0);
        await handler.close();
      }
    });
  }

  for (const verdict of [undefined, null, 1, "yes", {}]) {
    test(`[AUTH-5] ${JSON.stringify(verdict)} is no answer: 500, and nothing is done`, async () => {
      const events = new Events();
      const handler = endpoint({
        // The point is what happens when the type is not kept
        authorize: () => verdict as boolean,
        onEvent: events.onEvent,
      });
      const peer = new ModernPeer(handler, { headers: as("ben") });
      const response = await peer.call("write");
      assert.equal(response.status, 500);
      await response.body?.cancel();
      assert.ok(events.of("error")[0]?.error instanceof TypeError);
      assert.deepEqual(events.refusals, ["authorize-failed"]);
      await handler.close();
    });
  }

  test("[AUTH-5] a list whose tools can't be decided on fails; one that needs more is listed", async () => {
    const events = new Events();
    const handler = endpoint({
      onEvent: events.onEvent,
      authorize({ id }, { method, params }) {
        if (method !== "tools/call") return true;
        if (id === "ben") throw new TypeError("no arguments here");
        if (params.name === SECRET) throw new Forbidden("More", { scopes: ["admin"] });
        return params.name !== "look";
      },
    });
    const ben = await initialize(handler, { headers: as("ben") });
    const { error } = await ben.json(await ben.request(1, "tools/list"));
    assert.deepEqual(error, { code: -32603, message: "Internal error" });
    assert.match(String(events.of("error")[0]?.error), /no arguments here/);
    assert.deepEqual(await tools(handler, "root"), [SECRET, "write"]);
    await handler.close();
  });

  test("[AUTH-5] what is no function is misuse", () => {
    for (const options of [{ authorize: true }, { resource: {} }, { resource: "x" }]) {
      // The point is what happens when the type is not kept
      const wrong = options as unknown as McpHandlerOptions;
      assert.throws(() => createMcpHandler(new Stub(), wrong), TypeError);
    }
  });
});

describe("AUTH: tools that need scopes", () => {
  function scoped(): McpServer {
    const server = new McpServer({ name: "notes", version: "1.0.0" });
    server.registerTool("read", { scopes: ["notes:read"] }, () => "Read");
    server.registerTool("write", { scopes: ["notes:read", "notes:write"] }, () => "Written");
    server.registerTool("purge", { scopes: ["admin"] }, () => "Purged");
    return server;
  }
  const resource = protectedResource({
    resource: "http://localhost/mcp",
    authorizationServers: ["https://login.example"],
  });

  test("[AUTH-5] they are listed; a call that lacks one → 403 that names all, in both eras", async () => {
    const handler = endpoint({ authorize: undefined, resource }, scoped());
    assert.deepEqual(await tools(handler, "ben"), ["read", "write", "purge"]);
    const peer = await initialize(handler, { headers: as("ben") });
    const modern = new ModernPeer(handler, { headers: as("ben") });
    await peer.result(await peer.call(1, "read"));
    await modern.say("read");
    const responses = [
      await peer.call("id", "write"),
      await modern.post(modern.message("tools/call", { name: "write" }, "id")),
    ];
    for (const [at, response] of responses.entries()) {
      assert.equal(
        response.headers.get("www-authenticate"),
        'Bearer resource_metadata="http://localhost/.well-known/oauth-protected-resource/mcp", ' +
          'error="insufficient_scope", scope="notes:read notes:write"',
      );
      await refused(response, 403, at === 0 ? -32001 : -32603, "id");
    }
    await handler.close();
  });

  test("[AUTH-5] a batch is told all that it needs, before anything of it runs", async () => {
    const handler = endpoint({ authorize: undefined }, scoped());
    const peer = await initialize(handler, { headers: as("ben"), version: "2025-03-26" });
    const response = await peer.post(["purge", "write", "read"].map((name, id) => {
      return { jsonrpc: "2.0", id, method: "tools/call", params: { name } };
    }));
    assert.equal(
      response.headers.get("www-authenticate"),
      'Bearer error="insufficient_scope", scope="admin notes:read notes:write"',
    );
    await refused(response, 403, -32001);
    await handler.close();
  });

  test("[AUTH-5] what is hidden stays hidden, whatever scopes it needs", async () => {
    const handler = endpoint({}, scoped());
    const peer = await initialize(handler, { headers: as("ben") });
    const { error } = await peer.json(await peer.call(1, "purge"));
    assert.deepEqual(error, { code: -32602, message: 'Unknown tool: "purge"' });
    assert.deepEqual(await tools(handler, "ben"), ["read", "write"]);
    const root = await initialize(handler, { headers: as("root") });
    await root.result(await root.call(1, "purge"));
    await handler.close();
  });

  test("[AUTH-5] without scopes, or without anybody, nothing that needs any runs", async () => {
    const handler = createMcpHandler(scoped());
    const modern = new ModernPeer(handler);
    for (const name of ["read", "write", "purge"]) {
      const response = await modern.call(name);
      assert.equal(response.status, 403);
      await response.body?.cancel();
    }
    await handler.close();
  });

  test("[AUTH-5] they change with the tool, and unknown tools need none", async () => {
    const server = new McpServer({ name: "x", version: "1.0.0" });
    const handle = server.registerTool("read", {}, () => "Read");
    const handler = endpoint({ authorize: undefined }, server);
    const modern = new ModernPeer(handler, { headers: as("ben") });
    await modern.say("read");
    handle.update({ scopes: ["admin"] });
    assert.equal((await modern.call("read")).status, 403);
    handle.disable();
    assert.equal((await modern.error(await modern.call("read"))).code, -32602);
    handle.enable();
    handle.update({ scopes: [] });
    await modern.say("read");
    for (const name of ["constructor", "__proto__", ""]) {
      assert.equal((await modern.error(await modern.call(name))).code, -32602);
    }
    await handler.close();
  });

  test("[AUTH-5] scopes that are none are misuse", () => {
    for (const scopes of ["a b", ["a b"], [1], [""], {}]) {
      const server = new McpServer({ name: "x", version: "1.0.0" });
      // The point is what happens when the type is not kept
      const config = { scopes: scopes as string[] };
      assert.throws(() => server.registerTool("x", config, () => ""), TypeError);
    }
  });
});

describe("AUTH: the description of the endpoint", () => {
  const resource = protectedResource({
    resource: "https://api.example/mcp",
    authorizationServers: ["https://login.example"],
    scopes: ["notes:read"],
  });
  const at = (path: string, init?: RequestInit) => new Request(`https://api.example${path}`, init);
  const WELL_KNOWN = "/.well-known/oauth-protected-resource";

  test("[AUTH-4] is served before everything else, to everybody, at both places", async () => {
    const handler = endpoint({
      resource,
      path: "/mcp",
      allowedHosts: ["other.example"],
      requiredHeader: "x-key",
      rateLimit: { check: () => ({ allowed: false }) },
      authenticate: () => assert.fail("asked for the public description"),
    });
    for (const path of [WELL_KNOWN, `${WELL_KNOWN}/mcp`]) {
      const response = await handler(at(path, { headers: { origin: "https://evil.example" } }));
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      const { authorization_servers: servers } = await response.json();
      assert.deepEqual(servers, ["https://login.example"]);
    }
    for (const path of [`${WELL_KNOWN}/other`, "/mcp", "/"]) {
      assert.notEqual((await handler(at(path))).status, 200);
    }
    await handler.close();
  });

  test("[AUTH-4] is named in every 401, whatever for and on every verb", async () => {
    const named = `resource_metadata="https://api.example${WELL_KNOWN}/mcp"`;
    const authenticates: NonNullable<McpHandlerOptions["authenticate"]>[] = [
      () => Promise.reject(new Unauthorized()),
      () => Promise.reject(new Unauthorized("Expired", { challenge: 'Bearer error="x"' })),
      () => Promise.reject(new Unauthorized("Expired", { challenge: "Basic" })),
      () => ({ id: "ada", expiresAt: 1 }),
    ];
    for (const authenticate of authenticates) {
      const handler = endpoint({ resource, authenticate });
      const peer = new Peer(handler);
      peer.sessionId = "A".repeat(32);
      for (
        const response of [await peer.request(1, "ping"), await peer.get(), await peer.delete()]
      ) {
        assert.equal(response.status, 401);
        assert.ok(response.headers.get("www-authenticate")?.includes(named));
        await response.body?.cancel();
      }
      const modern = await new ModernPeer(handler).request("tools/list");
      assert.ok(modern.headers.get("www-authenticate")?.includes(named), MODERN);
      await handler.close();
    }
  });

  test("[AUTH-4] isn't there where nobody gave one", async () => {
    const handler = endpoint({ path: "/mcp" });
    assert.equal((await handler(at(WELL_KNOWN))).status, 404);
    await handler.close();
  });
});
