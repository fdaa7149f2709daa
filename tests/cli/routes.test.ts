/**
 * The endpoints by their paths, without a network.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { type Auth, authOf } from "../../src/cli/serve/auth.ts";
import { rateLimiter } from "../../src/cli/serve/rate_limit.ts";
import { Routes, serverNameIn } from "../../src/cli/serve/routes.ts";
import { CommandServer } from "../../src/cli/serve/server.ts";
import { settingsOf } from "../../src/cli/config/settings.ts";
import type { GatewayPolicy } from "../../src/gateway/mod.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { Unauthorized } from "../../src/auth/errors.ts";
import type { McpEvent } from "../../src/protocol/events.ts";
import { connect } from "../../src/testing/mod.ts";
import { fakeBackend } from "./fake_backend.ts";

const BASE = "https://mcp.example";

interface RoutesUnderTest {
  readonly routes: Routes;
  readonly events: McpEvent[];
  /** The names that options were asked for, which is once for each endpoint that is made. */
  readonly made: (string | undefined)[];
  readonly names: Set<string>;
}

/** The URL of a server's endpoint, or of that of all servers together. */
const urlOf = (name: string | undefined): string =>
  `${BASE}${name === undefined ? "/mcp" : `/servers/${encodeURIComponent(name)}`}`;

/** Authentication by a configuration. */
const authFor = (auth: Parameters<typeof authOf>[0]): Auth =>
  authOf(auth, ({ url }) => urlOf(serverNameIn(new URL(url).pathname)), () => {});

function routesOf(
  options: (name: string | undefined) => McpHandlerOptions,
  resource: Auth["resource"] = () => undefined,
  policy?: GatewayPolicy,
): RoutesUnderTest {
  const gateway = fakeBackend().gateway({ upstreams: { one: UPSTREAM, two: UPSTREAM } });
  const events: McpEvent[] = [];
  const made: (string | undefined)[] = [];
  const names = new Set(["one", "two"]);
  const routes = new Routes({
    servers: { all: gateway, names: () => [...names], only: (name) => gateway.only(name) },
    path: "/mcp",
    options(name) {
      made.push(name);
      return { ...options(name), resource: resource(urlOf(name)) };
    },
    resource: (name) => resource(urlOf(name)),
    report: (event) => events.push(event),
    policy,
  });
  return { routes, events, made, names };
}

const PING = {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
};

const UPSTREAM = fakeBackend().upstream({ command: "x" });

const ask = (routes: Routes, path: string, init?: RequestInit): Promise<Response> =>
  routes.fetch(new Request(`${BASE}${path}`, init));

test("[DUR-10] while it drains, an endpoint that was never used is no unknown one", async () => {
  const { routes } = routesOf(() => ({}));
  const closed = routes.close(0);
  for (const path of ["/mcp", "/servers/one", "/servers/none"]) {
    const response = await ask(routes, path, PING);
    assert.deepEqual([response.status, response.headers.get("retry-after")], [503, "1"], path);
    await response.body?.cancel();
  }
  await closed;
});

test("[GTW-8] each path leads to its own server, and unknown ones to none", async () => {
  const { routes, made, events } = routesOf(() => ({}));
  const who = async (path: string): Promise<unknown> => {
    await using client = await connect(routes.fetch, { url: `${BASE}${path}` });
    return (await client.callTool("who")).content[0];
  };
  assert.deepEqual(await who("/mcp"), { type: "text", text: "everything" });
  assert.deepEqual(await who("/servers/one"), { type: "text", text: "one" });
  assert.deepEqual(await who("/servers/two"), { type: "text", text: "two" });
  for (const path of ["/servers/three", "/servers/", "/servers", "/", "/servers/one/x"]) {
    const response = await ask(routes, path, PING);
    assert.equal(response.status, 404, path);
    const { jsonrpc, id, error } = await response.json();
    assert.deepEqual([jsonrpc, id, error.code], ["2.0", null, -32000]);
    if (path !== "/servers/three") {
      assert.equal(error.message, "Not found: the MCP endpoint is at /mcp");
    }
  }
  assert.deepEqual(made, [undefined, "one", "two"]);
  assert.equal(events.filter(({ type }) => type === "refused").length, 5);
  await routes.close(0);
});

