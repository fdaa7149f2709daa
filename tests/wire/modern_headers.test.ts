import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { MetaKey } from "../../src/protocol/envelope.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../src/server/server.ts";
import { envelope, headersFor, headerValue, MODERN, ModernPeer } from "../support/modern.ts";
import { assertValid } from "../support/schema.ts";
import {
  as,
  Blocker,
  byToken,
  Events,
  initialize,
  Peer,
  refused,
  seen,
  Stub,
  text,
  textOf,
} from "../support/wire.ts";

const ALL = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
const HEADER = "x-mcp-header";
/** Names that a header can't say as they are. */
const STRANGE = ["Grüße", " padded ", "two\nlines", "=?base64?literal?=", "日本語"];

type Extra = Readonly<Record<string, string | undefined>>;

/** A server that notes what of it was used. */
function world(options?: McpHandlerOptions) {
  const used: string[] = [];
  const note = (name: string) => {
    used.push(name);
    return name;
  };
  const server = new McpServer({ name: "headers", version: "1.0.0" });
  server.registerTool("add", {}, () => note("add"));
  server.registerResource("readme", "test://readme", {}, () => note("readme"));
  server.registerPrompt("poem", {}, () => note("poem"));
  for (const name of STRANGE) {
    server.registerPrompt(name, {}, () => note(name));
    server.registerResource(name, `test://${encodeURI(name.trim())}`, {}, () => note(name));
  }
  server.registerTool("query", {
    inputSchema: z.object({
      region: z.string().nullish().meta({ description: "Unmarked" }),
      zone: z.string().optional().meta({ [HEADER]: "Zone" }),
      size: z.number().int().optional().meta({ [HEADER]: "Size" }),
      dry: z.boolean().optional().meta({ [HEADER]: "Dry" }),
      box: z.object({ lid: z.string().optional().meta({ [HEADER]: "Lid" }) }).optional(),
    }),
  }, () => note("query"));
  const handler = createMcpHandler(server, options);
  return { used, handler, peer: new ModernPeer(handler) };
}

async function mismatched(response: Response, id: string | number = 1): Promise<string> {
  assertValid(MODERN, "HeaderMismatchError", await response.clone().json());
  return (await refused(response, 400, -32020, id)).message;
}

