/**
 * Weaknesses that were published about other implementations of the protocol, each told in a sentence
 * and tried here, so that it can't come about unnoticed.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import { MetaKey } from "../../src/protocol/envelope.ts";
import type { Principal } from "../../src/protocol/exchange.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { ResourceTemplate } from "../../src/server/uris/resource_template.ts";
import { McpServer } from "../../src/server/server.ts";
import { UriTemplate } from "../../src/server/uris/uri_template.ts";
import { tasks } from "../../src/tasks/mod.ts";
import { callText, chunk, RawConnection, requestText } from "../runtimes/raw.ts";
import { serve } from "../runtimes/runtime.ts";
import { FakeClock } from "../support/clock.ts";
import { assertLinear } from "../support/growth.ts";
import { MODERN, ModernPeer } from "../support/modern.ts";
import {
  as,
  BOTH,
  byToken,
  Events,
  Gate,
  initialize,
  isPending,
  logData,
  logMessage,
  Peer,
  refused,
  type Seen,
  seen,
  Stub,
  text,
  textOf,
  URL_2025,
} from "../support/wire.ts";
import { quiet } from "./invariants.ts";

const PEOPLE = ["alice", "bob", "carol", "dave", "erin"];

/** One server object for everybody: a tool that says its caller's words back, bit by bit. */
function sharedServer() {
  const waiting = new Map<string, () => void>();
  const server = new McpServer({ name: "shared", version: "1.0.0" });
  const inputSchema = { type: "object", properties: { word: { type: "string" } } };
  server.registerTool("echo", { inputSchema }, async (args, ctx) => {
    const word = String(isObject(args) ? args.word : "");
    ctx.log("error", `log ${word}`);
    ctx.progress(1, 3, `progress ${word}`);
    await new Promise<void>((resolve) => waiting.set(word, resolve));
    ctx.progress(2, 3, `progress ${word}`);
    ctx.log("error", `log ${word}`);
    return `result ${word} of ${ctx.principal.id}`;
  });
  server.registerTool("ask", {}, async (_args, ctx) => {
    const roots = await ctx.roots();
    return `roots ${roots.map(({ uri }) => uri)} of ${ctx.principal.id}`;
  });
  return { server, waiting };
}

