import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Authorize } from "../../src/auth/authorize.ts";
import { Forbidden } from "../../src/auth/errors.ts";
import { gateway, http, local } from "../../src/gateway/mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import type { Dispatcher } from "../../src/protocol/exchange.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { ResourceTemplate } from "../../src/server/uris/resource_template.ts";
import { McpServer } from "../../src/server/server.ts";
import { FakeClock } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { as, byToken, Events, initialize, seen, Stub } from "../support/wire.ts";

const SECRET = "test://secret";
const TEMPLATE = "secret://{id}";

/** A server with resources and a prompt that not everybody may have, or the same without them. */
function makeServer(withSecret = true): McpServer {
  const server = new McpServer({ name: "lists", version: "1.0.0" });
  const complete = { word: () => ["one"] };
  server.registerResource("open", "test://open", {}, () => "Open");
  server.registerResource("opens", "open://{word}", {}, () => "Open");
  server.registerPrompt("open", { complete }, () => "Open");
  const list = () => ({
    resources: [{ uri: "listed://1", name: "1" }, { uri: "listed://secret", name: "2" }]
      .filter(({ name }) => withSecret || name === "1"),
  });
  const listing = new ResourceTemplate("listed://{id}", { list });
  server.registerResource("listed", listing, {}, (uri) => uri.href);
  if (!withSecret) return server;
  server.registerResource("secret", SECRET, {}, () => "Secret");
  const template = new ResourceTemplate(TEMPLATE, { complete: { id: () => ["1"] } });
  server.registerResource("secrets", template, {}, () => "Secret");
  server.registerPrompt("secret", { complete }, () => "Secret");
  return server;
}

/** Only root may have what is secret. */
const guard: Authorize = ({ id }, { method, params: { uri, name } }) =>
  id === "root" ||
  !(method === "resources/read" && /secret/.test(String(uri))) &&
    !(method === "prompts/get" && /secret$/.test(String(name)));

/** Each way to a server, and the prefix of its prompts there. */
const WAYS: readonly [string, string, (server: Dispatcher) => Dispatcher][] = [
  ["directly", "", (server) => server],
  ["behind a gateway", "n__", (server) => gateway({ upstreams: { n: local(server) } })],
  ["as the only upstream", "", (server) => gateway({ upstreams: { n: local(server) } }).only("n")],
  ["behind a gateway with others", "n__", (server) => {
    const other = new McpServer({ name: "other", version: "1.0.0" });
    other.registerResource("other", "other://1", {}, () => "Other");
    return gateway({ upstreams: { n: local(server), o: local(other) } });
  }],
  ["behind a gateway over HTTP", "n__", (server) => {
    const there = createMcpHandler(server);
    const fetch = (url: string, init: RequestInit) => there(new Request(url, init));
    return gateway({ upstreams: { n: http({ url: "http://localhost/mcp", fetch }) } });
  }],
];

function serve(dispatcher: Dispatcher, options: McpHandlerOptions = {}): McpHandler {
  return createMcpHandler(dispatcher, { authenticate: byToken, authorize: guard, ...options });
}

/** What a client sees, without what is random or of the moment. */
async function told(response: Response): Promise<unknown> {
  const { status, headers, body } = await seen(response);
  return { status, headers, body: body.replace(/^id: [^.\n]+/gm, "id: x") };
}

function requests(prefix: string): [string, JsonObject][] {
  const name = `${prefix}secret`;
  const argument = { name: "word", value: "" };
  return [
    ["resources/read", { uri: SECRET }],
    ["resources/read", { uri: SECRET, _meta: { progressToken: 1 } }],
    ["resources/read", { uri: SECRET, requestState: "x" }],
    ["resources/read", { uri: "secret://1" }],
    ["resources/subscribe", { uri: SECRET }],
    ["resources/subscribe", { uri: "secret://1" }],
    ["resources/unsubscribe", { uri: SECRET }],
    ["prompts/get", { name }],
    ["prompts/get", { name, arguments: {} }],
    ["prompts/get", { name, arguments: { x: 1 } }],
    ["completion/complete", { ref: { type: "ref/prompt", name }, argument }],
    ["completion/complete", { ref: { type: "ref/prompt", name } }],
    ["completion/complete", { ref: { type: "ref/resource", uri: SECRET }, argument }],
    ["completion/complete", { ref: { type: "ref/resource", uri: TEMPLATE }, argument }],
    ["completion/complete", { ref: { type: "ref/resource", uri: TEMPLATE } }],
  ];
}

const LISTS = ["resources/list", "resources/templates/list", "prompts/list"];