describe("ERA: headers that repeat the request", () => {
  const call = { name: "add" };
  const wrong: Readonly<Record<string, Extra>> = {
    "no MCP-Protocol-Version": { "mcp-protocol-version": undefined },
    "an empty MCP-Protocol-Version": { "mcp-protocol-version": "" },
    "another known version": { "mcp-protocol-version": "2025-11-25" },
    "another unknown version": { "mcp-protocol-version": "2027-01-01" },
    "the version twice": { "mcp-protocol-version": `${MODERN}, ${MODERN}` },
    "an encoded version": { "mcp-protocol-version": `=?base64?${btoa(MODERN)}?=` },
    "no Mcp-Method": { "mcp-method": undefined },
    "an empty Mcp-Method": { "mcp-method": "" },
    "another method": { "mcp-method": "tools/list" },
    "the method in another case": { "mcp-method": "Tools/Call" },
    "the method twice": { "mcp-method": "tools/call, tools/call" },
    "an encoded method": { "mcp-method": `=?base64?${btoa("tools/call")}?=` },
    "no Mcp-Name": { "mcp-name": undefined },
    "an empty Mcp-Name": { "mcp-name": "" },
    "another name": { "mcp-name": "query" },
    "the name in another case": { "mcp-name": "Add" },
    "the name twice": { "mcp-name": "add, add" },
    "another name, encoded": { "mcp-name": headerValue("query ").replace("ICA", "IA") },
    "a name that is badly encoded": { "mcp-name": "=?base64?YWR?=" },
    "a name encoded as something else": { "mcp-name": "=?base64?/w==?=" },
    "a name whose encoding is in another case": { "mcp-name": "=?BASE64?YWRk?=" },
  };
  for (const [what, headers] of Object.entries(wrong)) {
    test(`[ERA-3] a call with ${what} → 400 / -32020, and nothing is called`, async () => {
      const { handler, used, peer } = world();
      await mismatched(await peer.request("tools/call", call, { headers }));
      assert.deepEqual(used, []);
      await handler.close();
    });
  }

  const right: Readonly<Record<string, Extra>> = {
    "names of headers in another case": {
      "mcp-protocol-version": undefined,
      "mcp-method": undefined,
      "mcp-name": undefined,
      "MCP-PROTOCOL-VERSION": MODERN,
      "MCP-METHOD": "tools/call",
      "MCP-NAME": "add",
    },
    "blanks around the values": { "mcp-method": "  tools/call  ", "mcp-name": "\tadd " },
    "an encoded name": { "mcp-name": "=?base64?YWRk?=" },
    "headers that nobody knows": { "mcp-param-region": "us", "mcp-other": "x" },
  };
  for (const [what, headers] of Object.entries(right)) {
    test(`[ERA-3] a call with ${what} is answered`, async () => {
      const { handler, used, peer } = world();
      const result = await peer.result(await peer.request("tools/call", call, { headers }));
      assert.equal(textOf(result), "add");
      assert.deepEqual(used, ["add"]);
      await handler.close();
    });
  }

  const named: Readonly<Record<string, JsonObject>> = {
    "prompts/get": { name: "poem" },
    "resources/read": { uri: "test://readme" },
  };
  for (const [method, params] of Object.entries(named)) {
    test(`[ERA-3] ${method} names what it wants in Mcp-Name too`, async () => {
      const { handler, used, peer } = world();
      for (const name of [undefined, "", "other", "readme", "test://readm"]) {
        const headers = { "mcp-name": name };
        const message = peer.message(method, params, 1);
        await mismatched(await peer.post(message, { headers }));
      }
      assert.deepEqual(used, []);
      await peer.ask(method, params);
      assert.equal(used.length, 1);
      await handler.close();
    });
  }

  for (const name of STRANGE) {
    test(`[ERA-3] the name ${JSON.stringify(name)} comes encoded, and only so`, async () => {
      const { handler, used, peer } = world();
      await peer.ask("prompts/get", { name });
      assert.deepEqual(used, [name]);
      // What a header can hold at all is sent as it is, byte by byte.
      const raw = [...new TextEncoder().encode(name)].map((byte) => String.fromCharCode(byte));
      const plain = [name, raw.join("")].filter((value) => /^[\t\x20-\x7e\x80-\xff]*$/.test(value));
      for (const value of plain) {
        const message = peer.message("prompts/get", { name }, 1);
        await mismatched(await peer.post(message, { headers: { "mcp-name": value } }));
      }
      assert.deepEqual(used, [name]);
      await handler.close();
    });
  }

  test("[ERA-3] no other request has a name, whatever its parameters say", async () => {
    const { handler, peer } = world();
    await peer.ask("tools/list", { name: "add", uri: "test://readme" });
    await peer.ask("tools/list", {}, { headers: { "mcp-name": "something else" } });
    await handler.close();
  });

  test("[ERA-3] a call without a name is about its parameters, not about its headers", async () => {
    const { handler, peer } = world();
    for (const name of [undefined, 7, null]) {
      const error = await peer.error(await peer.request("tools/call", { name }));
      assert.equal(error.code, -32602);
    }
    await handler.close();
  });

  test("[ERA-3] the refusal says which header, and no value of anybody's", async () => {
    const { handler, peer } = world();
    const headers = { "mcp-name": "Bearer-secret" };
    const message = await mismatched(await peer.request("tools/call", call, { headers }));
    assert.match(message, /Mcp-Name/);
    assert.doesNotMatch(message, /secret/);
    await handler.close();
  });
});