describe("CVE-2026-25536: replies to the wrong client", () => {
  // One server or transport object was used for several clients. Their requests had the same ids, as
  // clients count from 0, and a table of ids sent the answers to whoever had come last.
  const endpoints: Readonly<Record<string, McpHandlerOptions>> = {
    "with sessions": {},
    "without sessions": { sessions: false },
  };
  for (const [name, options] of Object.entries(endpoints)) {
    for (const era of ["2025", "2026"]) {
      test(`[STR-4, STR-5] CVE-2026-25536 one server, five clients, one id, ${era} ${name}: each gets its own words`, async () => {
        const { server, waiting } = sharedServer();
        const handler = createMcpHandler(server, { authenticate: byToken, ...options });
        const params = (word: string) => ({
          name: "echo",
          arguments: { word },
          _meta: { progressToken: 1 },
        });
        const calls = PEOPLE.map(async (who) => {
          const headers = as(who);
          if (era === "2026") {
            const peer = new ModernPeer(handler, { headers, logLevel: "debug" });
            const message = peer.message("tools/call", params(who), 1);
            return await peer.frames(await peer.post(message)).messages();
          }
          const peer = new Peer(handler, { headers });
          if (name === "with sessions") await peer.initialize();
          return await peer.frames(await peer.request(1, "tools/call", params(who))).messages();
        });
        while (waiting.size < PEOPLE.length) await quiet(1);
        // In another order than they came
        for (const who of ["carol", "alice", "erin", "bob", "dave"]) {
          waiting.get(who)?.();
          await quiet(2);
        }
        for (const [at, messages] of (await Promise.all(calls)).entries()) {
          const who = String(PEOPLE[at]);
          assert.equal(messages.length, 5, who);
          assert.equal(messages.at(-1)?.id, 1);
          assert.equal(textOf(messages.at(-1)?.result), `result ${who} of ${who}`);
          const others = PEOPLE.filter((other) => other !== who).join("|");
          assert.doesNotMatch(JSON.stringify(messages), new RegExp(others));
        }
        await handler.close();
      });
    }
  }

  test("[ASK-1, OWN-3] CVE-2026-25536 questions asked meanwhile go to the client whose call it is", async () => {
    const { server } = sharedServer();
    const handler = createMcpHandler(server, { authenticate: byToken });
    const peers = await Promise.all(PEOPLE.map(async (who) => {
      const peer = await initialize(handler, { headers: as(who), capabilities: { roots: {} } });
      const frames = peer.frames(await peer.call(0, "ask"));
      return { who, peer, frames, question: await frames.message() };
    }));
    for (const { who, peer, question } of peers.toReversed()) {
      for (const other of peers) {
        if (other.who === who) continue;
        await peer.reply(other.question?.id, { roots: [{ uri: "file:///stolen" }] });
      }
      await peer.reply(question?.id, { roots: [{ uri: `file:///${who}` }] });
    }
    for (const { who, frames } of peers) {
      const [answer] = await frames.messages();
      assert.equal(textOf(answer?.result), `roots file:///${who} of ${who}`);
    }
    await handler.close();
  });

  test("[STR-4, STR-8] CVE-2026-25536 one server behind two endpoints tells each its own", async () => {
    const { server, waiting } = sharedServer();
    const one = createMcpHandler(server);
    const two = createMcpHandler(server);
    const [first, second] = [await initialize(one), await initialize(two)];
    const params = (word: string) => ({ name: "echo", arguments: { word } });
    const call = first.frames(await first.request(1, "tools/call", params("first")));
    const other = second.frames(await second.request(1, "tools/call", params("second")));
    // The endpoint that came last goes, and what the other has under way goes on
    await second.delete();
    await two.close({ graceMs: 0 });
    waiting.get("first")?.();
    assert.equal(textOf((await call.messages()).at(-1)?.result), "result first of anonymous");
    assert.deepEqual((await other.messages()).slice(1), []);
    await one.close();
  });
});

describe("CVE-2026-0621: templates that take for ever", () => {
  // The expression made of `{/list*}` could split a text at its commas in exponentially many ways.
  const hostile: readonly (readonly [number, (size: number) => string])[] = [
    [400, (size) => `/users/${"user1,user2,user3,".repeat(size)}X/`],
    [8_000, (size) => `/users/${",".repeat(size)}`],
    [4_000, (size) => `/users${"/a".repeat(size)}!`],
    [4_000, (size) => `/users/${"a,".repeat(size)}\u0000`],
    [1_300, (size) => `/users?${"tag=a&".repeat(size)}#`],
    [2_600, (size) => `/users/${"%2C".repeat(size)}/`],
    [900_000, (size) => `/users/${"a".repeat(size)}`],
  ];

  test("[SRV-4] CVE-2026-0621 the templates that it needed are refused", () => {
    for (const template of ["/users{/id*}", "/users{?tags*}", "{list*}", "/x{;a*}", "{text:3}"]) {
      assert.throws(() => new UriTemplate(template), /level 4/);
    }
  });

  for (
    const template of [
      "/users{/a,b,c}",
      "/users{?a,b,c}",
      "/users/{a},{b},{c}/",
      "/users/{+a}/{+b}/{+c}!",
      "/users{/a}{/b}{/c}{/d}{/e}{?f,g}",
      "/users/{a}{b}{c}{d}{e}{f}{g}{h}/",
    ]
  ) {
    test(`[SRV-4] CVE-2026-0621 ${template} is matched in the time that a URI's length takes`, async () => {
      const server = new McpServer({ name: "templates", version: "1.0.0" });
      const complete = { a: () => ["x"] };
      server.registerResource(
        "users",
        new ResourceTemplate(`test:${template}`, { complete }),
        {},
        () => "A user",
      );
      const handler = createMcpHandler(server);
      const peer = await initialize(handler);
      const modern = new ModernPeer(handler);
      for (const [size, path] of hostile) {
        await assertLinear(path(1), size, async (size) => {
          const uri = `test:${path(size)}`;
          await (await peer.request(1, "resources/read", { uri })).text();
          await (await peer.request(2, "resources/subscribe", { uri })).text();
          if (uri.length < 10_000) await (await modern.request("resources/read", { uri })).text();
          const ref = { type: "ref/resource", uri };
          const argument = { name: "a", value: uri };
          await (await peer.request(3, "completion/complete", { ref, argument })).text();
        });
      }
      await handler.close();
    });
  }
});