test("sessions of one endpoint are unknown to the others", async () => {
  const { routes } = routesOf(() => ({}));
  await using client = await connect(routes.fetch, { url: `${BASE}/servers/one` });
  const headers = {
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
    "mcp-session-id": client.sessionId ?? "",
  };
  const body = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
  const statuses = await Promise.all(
    ["/servers/one", "/servers/two", "/mcp"].map(async (path) =>
      (await ask(routes, path, { method: "POST", headers, body })).status
    ),
  );
  assert.deepEqual(statuses, [200, 404, 404]);
});

test("a server that is gone is unknown, its endpoint ends, and coming back it begins anew", async () => {
  const { routes, made, names } = routesOf(() => ({}));
  await using client = await connect(routes.fetch, { url: `${BASE}/servers/one` });
  names.delete("one");
  await routes.drop("one");
  await assert.rejects(client.callTool("who"));
  names.add("one");
  await using again = await connect(routes.fetch, { url: `${BASE}/servers/one` });
  await again.callTool("who");
  assert.deepEqual(made, [undefined, "one", "one"]);
});

test("strangers can't make endpoints, and after the end nobody can", async () => {
  const { routes, made } = routesOf(() => ({}));
  for (let call = 0; call < 50; call++) await ask(routes, `/servers/s${call}`);
  await routes.close(0);
  assert.equal((await ask(routes, "/servers/one", PING)).status, 503);
  assert.deepEqual(made, [undefined]);
});

test("[GATE-1] the health path answers whoever asks, and tells nothing", async () => {
  const { routes } = routesOf(() => ({
    allowedHosts: ["other.example"],
    authenticate: () => {
      throw new Error("Nobody");
    },
  }));
  const response = await ask(routes, "/health");
  assert.equal(response.status, 200);
  assert.equal(await response.text(), '{"status":"ok"}');
  assert.equal((await ask(routes, "/health", { method: "POST" })).status, 404);
});

const ISSUER = "https://login.example";

test("[AUTH-4] every endpoint describes itself, and its challenge leads there", async () => {
  const auth = { jwt: { issuer: ISSUER, jwksUri: `${ISSUER}/jwks`, requiredScopes: ["use"] } };
  const { authenticate, resource } = authFor(auth);
  const { routes } = routesOf(() => ({ authenticate }), resource);
  for (const name of [undefined, "one"]) {
    const refused = await routes.fetch(new Request(urlOf(name), { method: "DELETE" }));
    assert.equal(refused.status, 401);
    const challenge = refused.headers.get("www-authenticate") ?? "";
    const [, url = ""] = /resource_metadata="([^"]+)"/.exec(challenge) ?? [];
    const described = await routes.fetch(new Request(url));
    assert.equal(described.status, 200);
    assert.deepEqual(await described.json(), {
      resource: urlOf(name),
      authorization_servers: [ISSUER],
      scopes_supported: ["use"],
      bearer_methods_supported: ["header"],
    });
  }
  const whole = await ask(routes, "/.well-known/oauth-protected-resource");
  assert.equal((await whole.json()).resource, `${BASE}/mcp`);
  for (const unknown of ["servers/one/x", "servers/", "x"]) {
    const response = await ask(routes, `/.well-known/oauth-protected-resource/${unknown}`);
    assert.equal(response.status, 404, unknown);
  }
});