describe("ERA: headers that repeat arguments", () => {
  const accepted: readonly (readonly [string, JsonObject, Extra])[] = [
    ["no marked argument", { region: "us" }, {}],
    ["a text", { zone: "b" }, { "mcp-param-zone": "b" }],
    ["a header's name in another case", { zone: "b" }, { "MCP-PARAM-ZONE": "b" }],
    ["an empty text", { zone: "" }, { "mcp-param-zone": "" }],
    ["an encoded text", { zone: "Grüße" }, { "mcp-param-zone": headerValue("Grüße") }],
    ["a text encoded without need", { zone: "b" }, { "mcp-param-zone": "=?base64?Yg==?=" }],
    ["a padded text", { zone: " b " }, { "mcp-param-zone": headerValue(" b ") }],
    ["an integer", { size: 42 }, { "mcp-param-size": "42" }],
    ["an integer written with a fraction", { size: 42 }, { "mcp-param-size": "42.0" }],
    ["a negative integer", { size: -7 }, { "mcp-param-size": "-7" }],
    ["an encoded integer", { size: 42 }, { "mcp-param-size": "=?base64?NDI=?=" }],
    ["a boolean", { dry: false }, { "mcp-param-dry": "false" }],
    ["an argument in another", { box: { lid: "shut" } }, { "mcp-param-lid": "shut" }],
    ["the object without it", { box: {} }, {}],
    ["several", { zone: "b", size: 1, dry: true }, {
      "mcp-param-zone": "b",
      "mcp-param-size": "1",
      "mcp-param-dry": "true",
    }],
  ];
  for (const [what, args, headers] of accepted) {
    test(`[ERA-3] ${what}: the call is answered`, async () => {
      const { handler, used, peer } = world();
      const params = { name: "query", arguments: args };
      assert.equal(
        textOf(await peer.result(await peer.request("tools/call", params, { headers }))),
        "query",
      );
      assert.deepEqual(used, ["query"]);
      await handler.close();
    });
  }

  const refusedOnes: readonly (readonly [string, JsonObject, Extra])[] = [
    ["a missing header", { zone: "b" }, {}],
    ["another text", { zone: "b" }, { "mcp-param-zone": "c" }],
    ["the text in another case", { zone: "b" }, { "mcp-param-zone": "B" }],
    ["the text twice", { zone: "b" }, { "mcp-param-zone": "b, b" }],
    ["an empty header for a text", { zone: "b" }, { "mcp-param-zone": "" }],
    ["a header without an argument", {}, { "mcp-param-zone": "b" }],
    ["a header for an argument that is null", { zone: null }, { "mcp-param-zone": "null" }],
    ["a header without any arguments", {}, { "mcp-param-size": "1" }],
    ["a text that is badly encoded", { zone: "b" }, { "mcp-param-zone": "=?base64?Yg?=" }],
    ["bytes that are no text", { zone: "b" }, { "mcp-param-zone": "=?base64?/w==?=" }],
    ["raw characters outside ASCII", { zone: "é" }, { "mcp-param-zone": "é" }],
    ["another integer", { size: 42 }, { "mcp-param-size": "43" }],
    ["an integer that is none", { size: 42 }, { "mcp-param-size": "42x" }],
    ["an integer in another notation", { size: 42 }, { "mcp-param-size": "0x2a" }],
    ["an empty header for 0", { size: 0 }, { "mcp-param-size": "" }],
    ["a boolean in capitals", { dry: true }, { "mcp-param-dry": "True" }],
    ["a boolean as a number", { dry: true }, { "mcp-param-dry": "1" }],
    ["another one in an object", { box: { lid: "shut" } }, { "mcp-param-lid": "open" }],
    ["a missing one for an object's", { box: { lid: "shut" } }, {}],
  ];
  for (const [what, args, headers] of refusedOnes) {
    test(`[ERA-3] ${what} → 400 / -32020, and nothing is called`, async () => {
      const { handler, used, peer } = world();
      const params = { name: "query", arguments: args };
      const response = await peer.request("tools/call", params, { headers });
      assert.match(await mismatched(response), /Mcp-Param-(Zone|Size|Dry|Lid)/);
      assert.deepEqual(used, []);
      await handler.close();
    });
  }

  test("[ERA-3] they are of one tool alone, and of the newer era alone", async () => {
    const { handler, used, peer } = world();
    const headers = { "mcp-param-zone": "nothing" };
    await peer.result(await peer.request("tools/call", { name: "add" }, { headers }));
    const old = await initialize(handler);
    await old.result(await old.call(1, "query", { zone: "b" }, headers));
    assert.deepEqual(used, ["add", "query"]);
    await handler.close();
  });
});