/** What was seen of an answer, for comparing it with another. */
async function attempt(
  handler: McpHandler,
  headers: Readonly<Record<string, string>>,
  id: string,
  send: (peer: Peer) => Promise<Response>,
): Promise<Seen> {
  const peer = new Peer(handler, { headers });
  peer.sessionId = id;
  return await seen(await send(peer));
}

const UNKNOWN = "U".repeat(32);

describe("CVE-2026-33946: streams taken over by session id", () => {
  // Whoever opened a GET stream with a session's id took the place of the one that was open.
  for (const secondGet of ["replace", "reject"] as const) {
    test(`[OWN-1, STR-8] CVE-2026-33946 a thief's GET is like one with an id that nobody has, and the owner's stream goes on (${secondGet})`, async () => {
      const handler = createMcpHandler(new Stub(), {
        authenticate: byToken,
        streams: { secondGet },
      });
      const alice = await initialize(handler, { headers: as("alice") });
      const id = String(alice.sessionId);
      const frames = await alice.listen();
      const priming = await frames.next();
      for (const who of ["mallory", "bob"]) {
        for (const cursor of [undefined, priming?.id, "s.0"]) {
          const headers = as(who);
          const stolen = await attempt(handler, headers, id, (peer) => peer.get(cursor));
          assert.equal(stolen.status, 404);
          const reference = await attempt(handler, headers, UNKNOWN, (peer) => peer.get(cursor));
          assert.deepEqual(stolen, reference);
        }
      }
      for (const secret of ["one", "two"]) {
        assert.equal(await handler.notify(id, logMessage(secret)), true);
        assert.equal(logData(await frames.message()), secret);
      }
      assert.equal(handler.stats().streams, 1);
      await handler.close({ graceMs: 0 });
    });
  }

  test("[OWN-1, STR-6] CVE-2026-33946 nor does a thief get the rest of a call that broke off", async () => {
    const gate = new Gate<string>();
    const stub = new Stub({
      async slow(exchange) {
        exchange.notify(logMessage("begun"));
        return text(await gate.promise);
      },
    });
    const handler = createMcpHandler(stub, { authenticate: byToken });
    const alice = await initialize(handler, { headers: as("alice") });
    const frames = alice.frames(await alice.call(1, "slow"));
    const cursor = (await frames.messageFrame())?.id;
    await frames.cancel();
    const mallory = alice.with({ headers: as("mallory") });
    await refused(await mallory.get(cursor), 404, -32001);
    gate.open("secret");
    await refused(await mallory.get(cursor), 404, -32001);
    const [answer] = await (await alice.listen(cursor)).messages();
    assert.equal(textOf(answer?.result), "secret");
    await handler.close();
  });
});

/** A principal by its header: `issuer|id|clientId`, and a token that doesn't matter. */
function byParts(request: Request): Principal {
  const [issuer, id, clientId] = (request.headers.get("x-who") ?? "").split("|");
  return {
    id: id || "nobody",
    ...issuer && { issuer },
    ...clientId && { clientId },
  };
}