describe("AUTH: resources and prompts", () => {
  for (const [way, prefix, wrap] of WAYS) {
    test(`[AUTH-5] one that is refused is as unknown as one that isn't there, ${way}, in both eras`, async () => {
      const answers: unknown[][] = [];
      for (const withSecret of [true, false]) {
        const handler = serve(wrap(makeServer(withSecret)));
        const own: unknown[] = [];
        const peer = await initialize(handler, { headers: as("ben") });
        const modern = new ModernPeer(handler, { headers: as("ben") });
        for (const method of LISTS) {
          own.push(await told(await peer.request("a", method)));
          own.push(await told(await modern.post(modern.message(method, {}, 7))));
        }
        for (const [method, params] of requests(prefix)) {
          own.push(method, await told(await peer.request("a", method, params)));
          own.push(method, await told(await modern.post(modern.message(method, params, 7))));
        }
        answers.push(own);
        await handler.close();
      }
      const [hidden, unknown] = answers;
      for (const [index, answer] of (hidden ?? []).entries()) {
        assert.deepEqual(answer, unknown?.[index]);
      }
    });

    test(`[AUTH-5] who can't subscribe to more can't find out by that either, ${way}`, async () => {
      const answers: unknown[] = [];
      for (const withSecret of [true, false]) {
        // Only what is there is hidden
        const authorize: Authorize = (_, { params }) => !withSecret || params.uri !== SECRET;
        const handler = serve(wrap(makeServer(withSecret)), { authorize });
        const peer = await initialize(handler, { headers: as("ben") });
        for (let n = 0; n < 100; n++) {
          await peer.result(await peer.request(n, "resources/subscribe", { uri: `open://${n}` }));
        }
        answers.push(await told(await peer.request("a", "resources/subscribe", { uri: SECRET })));
        await handler.close();
      }
      assert.deepEqual(answers[0], answers[1]);
    });

    test(`[AUTH-5] who may have it, has it, ${way}`, async () => {
      const handler = serve(wrap(makeServer()));
      const peer = await initialize(handler, { headers: as("root") });
      const modern = new ModernPeer(handler, { headers: as("root") });
      for (const method of LISTS) {
        assert.match(JSON.stringify(await peer.result(await peer.request(1, method))), /secret/);
        assert.match(JSON.stringify(await modern.ask(method)), /secret/);
      }
      for (const [method, params] of requests(prefix)) {
        const isComplete = !/argument/.test(method) && params.requestState === undefined &&
          (method !== "completion/complete" || params.argument !== undefined);
        if (!isComplete) continue;
        await peer.result(await peer.request(1, method, params));
      }
      await modern.ask("resources/read", { uri: SECRET });
      await modern.ask("prompts/get", { name: `${prefix}secret` });
      await handler.close();
    });
  }

  test("[AUTH-5] it is never read, and only the operator is told", async () => {
    const events = new Events();
    const stub = new Stub({}, { "resources/read": () => ({}), "prompts/get": () => ({}) });
    const handler = serve(stub, { onEvent: events.onEvent });
    const peer = await initialize(handler, { headers: as("ben") });
    const read = await peer.json(await peer.request(1, "resources/read", { uri: SECRET }));
    assert.deepEqual(read.error, {
      code: -32002,
      message: "Resource not found",
      data: { uri: SECRET },
    });
    const got = await peer.json(await peer.request(2, "prompts/get", { name: "secret" }));
    assert.deepEqual(got.error, { code: -32602, message: 'Unknown prompt: "secret"' });
    assert.ok(!stub.exchanges.some(({ method }) => /read|get/.test(method)));
    assert.deepEqual(
      events.of("refused").map(({ status, reason, method }) => [status, reason, method]),
      [
        [200, "hidden", "resources/read"],
        [200, "hidden", "prompts/get"],
      ],
    );
    await handler.close();
  });

  test("[AUTH-5] lists of a dispatcher that filters nothing by itself are filtered", async () => {
    const stub = new Stub({}, {
      "resources/list": () => ({
        resources: [{ uri: "a://1", name: "a" }, { uri: SECRET, name: "b" }],
      }),
      "resources/templates/list": () => ({
        resourceTemplates: [{ uriTemplate: TEMPLATE, name: "a" }, { uriTemplate: "b", name: "b" }],
      }),
      "prompts/list": () => ({ prompts: [{ name: "secret" }, { name: "open" }] }),
    });
    const handler = serve(stub);
    const peer = await initialize(handler, { headers: as("ben") });
    const list = async (method: string) => await peer.result(await peer.request(1, method));
    assert.deepEqual((await list("resources/list")).resources, [{ uri: "a://1", name: "a" }]);
    assert.deepEqual((await list("resources/templates/list")).resourceTemplates, [
      { uriTemplate: "b", name: "b" },
    ]);
    assert.deepEqual((await list("prompts/list")).prompts, [{ name: "open" }]);
    await handler.close();
  });

  test("[AUTH-5] pages are full and end where they should, listed resources too", async () => {
    const server = new McpServer({ name: "many", version: "1.0.0" });
    const shows = (n: number) => n % 3 === 0;
    for (let n = 0; n < 10; n++) server.registerResource(`r${n}`, `r://${n}`, {}, () => "");
    const resources = [...Array(10).keys()].map((n) => ({ uri: `l://${n}`, name: `l${n}` }));
    const template = new ResourceTemplate("l://{n}", { list: () => ({ resources }) });
    server.registerResource("l", template, {}, () => "");
    const handler = serve(server, {
      limits: { page: 3 },
      authorize: (_, { method, params }) =>
        method !== "resources/read" || shows(Number(String(params.uri).slice(4))),
    });
    const peer = await initialize(handler, { headers: as("ben") });
    const pages: unknown[][] = [];
    let cursor: unknown;
    do {
      const params = cursor === undefined ? {} : { cursor };
      const page = await peer.result(await peer.request(1, "resources/list", params));
      assert.ok(Array.isArray(page.resources));
      pages.push(page.resources.map(({ uri }) => uri));
      cursor = page.nextCursor;
    } while (cursor !== undefined && pages.length < 10);
    const expected = ["r", "l"].flatMap((kind) => [0, 3, 6, 9].map((n) => `${kind}://${n}`));
    assert.deepEqual(pages.flat(), expected);
    assert.ok(pages.slice(0, -1).every(({ length }) => length === 3));
    await handler.close();
  });

  test("[AUTH-5] a subscription of 2026 acknowledges what is hidden like what isn't there, and is silent on it", async () => {
    const messages: unknown[][] = [];
    for (const withSecret of [true, false]) {
      const clock = new FakeClock();
      const server = makeServer(withSecret);
      const handler = serve(server, { clock });
      const modern = new ModernPeer(handler, { headers: as("ben") });
      const uris = ["test://open", SECRET];
      const response = await modern.post(modern.message("subscriptions/listen", {
        notifications: { resourceSubscriptions: uris },
      }, 1));
      for (const uri of uris) server.resourceUpdated(uri);
      await clock.advance(250);
      await handler.close();
      const frames = await modern.frames(response, "subscriptions/listen").messages();
      messages.push(frames.map(({ method, params }) => {
        const { notifications, uri } = isObject(params) ? params : {};
        return [method, notifications, uri];
      }));
    }
    assert.deepEqual(messages[0]?.filter((one) => JSON.stringify(one).includes("updated")), [
      ["notifications/resources/updated", undefined, "test://open"],
    ]);
    assert.deepEqual(messages[0]?.[0], messages[1]?.[0]);
  });

  test("[AUTH-5] one that needs more scopes is listed, and a use of it is told them", async () => {
    const handler = serve(makeServer(), {
      authorize(_, { method, params }) {
        if (method === "resources/read" && params.uri === SECRET) {
          throw new Forbidden("More", { scopes: ["secrets"] });
        }
        return true;
      },
    });
    const peer = await initialize(handler, { headers: as("ben") });
    const listed = await peer.result(await peer.request(1, "resources/list"));
    assert.match(JSON.stringify(listed), /secret/);
    for (const method of ["resources/read", "resources/subscribe"]) {
      const response = await peer.request(1, method, { uri: SECRET });
      assert.equal(response.status, 403);
      assert.match(String(response.headers.get("www-authenticate")), /scope="secrets"/);
      await response.body?.cancel();
    }
    await handler.close();
  });

  test("[AUTH-5] a request that is refused for an item that isn't is an unknown method", async () => {
    for (const [method, params] of requests("").slice(4)) {
      if (method === "prompts/get") continue;
      const handler = serve(makeServer(), { authorize: (_, message) => message.method !== method });
      const peer = await initialize(handler, { headers: as("ben") });
      const { error } = await peer.json(await peer.request(1, method, params));
      assert.deepEqual(error, { code: -32601, message: `Unknown method: "${method}"` });
      await handler.close();
    }
  });

  test("[AUTH-5] the list is as unknown as any method where it is refused too", async () => {
    const handler = serve(makeServer(), {
      authorize: (principal, message) =>
        guard(principal, message) && (principal.id === "root" || !/\/list$/.test(message.method)),
    });
    const ben = await initialize(handler, { headers: as("ben") });
    for (const method of LISTS) {
      const { error } = await ben.json(await ben.request(1, method));
      assert.deepEqual(error, { code: -32601, message: `Unknown method: "${method}"` });
    }
    await handler.close({ graceMs: 0 });
  });
});