describe("ERA: versions that aren't served", () => {
  for (const version of ["2027-01-01", "2025-11-25", "2024-11-05", "latest", "", "constructor"]) {
    test(`[ERA-3] the envelope of ${JSON.stringify(version)} → 400 / -32022 with the list`, async () => {
      const { handler, used, peer } = world();
      const _meta = envelope({}, { [MetaKey.ProtocolVersion]: version });
      const message = peer.message("tools/call", { name: "add", _meta }, "v");
      const response = await peer.post(message, { headers: { "mcp-protocol-version": version } });
      assertValid(MODERN, "UnsupportedProtocolVersionError", await response.clone().json());
      const { data } = await refused(response, 400, -32022, "v");
      assert.deepEqual(data, { supported: ALL, requested: version });
      assert.deepEqual(used, []);
      await handler.close();
    });
  }
});

describe("ERA: which of several wrongs is told", () => {
  const other = "2027-01-01";
  const versioned = envelope({}, { [MetaKey.ProtocolVersion]: other });
  const bare = { [MetaKey.ProtocolVersion]: MODERN };
  const cases: readonly (readonly [string, string, JsonObject, Extra, number, number])[] = [
    [
      "a malformed envelope before a wrong header",
      "tools/list",
      { _meta: bare },
      { "mcp-method": "x" },
      400,
      -32602,
    ],
    [
      "a wrong version header before a version that isn't served",
      "tools/list",
      { _meta: versioned },
      { "mcp-protocol-version": MODERN },
      400,
      -32020,
    ],
    [
      "a missing version header before a version that isn't served",
      "tools/list",
      { _meta: versioned },
      { "mcp-protocol-version": undefined },
      400,
      -32020,
    ],
    [
      "a version that isn't served before the other headers",
      "tools/list",
      { _meta: versioned },
      { "mcp-protocol-version": other, "mcp-method": "x" },
      400,
      -32022,
    ],
    [
      "a version that isn't served before a method that nobody knows",
      "no/such",
      { _meta: versioned },
      { "mcp-protocol-version": other },
      400,
      -32022,
    ],
    [
      "a wrong header before a method that nobody knows",
      "no/such",
      {},
      { "mcp-method": "tools/list" },
      400,
      -32020,
    ],
    [
      "a wrong header before wrong parameters",
      "tools/call",
      { name: "no such tool" },
      { "mcp-name": "x" },
      400,
      -32020,
    ],
  ];
  for (const [what, method, params, headers, status, code] of cases) {
    test(`[ERA-3] ${what}`, async () => {
      const { handler, peer } = world();
      const own = peer.message(method, {}, 1);
      const { _meta } = own.params as JsonObject;
      const message = { ...own, params: { _meta, ...params } };
      await refused(await peer.post(message, { headers }), status, code, 1);
      await handler.close();
    });
  }
});

describe("ERA: methods", () => {
  const removed = [
    "initialize",
    "ping",
    "logging/setLevel",
    "resources/subscribe",
    "resources/unsubscribe",
  ];
  const never = [
    "sampling/createMessage",
    "elicitation/create",
    "roots/list",
    "notifications/cancelled",
    "notifications/tools/list_changed",
    "no/such",
    "Tools/List",
    "constructor",
    "__proto__",
  ];
  for (const method of [...removed, ...never]) {
    const why = removed.includes(method) ? "was removed" : "never was one to be asked";
    test(`[ERA-3] [ERA-6] ${method} ${why} → 404 / -32601 with the request's id`, async () => {
      const { handler, used, peer } = world();
      for (const id of ["m", 0, ""]) {
        const params = { level: "debug", uri: "test://readme", requestId: 1 };
        const response = await peer.post(peer.message(method, params, id));
        await refused(response, 404, -32601, id);
      }
      assert.deepEqual(used, []);
      await handler.close();
    });
  }

  test("[ERA-6] what was removed still serves the older era", async () => {
    const { handler } = world();
    const old = await initialize(handler);
    await old.result(await old.request(1, "ping"));
    await old.result(await old.request(2, "logging/setLevel", { level: "error" }));
    await old.result(await old.request(3, "resources/subscribe", { uri: "test://readme" }));
    await handler.close();
  });

  test("[ERA-3] a method that its server doesn't serve → 404 / -32601", async () => {
    const handler = createMcpHandler(new McpServer({ name: "bare", version: "1.0.0" }));
    const peer = new ModernPeer(handler);
    for (const method of ["tools/list", "tools/call", "completion/complete", "prompts/get"]) {
      const { status, code } = await peer.error(await peer.request(method, { name: "x" }), method);
      assert.deepEqual([status, code], [404, -32601]);
    }
    await handler.close();
  });
});