describe("CVE-2026-52869: sessions served to other credentials", () => {
  // Whoever had valid credentials of any kind could send requests with the id of anybody's session.
  const OWNER = "https://issuer.example|alice|app";
  const OTHERS = {
    "another user": "https://issuer.example|alien|app",
    "the same name at another issuer": "https://issued.example|alice|app",
    "the same user through another client": "https://issuer.example|alice|apq",
    "the same user without a client": "https://issuer.example|alice|",
    "parts that read the same when put together": "https://issuer.example|alic|eapp",
    "nobody": "||",
  };
  for (const [name, who] of Object.entries(OTHERS)) {
    test(`[OWN-1, OWN-2, AUTH-3] CVE-2026-52869 ${name} gets what an unknown id gets, on every verb`, async () => {
      const stub = new Stub({ hello: () => text("Hello") });
      const handler = createMcpHandler(stub, { authenticate: byParts });
      const alice = await initialize(handler, { headers: { "x-who": OWNER } });
      const ways: readonly ((peer: Peer) => Promise<Response>)[] = [
        (peer) => peer.call(1, "hello"),
        (peer) => peer.post({ jsonrpc: "2.0", method: "notifications/initialized" }),
        (peer) => peer.post({ jsonrpc: "2.0", id: "q", result: {} }),
        (peer) => peer.get(),
        (peer) => peer.get("s.0"),
        (peer) => peer.delete(),
        // An id that is brought along to a handshake is not taken up either
        (peer) => peer.post({ jsonrpc: "2.0", id: 1, method: "ping" }),
      ];
      const before = stub.exchanges.length;
      for (const send of ways) {
        const headers = { "x-who": who };
        const stolen = await attempt(handler, headers, String(alice.sessionId), send);
        assert.equal(stolen.status, 404);
        assert.deepEqual(stolen, await attempt(handler, headers, UNKNOWN, send));
      }
      assert.equal(stub.exchanges.length, before);
      // Other tokens of the same owner are as good as the first
      const again = alice.with({
        headers: { "x-who": OWNER, "authorization": "Bearer refreshed" },
      });
      assert.equal(textOf(await again.result(await again.call(1, "hello"))), "Hello");
      assert.equal((await alice.delete()).status, 204);
      await handler.close();
    });
  }
});

describe("CVE-2026-52870: tasks of other clients", () => {
  // Tasks were kept for all clients together: anybody could list, read, answer and cancel them.
  test("[EXT-3, EXT-4] CVE-2026-52870 a task is nobody's but its principal's: neither listed, read, answered nor cancelled", async () => {
    const clock = new FakeClock();
    const server = new McpServer({ name: "tasks", version: "1.0.0" });
    server.use(tasks({ clock }));
    const signals: AbortSignal[] = [];
    server.registerTool("job", { task: "required" }, async (_args, ctx) => {
      signals.push(ctx.signal);
      const roots = await ctx.roots();
      return `secret ${roots.map(({ uri }) => uri)}`;
    });
    const handler = createMcpHandler(server, { authenticate: byParts, clock });
    const capabilities = { roots: {}, extensions: { "io.modelcontextprotocol/tasks": {} } };
    const peer = (who: string) =>
      new ModernPeer(handler, { headers: { "x-who": who }, capabilities });
    const raw = async (who: string, method: string, params: JsonObject) => {
      const { headers, message } = named(peer(who), method, params);
      return await seen(await peer(who).post(message, { headers }));
    };
    const begun = await raw("|alice|", "tools/call", { name: "job", arguments: {} });
    const { taskId } = JSON.parse(begun.body).result;
    assert.equal(typeof taskId, "string");
    await quiet();
    const shown = await raw("|alice|", "tasks/get", { taskId });
    assert.match(shown.body, /input_required/);
    const [key] = Object.keys(JSON.parse(shown.body).result.inputRequests);
    const answers = { [String(key)]: { roots: [{ uri: "file:///stolen" }] } };
    for (const who of ["|mallory|", "|alien|", "https://other.example|alice|", "|alice|other"]) {
      for (
        const [method, more] of [
          ["tasks/get", {}],
          ["tasks/update", { inputResponses: answers }],
          ["tasks/cancel", {}],
        ] as const
      ) {
        const stolen = await raw(who, method, { ...more, taskId });
        const unknown = await raw(who, method, { ...more, taskId: UNKNOWN });
        assert.deepEqual(stolen, unknown, `${who} ${method}`);
        assert.equal(JSON.parse(stolen.body).error.code, -32602);
      }
    }
    for (const method of ["tasks/list", "tasks/result"]) {
      const { status, body } = await raw("|mallory|", method, { taskId });
      assert.equal(status, 404);
      assert.equal(JSON.parse(body).error.code, -32601);
      assert.ok(!body.includes(String(taskId)));
    }
    assert.equal(signals[0]?.aborted, false);
    const good = { [String(key)]: { roots: [{ uri: "file:///good" }] } };
    await raw("|alice|", "tasks/update", { taskId, inputResponses: good });
    await quiet();
    const done = await raw("|alice|", "tasks/get", { taskId });
    assert.match(done.body, /secret file:\/\/\/good/);
    await handler.close({ graceMs: 0 });
  });
});

