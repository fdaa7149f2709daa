import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isPromise } from "../../../src/internal/types.ts";
import { McpError } from "../../../src/protocol/errors.ts";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { toBase64 } from "../../../src/internal/base64.ts";
import { ResourceTemplate } from "../../../src/server/uris/resource_template.ts";
import { FakeExchange, FakeSession } from "../../support/exchange.ts";
import { dispatch } from "../../../src/protocol/route.ts";
import { makeServer, rejectsWith, request } from "./helpers.ts";

const uri = "test://one";

describe("resources/read", () => {
  const forms: readonly [string, unknown, readonly JsonObject[]][] = [
    ["a text", "hello", [{ uri, mimeType: "text/plain", text: "hello" }]],
    ["bytes", new Uint8Array([1, 2, 255]), [{ uri, mimeType: "text/plain", blob: "AQL/" }]],
    ["contents", { mimeType: "image/png", blob: "AA==" }, [
      { uri, mimeType: "image/png", blob: "AA==" },
    ]],
    ["pieces", [{ text: "a" }, { uri: "a://b", text: "b" }], [
      { uri, mimeType: "text/plain", text: "a" },
      { uri: "a://b", mimeType: "text/plain", text: "b" },
    ]],
    ["a full result", { contents: [{ uri, mimeType: "a/b", text: "a" }] }, [
      { uri, mimeType: "a/b", text: "a" },
    ]],
  ];
  for (const [what, returned, contents] of forms) {
    test(`[SRV-1] takes ${what}, now or later`, async () => {
      const server = makeServer();
      const config = { mimeType: "text/plain" };
      const handle = server.registerResource("one", uri, config, () => returned as string);
      const now = dispatch(server, new FakeExchange("resources/read", { uri }));
      assert.ok(!isPromise(now));
      assert.deepEqual(now, { contents });
      handle.update({ callback: async () => returned as string });
      assert.deepEqual(await request(server, "resources/read", { uri }), { contents });
    });
  }

  test("[SRV-1] gives the URI and the context, and a template's variables between them", async () => {
    const server = makeServer();
    server.registerResource("fixed", "test://users/me", {}, (url, ctx) => {
      return `${url.href} ${ctx.principal.id}`;
    });
    server.registerResource("user", "test://users/{id}", {}, (url, { id }, ctx) => {
      return `${url.href} ${id} ${ctx.principal.id}`;
    });
    const other = new ResourceTemplate("test://{+path}", { list: undefined });
    server.registerResource("other", other, {}, (_url, { path }) => `other ${path}`);
    const read = async (uri: string) => {
      const { contents } = await request(server, "resources/read", { uri });
      return contents;
    };
    assert.deepEqual(await read("test://users/me"), [
      { uri: "test://users/me", text: "test://users/me alice" },
    ]);
    assert.deepEqual(await read("test://users/a%20b"), [
      { uri: "test://users/a%20b", text: "test://users/a%20b a b alice" },
    ]);
    assert.deepEqual(await read("test://users/1/2"), [
      { uri: "test://users/1/2", text: "other users/1/2" },
    ]);
  });

  test("an unknown resource is told by each era's own code, with its URI", async () => {
    const server = makeServer();
    const handle = server.registerResource("one", uri, {}, () => "x");
    server.registerResource("some", "test://some/{id}", {}, () => "x");
    const template = server.registerResource("gone", "test://gone/{id}", {}, () => "x");
    handle.disable();
    template.disable();
    for (
      const uri of ["test://one", "test://two", "test://some/", "test://gone/1", "nothing", ""]
    ) {
      for (
        const [protocolVersion, code] of [["2025-11-25", -32002], ["2026-07-28", -32602]] as const
      ) {
        const error = await rejectsWith(code, /^Resource not found$/, () => {
          return request(server, "resources/read", { uri }, { protocolVersion });
        });
        assert.deepEqual(error.data, { uri });
      }
    }
    await rejectsWith(-32602, /"uri"/, () => request(server, "resources/read", { uri: 7 }));
  });

  test("a URI that fits a template but is none is refused", async () => {
    const server = makeServer();
    server.registerResource("any", "{+anything}", {}, () => "x");
    const error = await rejectsWith(-32602, /^Give an absolute URI: "no uri"$/, () => {
      return request(server, "resources/read", { uri: "no uri" });
    });
    assert.deepEqual(error.data, { uri: "no uri" });
  });

  test("[SRV-2] tells nobody why reading failed but the operator", async () => {
    const server = makeServer();
    const secret = new Error("secret");
    const failures: Record<string, () => unknown> = {
      "throws": () => {
        throw secret;
      },
      "rejects": () => Promise.reject(secret),
      "returns": () => 7,
      "resolves": async () => ({}),
    };
    for (const [name, run] of Object.entries(failures)) {
      server.registerResource(name, `test://${name}`, {}, run as () => string);
      const exchange = new FakeExchange("resources/read", { uri: `test://${name}` });
      await rejectsWith(-32603, /^Internal error$/, () => dispatch(server, exchange));
      assert.equal(exchange.reported.length, 1);
    }
    const error = new McpError(7, "Not today");
    server.registerResource("mcp", "test://mcp", {}, () => Promise.reject(error));
    await rejectsWith(7, /^Not today$/, () => {
      return request(server, "resources/read", { uri: "test://mcp" });
    });
  });

  test("a stopped read ends with the reason it was stopped for", async () => {
    const server = makeServer();
    const reason = new Error("stopped");
    const exchange = new FakeExchange("resources/read", { uri });
    server.registerResource("one", uri, {}, () => {
      exchange.abort(reason);
      throw new Error("other");
    });
    await assert.rejects(async () => dispatch(server, exchange), reason);
  });
});

