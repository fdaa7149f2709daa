/**
 * APIs with an OpenAPI document at which users have accounts.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMcpHandler, type McpHandler } from "../../mod.ts";
import { type AccountAuthOptions, type Accounts, accounts } from "../../src/accounts/mod.ts";
import { parseConfig } from "../../src/cli/config/config.ts";
import { backend } from "../../src/cli/serve/backend.ts";
import { gateway, openapi, type OpenApiOptions } from "../../src/gateway/mod.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { ModernPeer, questionsOf, stateOf } from "../support/modern.ts";
import { as, byToken, initialize } from "../support/wire.ts";
import { type Browser, GATEWAY, KEYS, linkOf, type Service, World } from "./world.ts";

const API = "https://books.example/api";
const METADATA = "https://books.example/.well-known/oauth-protected-resource/api";

const operation = (operationId: string, security?: readonly JsonObject[]) => ({
  operationId,
  responses: {},
  ...security !== undefined && { security },
});

/** An API whose operations need an account, a key, both, or nothing. */
const DOCUMENT = {
  openapi: "3.1.0",
  info: { title: "Books", version: "1.0.0" },
  servers: [{ url: API }],
  components: {
    securitySchemes: {
      account: { type: "openIdConnect", openIdConnectUrl: "https://login-books.example" },
      key: { type: "apiKey", in: "header", name: "x-key" },
    },
  },
  security: [{ account: [] }],
  paths: {
    "/mine": { get: operation("mine"), post: operation("add") },
    "/news": { get: operation("news", []) },
    "/both": { get: operation("both", [{ account: [], key: [] }]) },
  },
};

/** Books, users, and a gateway. */
interface Books {
  readonly world: World;
  readonly service: Service;
  readonly own: Accounts;
  readonly handler: McpHandler;
  /** The headers of all requests to the API. */
  readonly asked: Headers[];
  browser(user: string): Browser;
}

async function withBooks(
  authOf: (own: Accounts) => OpenApiOptions["auth"],
  act: (books: Books) => Promise<void>,
  faults: { readonly metadata?: boolean } = {},
): Promise<void> {
  const world = new World({ nodes: 0, services: ["books"] });
  const { service, clock } = world;
  const asked: Headers[] = [];
  const fetch = async (url: URL, init: RequestInit): Promise<Response> => {
    if (url.href === METADATA && faults.metadata !== false) {
      return Response.json({ resource: API, authorization_servers: [service.issuer] });
    }
    if (url.origin !== "https://books.example") return await world.fetch(url, init);
    if (!url.pathname.startsWith("/api/")) return new Response(null, { status: 404 });
    const headers = new Headers(init.headers);
    asked.push(headers);
    if (url.pathname === "/api/news") return Response.json({ news: [] });
    const user = service.userOf(headers.get("authorization")?.slice("Bearer ".length) ?? "");
    if (user !== undefined) return Response.json({ user });
    const named = faults.metadata === false ? "" : ` resource_metadata="${METADATA}"`;
    return new Response(null, {
      status: 401,
      headers: { "www-authenticate": `Bearer${named}` },
    });
  };
  const own = accounts({
    ...{ url: GATEWAY, keys: KEYS, clock, fetch },
    browser: (request) => ({ id: request.headers.get("x-user") ?? "" }),
    onEvent: (event) => world.events.push(event),
  });
  const gw = gateway({
    upstreams: {
      books: openapi({
        document: DOCUMENT,
        auth: authOf(own),
        fetch: (url, init = {}) => fetch(new URL(url), init),
      }),
    },
  });
  const handler = createMcpHandler(gw, { path: "/mcp", authenticate: byToken });
  world.nodes.push({ accounts: own, gateway: gw, handler });
  try {
    await act({ world, service, own, handler, asked, browser: (user) => world.browser(user) });
  } finally {
    await world.close();
  }
}

const LINKS = { elicitation: { url: {} } };

test("[UPA-71] each user has an account at an API, in 2025-11-25", async () => {
  await withBooks((own) => own.auth(), async ({ handler, browser, service, asked, world, own }) => {
    for (const user of ["ada", "bob"]) {
      const peer = await initialize(handler, { headers: as(user), capabilities: LINKS });
      const { url } = await linkOf(peer, await peer.call(1, "books__mine"));
      assert.equal((await browser(user).connect(url)).status, 200);
      const result = await peer.result(await peer.call(2, "books__mine"));
      assert.deepEqual(result.structuredContent, { user: `${user}@books` });
      // A token is renewed, and one that was revoked asks again
      await world.clock.advance(3_590_000);
      await peer.result(await peer.call(3, "books__add"));
      assert.equal(service.refreshes, user === "ada" ? 1 : 2);
    }
    // What needs no account gets no token
    const peer = await initialize(handler, { headers: as("eve"), capabilities: LINKS });
    await peer.result(await peer.call(1, "books__news"));
    assert.equal(asked.at(-1)?.get("authorization"), null);
    const { accounts: all } = await own.list();
    assert.deepEqual(all.map(({ user, upstream }) => [user.id, upstream]).sort(), [
      ["ada", "books"],
      ["bob", "books"],
    ]);
    for (const { id } of all) assert.equal(await own.disconnect(id), true);
    const again = await initialize(handler, { headers: as("ada"), capabilities: LINKS });
    await world.clock.advance(5_000);
    await linkOf(again, await again.call(1, "books__mine"));
  });
});