/** Requests that end before authentication, or at it. */
const STRANGERS: readonly (readonly [string, RequestInit])[] = [
  ...["GET", "DELETE", "PUT", "HEAD", "OPTIONS"].map((method) => [method, { method }] as const),
  ["no token", PING],
  ["a wrong token", { ...PING, headers: { ...PING.headers, authorization: "Bearer wrong" } }],
  ["a malformed token", { ...PING, headers: { ...PING.headers, authorization: "Bearer a b" } }],
  ["another scheme", { ...PING, headers: { ...PING.headers, authorization: "Basic eA==" } }],
  ["a preflight", {
    method: "OPTIONS",
    headers: { origin: "https://app.example", "access-control-request-method": "POST" },
  }],
  ["an allowed origin", { ...PING, headers: { ...PING.headers, origin: "https://app.example" } }],
  ["a foreign origin", { ...PING, headers: { ...PING.headers, origin: "https://evil.example" } }],
  ["a foreign host", { ...PING, headers: { ...PING.headers, host: "evil.example" } }],
  ["no content type", { ...PING, headers: {} }],
  ["a wrong accept", { ...PING, headers: { ...PING.headers, accept: "text/html" } }],
  ["a large body", { ...PING, body: " ".repeat(2_000) }],
  ["a broken body", { ...PING, body: "{" }],
  ["no message", { ...PING, body: "{}" }],
];

const AUTHS: readonly (readonly [string, Parameters<typeof authOf>[0]])[] = [
  ["tokens", { tokens: [{ id: "ada", token: "0123456789abcdef" }] }],
  ["a JWT", {
    jwt: { issuer: ISSUER, jwksUri: "http://127.0.0.1:9/jwks", requiredScopes: ["use"] },
  }],
];

for (const [kind, auth] of AUTHS) {
  test(`[GTW-8, AUTH-4] without a token an unknown name looks like a server, with ${kind}`, async () => {
    const { authenticate, resource } = authFor(auth);
    const checked: string[] = [];
    const { routes, made } = routesOf(() => ({
      ...authenticate && { authenticate },
      allowedOrigins: ["https://app.example"],
      allowedHosts: ["mcp.example"],
      limits: { bodyBytes: 1_000 },
      rateLimit: {
        check({ url }) {
          checked.push(new URL(url).pathname);
          return { allowed: true };
        },
      },
    }), resource);
    /** All that a client gets, with the name that it asked for taken out. */
    const answerOf = async (path: string, name: string, init: RequestInit): Promise<unknown> => {
      const response = await ask(routes, path.replace("{name}", name), init);
      const neutral = (text: string): string => text.replaceAll(`/servers/${name}`, "/servers/?");
      const headers = [...response.headers].map(([key, value]) => [key, neutral(value)]);
      return { status: response.status, headers, body: neutral(await response.text()) };
    };
    const places = [
      "/servers/{name}",
      "/servers/{name}/",
      "/.well-known/oauth-protected-resource/servers/{name}",
    ];
    for (const path of places) {
      for (const [what, init] of STRANGERS) {
        const known = await answerOf(path, "one", init);
        for (const name of ["nil", "constructor", "__proto__", "a%20b"]) {
          assert.deepEqual(await answerOf(path, name, init), known, `${what} at ${path}: ${name}`);
        }
      }
    }
    const refused = await ask(routes, "/servers/nil", PING);
    assert.equal(refused.status, 401);
    const limited = (path: string): number => checked.filter((one) => one === path).length;
    assert.equal(limited("/servers/nil"), limited("/servers/one") + 1);
    assert.deepEqual(made, [undefined, "one"]);
    await routes.close(0);
  });
}

/** Places to ask on each path that is served. */
const PLACES: Readonly<Record<string, readonly string[]>> = {
  "/mcp": ["/mcp"],
  "/health": ["/health"],
  "/servers/:name": ["/servers/one", "/servers/two", "/servers/nil", "/servers/%6Fne"],
  "/.well-known/oauth-protected-resource": ["/.well-known/oauth-protected-resource"],
  "/.well-known/oauth-protected-resource/*": [
    "/.well-known/oauth-protected-resource/servers/one",
    "/.well-known/oauth-protected-resource/servers/nil",
  ],
};