describe("ERA: messages that are no requests", () => {
  const headers = { "mcp-protocol-version": MODERN, "mcp-method": "tools/list" };

  test("[ERA-3] batches → 400, of whatever", async () => {
    const { handler, used, peer } = world();
    const call = peer.message("tools/call", { name: "add" });
    const batches = [[], [call], [call, call], [{ jsonrpc: "2.0", method: "notifications/x" }]];
    for (const batch of batches) {
      for (const version of [MODERN, undefined]) {
        const own = { ...headers, "mcp-protocol-version": version };
        const response = await peer.post(batch, { headers: own });
        assert.equal(response.status, 400);
        assert.equal((await response.json()).id, null);
      }
    }
    assert.deepEqual(used, []);
    await handler.close();
  });

  test("[ERA-3] replies → 400: what is asked is answered in the next call", async () => {
    const { handler, peer } = world();
    const replies = [{ result: {} }, { error: { code: 1, message: "No" } }];
    for (const reply of replies) {
      const response = await peer.post({ jsonrpc: "2.0", id: 1, ...reply }, { headers });
      const { message } = await refused(response, 400, -32600);
      assert.match(message, /inputResponses/);
    }
    await handler.close();
  });

  test("[ERA-3] [CAN-2] notifications → 202, and a cancelling one cancels nothing", async () => {
    const blocker = new Blocker();
    const handler = createMcpHandler(new Stub({ block: blocker.act }));
    const peer = new ModernPeer(handler, { accept: "application/json" });
    const call = peer.post(peer.message("tools/call", { name: "block" }, 7));
    await blocker.running();
    for (const _meta of [envelope(), undefined]) {
      const params = { requestId: 7, ...(_meta && { _meta }) };
      const cancel = { jsonrpc: "2.0", method: "notifications/cancelled", params };
      const response = await peer.post(cancel, { headers });
      assert.equal(response.status, 202);
      assert.equal(await response.text(), "");
    }
    assert.deepEqual(blocker.reasons, []);
    blocker.gate.open("done");
    const { result } = await (await call).json();
    assert.equal(textOf(result), "done");
    await handler.close();
  });
});