test("[UPA-71] each user has an account at an API, in 2026-07-28", async () => {
  await withBooks((own) => own.auth(), async ({ handler, browser }) => {
    const peer = new ModernPeer(handler, { headers: as("ada"), capabilities: LINKS });
    const asked = await peer.say("books__mine");
    await browser("ada").connect(String(questionsOf(asked).mooring_sign_in?.params.url));
    const result = await peer.say("books__mine", {}, {
      inputResponses: { mooring_sign_in: { action: "accept" } },
      requestState: stateOf(asked),
    });
    assert.deepEqual(result.structuredContent, { user: "ada@books" });
  });
});

test("[UPA-71] without metadata of the API, the configured issuer is used", async () => {
  const auth: AccountAuthOptions = { issuer: "https://login-books.example", clientId: "gw" };
  await withBooks((own) => own.auth(auth), async ({ handler, browser }) => {
    const peer = await initialize(handler, { headers: as("ada"), capabilities: LINKS });
    const { url } = await linkOf(peer, await peer.call(1, "books__mine"));
    const at = await browser("ada").begin(url);
    assert.equal(at.searchParams.get("resource"), API);
    assert.equal(at.searchParams.get("client_id"), "gw");
  }, { metadata: false });
});

test("[UPA-72] an account is for one security scheme, beside credentials of others", async () => {
  await withBooks(
    (own) => ({ schemes: { account: own.auth(), key: "the-key" } }),
    async (books) => {
      const { handler, browser, asked } = books;
      const peer = await initialize(handler, { headers: as("ada"), capabilities: LINKS });
      const { url } = await linkOf(peer, await peer.call(1, "books__both"));
      await browser("ada").connect(url);
      const result = await peer.result(await peer.call(2, "books__both"));
      assert.deepEqual(result.structuredContent, { user: "ada@books" });
      assert.equal(asked.at(-1)?.get("x-key"), "the-key");
      await peer.result(await peer.call(3, "books__mine"));
      assert.equal(asked.at(-1)?.get("x-key"), null);
    },
  );
});

test("[UPA-72] a scheme that takes no token, and two kinds of accounts are refused", async () => {
  const own = accounts({ url: GATEWAY, browser: () => undefined });
  const make = (auth: OpenApiOptions["auth"]) => openapi({ document: DOCUMENT, auth });
  assert.throws(() => make({ schemes: { account: own.auth(), key: own.auth() } }), /same accounts/);
  const one = own.auth();
  assert.ok(make({ schemes: { account: one, key: one } }).signIn);
  assert.equal(make("token").signIn, undefined);
  own.close();
  await withBooks((mine) => ({ schemes: { key: mine.auth() } }), async ({ handler }) => {
    const peer = await initialize(handler, { headers: as("ada"), capabilities: LINKS });
    assert.match(await (await peer.call(1, "books__mine")).text(), /\(protocol\)/);
  });
});

test("[UPA-72] oauth of an API in the file", () => {
  const signIn = {
    provider: { type: "oidc", issuer: "https://login.example", clientId: "editor" },
    allow: "everybody",
  };
  const read = (api: object, whole: object = { publicUrl: "https://mcp.example", signIn }) => {
    const mcpServers = { books: { openapi: "./books.json", ...api } };
    const text = JSON.stringify({ ...whole, mcpServers });
    return parseConfig({ file: "/tmp/mooring.json", text, env: {} }).config.mcpServers.books;
  };
  const given: AccountAuthOptions[] = [];
  const own = accounts({ url: GATEWAY, browser: () => undefined });
  const some = {
    auth(options: AccountAuthOptions = {}) {
      given.push(options);
      return own.auth(options);
    },
  };
  const upstream = (api: object) => {
    const entry = read(api);
    assert.ok(entry);
    return backend.upstream(entry, some);
  };
  assert.ok(upstream({ oauth: true }).signIn);
  assert.ok(upstream({ oauth: { clientId: "a", scheme: "account" } }).signIn);
  const both = { auth: { schemes: { key: "k" } }, oauth: { clientId: "b", scheme: "account" } };
  assert.ok(upstream(both).signIn);
  assert.equal(upstream({ auth: "token" }).signIn, undefined);
  assert.deepEqual(given, [{}, { clientId: "a" }, { clientId: "b" }]);
  assert.throws(() => read({ oauth: true, auth: "token" }), /either oauth or auth/);
  assert.throws(() => read({ oauth: true, auth: { schemes: { key: "k" } } }), /"scheme" in oauth/);
  assert.throws(() => read({ oauth: true }, {}), /Add "signIn"/);
  assert.throws(() => read({ oauth: { clientSecret: "a" } }), /"clientId" that the "clientSecret"/);
  own.close();
});