/** What a gate refuses, each with the options of that gate. */
const REFUSED: readonly (readonly [string, McpHandlerOptions, Readonly<Record<string, string>>])[] =
  [
    ["the rate limit", { rateLimit: { check: () => ({ allowed: false }) } }, {}],
    ["the origin", { allowedOrigins: ["https://app.example"] }, { origin: "https://evil.example" }],
    ["the host", { allowedHosts: ["mcp.example"] }, { host: "evil.example" }],
    ["the header", { requiredHeader: "x-own" }, {}],
  ];

test("[GTW-8, GATE-7] no path leads to the authentication past a gate, whatever the policy", async () => {
  const policies: readonly (GatewayPolicy | undefined)[] = [
    undefined,
    { upstreams: { one: false } },
    { upstreams: { one: { tools: { deny: ["*"] } } } },
    { principals: [{ for: { ids: ["ada"] }, upstreams: { one: false } }] },
    { pins: { one: { tools: {} } } },
  ] as const;
  for (const policy of policies) {
    for (const [gate, options, headers] of REFUSED) {
      let asked = 0;
      const authenticate = (): { id: string } => {
        asked++;
        throw new Unauthorized();
      };
      const { routes } = routesOf(() => ({ ...options, authenticate }), undefined, policy);
      assert.deepEqual([...routes.paths].sort(), Object.keys(PLACES).sort());
      for (const place of Object.values(PLACES).flat()) {
        for (const method of ["GET", "POST", "DELETE"]) {
          const init = {
            method,
            headers: { ...PING.headers, ...headers, authorization: `Bearer ${method}` },
            ...method === "POST" && { body: PING.body },
          };
          await (await ask(routes, place, init)).text();
          assert.equal(asked, 0, `${method} ${place} passes ${gate}`);
        }
      }
      await routes.close(0);
    }
  }
});

test("[POL-1] a server that its caller must not know is as one that there is not, and asks once who calls", async () => {
  let asked = 0;
  const authenticate = (): { id: string } => {
    asked++;
    return { id: "ada" };
  };
  const { routes } = routesOf(() => ({ authenticate }), undefined, { upstreams: { one: false } });
  for (const init of [PING, { headers: PING.headers }, { ...PING, method: "DELETE" }]) {
    const answers = await Promise.all(["one", "nil"].map(async (name) => {
      const response = await ask(routes, `/servers/${name}`, init);
      const headers = [...response.headers];
      return [response.status, headers, (await response.text()).replace(name, "?")];
    }));
    assert.equal(answers[0]?.[0], 404);
    assert.deepEqual(answers[0], answers[1]);
  }
  assert.equal(asked, 6);
  await routes.close(0);
});

test("[GTW-8] a caller who is known learns that a server is unknown, on every verb", async () => {
  const authenticate = ({ headers }: Request): { id: string } => {
    if (headers.get("authorization") === "Bearer right") return { id: "ada" };
    throw new Unauthorized();
  };
  const { routes, events } = routesOf(() => ({ authenticate }));
  const headers = { ...PING.headers, authorization: "Bearer right" };
  const modern = JSON.stringify({
    ...{ jsonrpc: "2.0", id: 1, method: "tools/list" },
    params: { _meta: { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } },
  });
  const asked: RequestInit[] = [
    { ...PING, headers },
    { ...PING, headers, body: modern },
    { headers },
    { method: "DELETE", headers },
  ];
  for (const init of asked) {
    const response = await ask(routes, "/servers/nil", init);
    assert.equal(response.status, 404);
    const { error } = await response.json();
    assert.match(error.message, /^Use the name of a server that is served here: "nil"$/);
  }
  const refused = events.filter((event) => event.type === "refused");
  assert.deepEqual(refused.map(({ status, reason }) => [status, reason]), [
    [404, "path"],
    [404, "path"],
    [404, "path"],
    [404, "path"],
  ]);
  await routes.close(0);
});