/** A message of 2026 with the header that names its task. */
function named(peer: ModernPeer, method: string, params: JsonObject) {
  const name = params.taskId ?? params.name;
  return { message: peer.message(method, params, 1), headers: { "mcp-name": String(name) } };
}

describe("CVE-2025-66416, CVE-2026-34742, CVE-2026-42559: DNS rebinding", () => {
  // A page of evil.example makes that name stand for 127.0.0.1, and then calls what runs there: to the
  // browser it is still the page's own site.
  const REBOUND = [
    { host: "evil.example:PORT", origin: "http://evil.example:PORT" },
    { host: "evil.example", origin: "http://evil.example" },
    { host: "evil.example:PORT" },
    { host: "localhost.evil.example:PORT" },
    { host: "127.0.0.1.evil.example:PORT" },
    { host: "127.0.0.1:PORT", origin: "http://evil.example" },
    { host: "localhost:PORT", origin: "http://localhost.evil.example" },
    { host: "localhost:PORT", origin: "null" },
    { host: "[::1]:PORT", origin: "http://evil.example" },
    { host: "0.0.0.0:PORT", origin: "http://0.0.0.0:PORT" },
  ];
  const CVES = ["CVE-2025-66416", "CVE-2026-34742", "CVE-2026-42559"];

  test(`[GATE-2, GATE-3] ${CVES.join(", ")} a server bound to this machine, as it comes, runs nothing for a rebound page`, async () => {
    const ran: string[] = [];
    const server = new McpServer({ name: "local", version: "1.0.0" });
    server.registerTool("danger", {}, () => {
      ran.push("danger");
      return "done";
    });
    const running = await serve(server, { port: 0, signals: false });
    try {
      for (const rebound of REBOUND) {
        const headers = Object.fromEntries(
          Object.entries(rebound).map(([name, value]) =>
            [name, value.replace("PORT", `${running.port}`)] as const
          ),
        );
        for (
          const request of [
            callText("danger", {}, headers),
            requestText("POST", headers, JSON.stringify(new Peer(noFetch).initializeRequest())),
            requestText("POST", modernHeaders(headers), modernCall("danger")),
            requestText("GET", { ...headers, accept: "text/event-stream" }),
            requestText("DELETE", headers),
            requestText("OPTIONS", { ...headers, "access-control-request-method": "POST" }),
          ]
        ) {
          const connection = await RawConnection.open(running.port);
          await connection.write(request);
          const answer = await connection.until(/\r\n\r\n/);
          assert.match(answer, /^HTTP\/1\.1 403 /, `${JSON.stringify(headers)}\n${request}`);
          assert.doesNotMatch(answer, /access-control-allow-origin/i);
          connection.destroy();
        }
      }
      assert.deepEqual(ran, []);
      // An honest client without a page is served
      const connection = await RawConnection.open(running.port);
      const headers = { host: `127.0.0.1:${running.port}` };
      await connection.write(requestText("POST", modernHeaders(headers), modernCall("danger")));
      await connection.until(/done/);
      connection.destroy();
      assert.deepEqual(ran, ["danger"]);
    } finally {
      await running.close({ graceMs: 0 });
    }
  });

  test(`[GATE-2] ${CVES.join(", ")} a bare handler lets no page in that nobody allowed, its own site's neither`, async () => {
    const events = new Events();
    const handler = createMcpHandler(new Stub(), { onEvent: events.onEvent });
    for (const { host, origin } of REBOUND) {
      if (origin === undefined) continue;
      const peer = new Peer(handler, {
        headers: { host: host.replace("PORT", "1"), origin: origin.replace("PORT", "1") },
      });
      await refused(await peer.post(peer.initializeRequest()), 403, -32000);
      await refused(await peer.get(), 403, -32000);
      await refused(await peer.delete(), 403, -32000);
    }
    assert.equal(handler.stats().sessions, 0);
    assert.deepEqual(new Set(events.refusals), new Set(["origin"]));
    await handler.close();
  });
});