describe("registerResource()", () => {
  test("lists what there is to say", async () => {
    const server = makeServer();
    const config = {
      title: "One",
      description: "The first",
      mimeType: "text/plain",
      size: 3,
      annotations: { audience: ["user" as const] },
      icons: [{ src: "https://a.example/i.png" }],
      _meta: { a: 1 },
    };
    const handle = server.registerResource("one", uri, config, () => "x");
    server.registerResource("some", "test://{id}", config, () => "x");
    assert.deepEqual(await request(server, "resources/list"), {
      resources: [{ uri, name: "one", ...config }],
    });
    assert.deepEqual(await request(server, "resources/templates/list"), {
      resourceTemplates: [{ uriTemplate: "test://{id}", name: "some", ...config }],
    });
    handle.update({ title: "Uno", callback: () => "y" });
    const { resources } = await request(server, "resources/list");
    assert.deepEqual(resources, [{ uri, name: "one", ...config, title: "Uno" }]);
  });

  test("refuses what can't be served", () => {
    const server = makeServer();
    server.registerResource("one", uri, {}, () => "x");
    server.registerResource("some", "test://{id}", {}, () => "x");
    assert.throws(() => server.registerResource("two", uri, {}, () => "x"), /once: "test:\/\/one"/);
    assert.throws(() => server.registerResource("two", "test://{id}", {}, () => "x"), TypeError);
    assert.throws(() => server.registerResource("two", "no uri", {}, () => "x"), /absolute URI/);
    assert.throws(() => server.registerResource("two", "test://{id", {}, () => "x"), TypeError);
    assert.throws(() => server.registerResource("", "test://two", {}, () => "x"), TypeError);
    const none = undefined as unknown as () => string;
    assert.throws(() => server.registerResource("two", "test://two", {}, none), TypeError);
    const complete = { other: () => [] };
    assert.throws(() => new ResourceTemplate("a://{id}" as string, { complete }), /"other"$/);
  });
});

describe("toBase64()", () => {
  test("encodes any number of bytes", () => {
    for (const length of [0, 1, 2, 3, 8_191, 8_192, 8_193, 100_000]) {
      const bytes = Uint8Array.from({ length }, (_, i) => i * 7 % 256);
      const back = Uint8Array.from(atob(toBase64(bytes)), (character) => character.charCodeAt(0));
      assert.deepEqual(back, bytes);
    }
  });
});

describe("resources/subscribe", () => {
  test("[SRV-5] subscribes the session to resources that there are", async () => {
    const server = makeServer();
    const session = new FakeSession();
    server.registerResource("one", uri, {}, () => "x");
    server.registerResource("some", "test://some/{id}", {}, () => "x");
    const subscribe = (uri: string) => request(server, "resources/subscribe", { uri }, { session });
    assert.deepEqual(await subscribe(uri), {});
    assert.deepEqual(await subscribe(uri), {});
    assert.deepEqual(await subscribe("test://some/1"), {});
    const error = await rejectsWith(-32002, /^Resource not found$/, () => subscribe("test://two"));
    assert.deepEqual(error.data, { uri: "test://two" });
    assert.deepEqual([...session.subscribed], [uri, "test://some/1"]);
    const unsubscribe = () => request(server, "resources/unsubscribe", { uri }, { session });
    assert.deepEqual(await unsubscribe(), {});
    assert.deepEqual(await unsubscribe(), {});
    assert.deepEqual([...session.subscribed], ["test://some/1"]);
  });

  test("[SRV-5] fails when the session is full, gone or missing", async () => {
    const server = makeServer();
    server.registerResource("one", uri, {}, () => "x");
    const session = new FakeSession();
    const subscribe = () => request(server, "resources/subscribe", { uri }, { session });
    session.outcome = "full";
    await rejectsWith(-32602, /^Unsubscribe/, subscribe);
    session.outcome = "gone";
    const error = await rejectsWith(-32001, /^Session not found$/, subscribe);
    assert.deepEqual(error.data, { retry: "re-initialize" });
    await rejectsWith(-32600, /session/, () => request(server, "resources/subscribe", { uri }));
    assert.deepEqual(await request(server, "resources/unsubscribe", { uri }), {});
  });

  test("[SRV-1] is unknown where it is switched off", async () => {
    const server = makeServer({ resourceSubscriptions: false });
    server.registerResource("one", uri, {}, () => "x");
    for (const method of ["resources/subscribe", "resources/unsubscribe"]) {
      await rejectsWith(-32601, /^Unknown method/, () => request(server, method, { uri }));
    }
  });
});