test("[GTW-8] a token for another server, or for none, sees no difference between names", async () => {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  let fetched = 0;
  const jwks = createServer((_request, response) => {
    fetched++;
    response.setHeader("content-type", "application/json");
    exportJWK(publicKey).then((key) => response.end(JSON.stringify({ keys: [key] })));
  });
  await new Promise<void>((resolve) => jwks.listen(0, "127.0.0.1", resolve));
  const address = jwks.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const { authenticate, resource } = authFor({
    jwt: { issuer: ISSUER, jwksUri: `http://127.0.0.1:${port}/jwks` },
  });
  const { routes } = routesOf(() => ({ ...authenticate && { authenticate } }), resource);
  const answer = async (name: string, audience: string): Promise<readonly unknown[]> => {
    const token = await new SignJWT().setProtectedHeader({ alg: "ES256" }).setIssuer(ISSUER)
      .setSubject("ada").setAudience(audience).setExpirationTime("1h").sign(privateKey);
    const headers = { ...PING.headers, authorization: `Bearer ${token}` };
    const response = await ask(routes, `/servers/${name}`, { ...PING, headers });
    const challenge = response.headers.get("www-authenticate")?.replace(`servers/${name}`, "?");
    return [response.status, challenge, await response.text()];
  };
  try {
    for (const audience of [urlOf(undefined), urlOf("two"), "https://other.example"]) {
      const known = await answer("one", audience);
      assert.equal(known[0], 401);
      assert.deepEqual(await answer("nil", audience), known);
    }
    assert.equal((await answer("nil", urlOf("nil")))[0], 404);
    // All endpoints share the keys, so that unknown names don't fetch them again and again
    assert.equal(fetched, 1);
  } finally {
    await routes.close(0);
    jwks.closeAllConnections();
    await new Promise((resolve) => jwks.close(resolve));
  }
});

test("[GATE-13] a slash at the end of a path changes nothing", async () => {
  const { routes } = routesOf(() => ({}));
  for (const [path, name] of [["/mcp/", "everything"], ["/servers/one/", "one"]]) {
    await using client = await connect(routes.fetch, { url: `${BASE}${path}` });
    assert.deepEqual((await client.callTool("who")).content[0], { type: "text", text: name });
  }
  assert.equal((await ask(routes, "/health/")).status, 404);
  await routes.close(0);
});

test("[AUTH-4] a token for one endpoint is no good at another, unless the file names an audience", async () => {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const jwks = createServer((_request, response) => {
    response.setHeader("content-type", "application/json");
    exportJWK(publicKey).then((key) => response.end(JSON.stringify({ keys: [key] })));
  });
  await new Promise<void>((resolve) => jwks.listen(0, "127.0.0.1", resolve));
  const address = jwks.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const sign = (audience: string): Promise<string> =>
    new SignJWT().setProtectedHeader({ alg: "ES256" }).setIssuer(ISSUER).setSubject("ada")
      .setAudience(audience).setExpirationTime("1h").sign(privateKey);
  const jwt = { issuer: ISSUER, jwksUri: `http://127.0.0.1:${port}/jwks` };
  const [one, two] = [`${BASE}/servers/one`, `${BASE}/servers/two`];
  const who = async (given: typeof jwt & { audience?: string }, url: string, audience: string) => {
    const { authenticate } = authFor({ jwt: given });
    const headers = { authorization: `Bearer ${await sign(audience)}` };
    return (await authenticate?.(new Request(url, { headers })))?.id;
  };
  try {
    assert.equal(await who(jwt, one, one), "ada");
    await assert.rejects(who(jwt, two, one), { name: "Unauthorized" });
    assert.equal(await who({ ...jwt, audience: "all" }, two, "all"), "ada");
  } finally {
    jwks.closeAllConnections();
    await new Promise((resolve) => jwks.close(resolve));
  }
});