const noFetch = (): Promise<Response> => Promise.reject(new Error("Nothing is fetched"));

function modernHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  return {
    ...headers,
    "mcp-protocol-version": MODERN,
    "mcp-method": "tools/call",
    "mcp-name": "danger",
  };
}

function modernCall(name: string): string {
  const message = new ModernPeer(noFetch).message("tools/call", { name, arguments: {} }, 1);
  return JSON.stringify(message);
}

describe("CVE-2026-27896: keys in other cases", () => {
  // A parser that doesn't tell `method` from `Method` reads another message than what stands before it
  // and decides by it. The same went for ſ, K (the sign for Kelvin) and a trailing null character.
  const CALL = "tools/call";
  const DISGUISES = ["Method", "METHOD", "method\\u0000", "methoD", "\\u0000method"];

  test("[GATE-10] CVE-2026-27896 a key that only looks like one is none", async () => {
    const ran: JsonObject[] = [];
    const stub = new Stub({
      hello: ({ params }) => {
        ran.push(params);
        return text("Hello");
      },
      evil: () => {
        throw new Error("evil ran");
      },
    });
    const handler = createMcpHandler(stub);
    const peer = await initialize(handler);
    const post = async (body: string) =>
      await peer.send("POST", { "content-type": "application/json", "accept": BOTH }, body);
    for (const method of DISGUISES) {
      // Alone it makes no request
      await refused(await post(`{"jsonrpc":"2.0","id":1,"${method}":"ping"}`), 400, -32600);
      // Beside the real one it changes nothing
      for (const order of [true, false]) {
        const real = '"method":"ping"';
        const fake = `"${method}":"${CALL}","params":{"name":"evil","arguments":{}}`;
        const members = order ? `${real},${fake}` : `${fake},${real}`;
        const response = await post(`{"jsonrpc":"2.0","id":1,${members}}`);
        assert.deepEqual(await peer.result(response), {});
      }
    }
    for (const key of ["Name", "NAME", "name\\u0000", "nAme"]) {
      const params = `{"name":"hello","${key}":"evil","arguments":{}}`;
      const body = `{"jsonrpc":"2.0","id":1,"method":"${CALL}","params":${params}}`;
      assert.equal(textOf(await peer.result(await post(body))), "Hello");
    }
    for (const key of ["Params", "param\u017f", "PARAMS", "params\\u0000"]) {
      const body = `{"jsonrpc":"2.0","id":1,"method":"${CALL}","${key}":{"name":"evil"}}`;
      assert.notEqual((await (await post(body)).text()).includes("evil ran"), true);
    }
    for (const key of ["ID", "Id", "id\\u0000"]) {
      // Without an id it is a notification, which nobody answers
      const response = await post(`{"jsonrpc":"2.0","${key}":1,"method":"ping"}`);
      assert.equal(response.status, 202);
    }
    for (const key of ["JSONRPC", "jsonRpc", "jsonrpc\\u0000"]) {
      await refused(await post(`{"${key}":"2.0","id":1,"method":"ping"}`), 400, -32600);
    }
    assert.equal(ran.length, 4);
    await handler.close();
  });

  test("[GATE-10, ERA-1, ERA-3] CVE-2026-27896 nor do such keys make a request of 2026, or hide what one says", async () => {
    const server = new McpServer({ name: "keys", version: "1.0.0" });
    server.registerTool("hello", {}, () => "Hello");
    server.registerTool("evil", {}, () => "evil ran");
    const handler = createMcpHandler(server);
    const peer = new ModernPeer(handler);
    const { params } = peer.message(CALL, { name: "hello", arguments: {} });
    assert.ok(isObject(params) && isObject(params._meta));
    const { _meta } = params;
    for (const name of ["Name", "NAME", "name\u0000"]) {
      const message = peer.message(CALL, { name: "hello", [name]: "evil", arguments: {} });
      assert.equal(textOf(await peer.result(await peer.post(message))), "Hello");
    }
    const [version] = [MetaKey.ProtocolVersion];
    for (const key of [version.toUpperCase(), `${version}\u0000`]) {
      const { [version]: said, ...rest } = _meta;
      const message = {
        jsonrpc: "2.0",
        id: 1,
        method: CALL,
        params: { name: "hello", arguments: {}, _meta: { ...rest, [key]: said } },
      };
      const response = await peer.post(message);
      assert.equal(response.status, 400);
    }
    await handler.close();
  });
});