describe("ERA: no sessions and no resuming", () => {
  test("[ERA-4] a session id changes nothing: a real one, a foreign one, nonsense", async () => {
    const events = new Events();
    const { handler } = world({ authenticate: byToken, onEvent: events.onEvent });
    const alice = await initialize(handler, { headers: as("alice") });
    const bob = new ModernPeer(handler, { headers: as("bob") });
    const answers = [];
    for (const id of [undefined, alice.sessionId, "", "A".repeat(43), "../etc", "constructor"]) {
      const message = bob.message("tools/call", { name: "add" }, 1);
      const response = await bob.post(message, { headers: { "mcp-session-id": id } });
      answers.push(await seen(response));
    }
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    assert.deepEqual(events.refusals, []);
    await alice.result(await alice.request(1, "ping"));
    assert.equal(handler.stats().sessions, 1);
    await handler.close();
  });

  test("[ERA-4] a session is not kept alive by what names it in passing", async () => {
    const { handler } = world({ limits: { sessions: 2 } });
    const first = await initialize(handler);
    const second = await initialize(handler);
    const peer = new ModernPeer(handler);
    const headers = { "mcp-session-id": first.sessionId };
    await peer.result(await peer.request("tools/call", { name: "add" }, { headers }));
    await initialize(handler);
    // The oldest went, although it was named last.
    assert.equal((await first.request(1, "ping")).status, 404);
    assert.equal((await second.request(1, "ping")).status, 200);
    await handler.close();
  });

  test("[ERA-4] Last-Event-ID changes nothing, and no event has an id", async () => {
    const server = new McpServer({ name: "talker", version: "1.0.0" });
    server.registerTool("talk", {}, (_args, ctx) => {
      for (const progress of [1, 2, 3]) ctx.progress(progress);
      return "done";
    });
    const handler = createMcpHandler(server);
    const peer = new ModernPeer(handler);
    for (const id of [undefined, "s.1", "1", ""]) {
      const _meta = { progressToken: "t" };
      const headers = { "last-event-id": id };
      const response = await peer.call("talk", {}, { _meta }, { headers });
      // Looks at every frame for an id.
      assert.equal((await peer.frames(response).messages()).length, 4);
    }
    assert.equal(handler.stats().streams, 0);
    await handler.close();
  });

  test("[ERA-4] GET and DELETE are of the older era, whatever their headers say", async () => {
    const { handler } = world();
    const old = await initialize(handler);
    const nobody = new Peer(handler);
    const headers = headersFor("tools/list");
    for (const response of [await nobody.get(undefined, headers), await nobody.delete(headers)]) {
      await refused(response, 400, -32000);
    }
    await refused(await old.get(undefined, headers), 400, -32000);
    const frames = await old.listen();
    assert.equal((await old.delete()).status, 204);
    await frames.rest();
    await handler.close();
  });
});

describe("ERA: bounds", () => {
  test("[ERA-3] [STR-11] with everything busy → 503 with the request's id, and the place comes back", async () => {
    const blocker = new Blocker();
    const stub = new Stub({ block: blocker.act, add: () => text("added") });
    const handler = createMcpHandler(stub, { limits: { requests: 1 } });
    const peer = new ModernPeer(handler, { accept: "application/json" });
    const first = peer.call("block");
    await blocker.running();
    const response = await peer.post(peer.message("tools/call", { name: "add" }, "late"));
    assert.equal(response.headers.get("retry-after"), "1");
    await refused(response, 503, -32603, "late");
    blocker.gate.open("done");
    await first;
    assert.equal(handler.stats().requests, 0);
    await handler.close();
  });

  test("[ERA-3] [STR-11] with every stream taken, the answer comes whole", async () => {
    const server = new McpServer({ name: "talker", version: "1.0.0" });
    server.registerTool("talk", {}, async (_args, ctx) => {
      ctx.progress(1);
      await Promise.resolve();
      return "done";
    });
    const events = new Events();
    const limits = { streams: 0 };
    const handler = createMcpHandler(server, { limits, onEvent: events.onEvent });
    const peer = new ModernPeer(handler);
    const _meta = { progressToken: 1 };
    const json = await peer.call("talk", {}, { _meta });
    assert.equal(json.headers.get("content-type"), "application/json");
    assert.equal(textOf(await peer.result(json)), "done");
    const only = peer.with({ accept: "text/event-stream" });
    const messages = await only.frames(await only.call("talk", {}, { _meta })).messages();
    assert.equal(messages.length, 1);
    assert.deepEqual(events.of("message-dropped").map(({ reason }) => reason), [
      "no-stream",
      "no-stream",
    ]);
    const { requests, streams } = handler.stats();
    assert.deepEqual({ requests, streams }, { requests: 0, streams: 0 });
    await handler.close();
  });

  test("[ERA-1] [END-1] while it closes → 503 with the request's id", async () => {
    const { handler, peer } = world();
    const closed = handler.close();
    for (const method of ["tools/list", "subscriptions/listen"]) {
      const params = { notifications: {} };
      const response = await peer.post(peer.message(method, params, "late"));
      assert.equal(response.headers.get("retry-after"), "1");
      await refused(response, 503, -32603, "late");
    }
    await closed;
  });
});