test("without an authorization server there is nothing to describe", async () => {
  const token = "0123456789abcdef";
  const auth = { tokens: [{ id: "ada", token, scopes: ["a"] }] };
  const { authenticate, resource } = authFor(auth);
  const { routes } = routesOf(() => ({ authenticate }), resource);
  for (const path of ["", "/mcp", "/servers/one"]) {
    const response = await ask(routes, `/.well-known/oauth-protected-resource${path}`);
    assert.equal(response.status, 404);
  }
  const request = (value: string) => new Request(BASE, { headers: { authorization: value } });
  assert.deepEqual(await authenticate?.(request(`Bearer ${token}`)), { id: "ada", scopes: ["a"] });
  for (const wrong of [`Bearer ${token}0`, "Bearer 0123456789abcde", "Bearer x", token]) {
    await assert.rejects(async () => await authenticate?.(request(wrong)), {
      name: "Unauthorized",
    });
  }
});

test("[GATE-4] the rate is limited by address, or by what the nearest proxy wrote", async () => {
  const from = (remoteAddress: string) => ({ env: { incoming: { socket: { remoteAddress } } } });
  const request = (value = "") =>
    new Request(BASE, value === "" ? {} : { headers: { "x-forwarded-for": value } });
  const byAddress = rateLimiter({ perSecond: 0.001, burst: 1 });
  const allowed = async (limiter: typeof byAddress, value: string, address: string) =>
    (await limiter.check(request(value), from(address))).allowed;
  assert.equal(await allowed(byAddress, "9.9.9.9", "1.1.1.1"), true);
  assert.equal(await allowed(byAddress, "8.8.8.8", "1.1.1.1"), false);
  assert.equal(await allowed(byAddress, "", "2.2.2.2"), true);
  const byHeader = rateLimiter({ perSecond: 0.001, burst: 1, header: "x-forwarded-for" });
  assert.equal(await allowed(byHeader, "spoofed, 9.9.9.9", "1.1.1.1"), true);
  assert.equal(await allowed(byHeader, "else, 9.9.9.9", "1.1.1.1"), false);
  assert.equal(await allowed(byHeader, "8.8.8.8", "1.1.1.1"), true);
  assert.equal(await allowed(byHeader, "", "1.1.1.1"), true);
  // A network of IPv6 is one sender, and an IPv4 address the same in both spellings.
  assert.equal(await allowed(byAddress, "", "2001:db8::1"), true);
  assert.equal(await allowed(byAddress, "", "2001:db8::ffff:2"), false);
  assert.equal(await allowed(byAddress, "", "2001:db8:0:1::1"), true);
  assert.equal(await allowed(byAddress, "", "::ffff:1.1.1.1"), false);
});

test("a server that can't be one leaves everything as it was", async () => {
  const backend = fakeBackend();
  const config = { mcpServers: { one: { command: "x" }, two: { command: "x" } }, port: 0 };
  const settings = settingsOf({ config, alone: undefined, noAuth: false });
  const logged: string[] = [];
  const log = (_level: string, event: string): void => void logged.push(event);
  const server = await CommandServer.start({ settings, backend, stores: undefined, log });
  const mcpServers = { three: { command: "x" }, two: { command: "broken" } };
  await assert.rejects(server.apply({ ...config, mcpServers }), TypeError);
  assert.deepEqual([server.names(), backend.done], [["one", "two"], []]);
  await server.apply({ ...config, mcpServers: { two: { command: "y" } } });
  assert.deepEqual([server.names(), backend.done], [["two"], ["remove one", "set two"]]);
  await Promise.all([server.close(), server.close()]);
  assert.deepEqual(backend.done, ["remove one", "set two", "close"]);
});

test("a server that can't listen leaves nothing behind", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const address = other.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const backend = fakeBackend();
  const settings = settingsOf({
    config: { mcpServers: {}, port },
    alone: undefined,
    noAuth: false,
  });
  const init = { settings, backend, stores: undefined, log() {} };
  await assert.rejects(CommandServer.start(init), /Port \d+ is in use/);
  assert.deepEqual(backend.done, ["close"]);
  await new Promise((resolve) => other.close(resolve));
});