describe("CVE-2026-39313: bodies without an end", () => {
  // The whole body was put together in memory before anybody looked at it, or knew who sent it.
  test("[GATE-8] CVE-2026-39313 a body is read up to the limit and no further, before anybody is asked who sends it", async () => {
    let asked = 0;
    const handler = createMcpHandler(new Stub(), {
      authenticate() {
        asked++;
        return { id: "alice" };
      },
      limits: { bodyBytes: 10_000 },
    });
    for (const length of [undefined, "10001", "99999999999", "1e9", "-1", "x", "5000, 5000"]) {
      let pulled = 0;
      let cancelled = false;
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          pulled += 1_000;
          controller.enqueue(new Uint8Array(1_000).fill(0x20));
        },
        cancel() {
          cancelled = true;
        },
      }, { highWaterMark: 0 });
      const headers = new Headers({ "content-type": "application/json" });
      if (length !== undefined) headers.set("content-length", length);
      const init = { method: "POST", headers, body, duplex: "half" };
      await refused(await handler(new Request(URL_2025, init)), 413, -32000);
      await quiet();
      assert.ok(pulled <= 12_000, `${pulled} bytes were read`);
      assert.equal(cancelled, pulled > 0);
    }
    assert.equal(asked, 0);
    await handler.close();
  });

  test("[GATE-8] CVE-2026-39313 over a socket, chunked, it is cut off, and the server goes on", async () => {
    const server = new McpServer({ name: "bodies", version: "1.0.0" });
    server.registerTool("danger", {}, () => "done");
    const running = await serve(server, {
      port: 0,
      signals: false,
      limits: { bodyBytes: 100_000 },
    });
    try {
      const connection = await RawConnection.open(running.port);
      const headers = { "content-type": "application/json", "transfer-encoding": "chunked" };
      await connection.write(requestText("POST", headers));
      const piece = chunk(" ".repeat(16_000));
      for (let sent = 0; sent < 40 && connection.text === "" && !connection.closed; sent++) {
        await connection.write(piece);
        await quiet(1);
      }
      assert.match(await connection.until(/\r\n\r\n/), /^HTTP\/1\.1 413 /);
      connection.destroy();
      const other = await RawConnection.open(running.port);
      await other.write(requestText("POST", modernHeaders({}), modernCall("danger")));
      await other.until(/done/);
      other.destroy();
    } finally {
      await running.close({ graceMs: 0 });
    }
  });

  test("[GATE-8] CVE-2026-39313 a client that sends slowly doesn't gather bytes elsewhere", async () => {
    const handler = createMcpHandler(new Stub(), { limits: { bodyBytes: 1_000 } });
    const gate = new Gate<void>();
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        await gate.promise;
        controller.enqueue(new Uint8Array(2_000));
      },
    }, { highWaterMark: 0 });
    const headers = { "content-type": "application/json" };
    const init = { method: "POST", headers, body, duplex: "half" };
    const slow = handler(new Request(URL_2025, init));
    assert.equal(await isPending(slow), true);
    gate.open();
    await refused(await slow, 413, -32000);
    await handler.close();
  });
});
