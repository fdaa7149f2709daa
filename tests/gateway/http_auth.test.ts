import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type AuthProvider,
  ClientCredentialsProvider,
  type OAuthClientProvider,
} from "@modelcontextprotocol/client";
import { http } from "../../src/gateway/upstreams/http.ts";
import type { HttpAuth } from "../../src/gateway/upstreams/http_auth.ts";
import { UpstreamError } from "../../src/gateway/shared/upstream_error.ts";
import { Session, textOf } from "./session.ts";

const RESOURCE = "https://upstream.example/mcp";
const ISSUER = "https://login.example";

/** An upstream and its authorization server, which gives a token that holds for so many requests. */
function guarded(uses: number) {
  const asked: string[] = [];
  let tokens = 0;
  let left = 0;
  const fetch = async (to: string, init: RequestInit): Promise<Response> => {
    const url = new URL(to);
    const headers = new Headers(init.headers);
    asked.push(url.origin + url.pathname);
    if (url.pathname.startsWith("/.well-known/oauth-protected-resource")) {
      return Response.json({ resource: RESOURCE, authorization_servers: [ISSUER] });
    }
    if (url.origin === ISSUER && url.pathname.startsWith("/.well-known/")) {
      return Response.json({
        issuer: ISSUER,
        authorization_endpoint: `${ISSUER}/authorize`,
        token_endpoint: `${ISSUER}/token`,
        response_types_supported: ["code"],
        grant_types_supported: ["client_credentials"],
        token_endpoint_auth_methods_supported: ["client_secret_basic"],
      });
    }
    if (url.href === `${ISSUER}/token`) {
      assert.equal(headers.get("authorization"), `Basic ${btoa("gateway:hush")}`);
      left = uses;
      return Response.json({ access_token: `token-${++tokens}`, token_type: "bearer" });
    }
    assert.equal(url.href, RESOURCE);
    if (headers.get("authorization") !== `Bearer token-${tokens}` || left-- <= 0) {
      const metadata = "https://upstream.example/.well-known/oauth-protected-resource/mcp";
      const challenge = `Bearer resource_metadata="${metadata}"`;
      return new Response(null, { status: 401, headers: { "www-authenticate": challenge } });
    }
    if (init.method !== "POST") return new Response(null, { status: 405 });
    const { id, method } = JSON.parse(String(init.body));
    if (id === undefined) return new Response(null, { status: 202 });
    const result = method === "initialize"
      ? {
        protocolVersion: "2025-11-25",
        capabilities: {},
        serverInfo: { name: "guarded", version: "1" },
      }
      : { content: [{ type: "text", text: "let in" }] };
    return Response.json({ jsonrpc: "2.0", id, result });
  };
  return { asked, fetch, tokens: () => tokens };
}

const credentials = () =>
  new ClientCredentialsProvider({ clientId: "gateway", clientSecret: "hush" });

test("[GTW-5] a provider of the official client signs in, and again when its token is refused", async () => {
  const { fetch, tokens, asked } = guarded(4);
  const auth = credentials();
  const upstream = http({ url: RESOURCE, versions: ["2025-11-25"], auth, fetch });
  const session = await Session.open(upstream);
  assert.equal(tokens(), 1);
  // The handshake used up three of the four.
  for (let i = 0; i < 3; i++) assert.equal(textOf(await session.call("a")), "let in");
  assert.equal(tokens(), 2);
  assert.ok(asked.includes(`${ISSUER}/token`));
  await session.session.close();
});

test("[GTW-4] a token that is never good enough is told of, without anybody's secret", async () => {
  const { fetch, tokens } = guarded(0);
  const upstream = http({ url: RESOURCE, versions: ["2025-11-25"], auth: credentials(), fetch });
  await assert.rejects(Session.open(upstream), (error) => {
    assert.ok(error instanceof UpstreamError);
    assert.equal(error.kind, "unauthorized");
    assert.doesNotMatch(`${error} ${error.stack} ${error.cause}`, /hush|token-/);
    return true;
  });
  assert.equal(tokens(), 1);
});

test("[GTW-5] a sign-in that hangs ends with the request that it is for", async () => {
  const { fetch } = guarded(0);
  const stop = new AbortController();
  const hanging = async (to: string, init: RequestInit) => {
    if (!to.startsWith(ISSUER)) return await fetch(to, init);
    queueMicrotask(() => stop.abort(new Error("Not wanted any more")));
    return await new Promise<Response>((_, reject) => {
      init.signal?.addEventListener("abort", () => reject(init.signal?.reason));
    });
  };
  const versions = ["2025-11-25"] as const;
  const upstream = http({ url: RESOURCE, versions, auth: credentials(), fetch: hanging });
  await assert.rejects(Session.open(upstream, { signal: stop.signal }), /Not wanted any more/);
});

test("[GTW-5] what the official client calls providers are taken as they are", () => {
  // Checked by the compiler
  const fits = (provider: AuthProvider | OAuthClientProvider): HttpAuth => provider;
  assert.equal(http({ url: RESOURCE, auth: fits(credentials()) }).kind, "http");
});

test("[GTW-4] a function or provider that throws leaves the session without a token", async () => {
  const fail = () => {
    throw new Error("hush");
  };
  for (const auth of [fail, { token: async () => fail() }] satisfies HttpAuth[]) {
    const { fetch, asked } = guarded(0);
    await assert.rejects(Session.open(http({ url: RESOURCE, auth, fetch })), (error) => {
      assert.ok(error instanceof UpstreamError);
      assert.equal(error.kind, "unauthorized");
      assert.doesNotMatch(`${error} ${error.stack} ${error.cause}`, /hush/);
      return true;
    });
    assert.deepEqual(asked, []);
  }
});

test("[GTW-31] a provider is asked for more scopes when an upstream's challenge names them", async () => {
  const refusals: number[] = [];
  let scopes = "read";
  const sent: (string | null)[] = [];
  let challenge = 'Bearer error="insufficient_scope", scope="write"';
  const stepping = async (_: string, init: RequestInit): Promise<Response> => {
    const authorization = new Headers(init.headers).get("authorization");
    if (init.method !== "POST") return new Response(null, { status: 405 });
    const { id, method } = JSON.parse(String(init.body));
    if (id === undefined) return new Response(null, { status: 202 });
    if (method === "initialize") {
      const serverInfo = { name: "stepping", version: "1" };
      const result = { protocolVersion: "2025-11-25", capabilities: {}, serverInfo };
      return Response.json({ jsonrpc: "2.0", id, result });
    }
    sent.push(authorization);
    if (authorization !== "Bearer write") {
      return new Response(null, { status: 403, headers: { "www-authenticate": challenge } });
    }
    const content = [{ type: "text", text: "let in" }];
    return Response.json({ jsonrpc: "2.0", id, result: { content } });
  };
  const auth: HttpAuth = {
    token: async () => scopes,
    onUnauthorized: async ({ response }) => {
      refusals.push(response.status);
      scopes = "write";
    },
  };
  const open = () =>
    Session.open(http({ url: RESOURCE, versions: ["2025-11-25"], auth, fetch: stepping }));
  await using session = await open();
  assert.equal(textOf(await session.call("a")), "let in");
  assert.deepEqual([refusals, sent], [[403], ["Bearer read", "Bearer write"]]);
  for (const other of ['Bearer error="invalid_token"', "Basic"]) {
    scopes = "read";
    challenge = other;
    await using session = await open();
    await assert.rejects(session.call("a"));
    assert.deepEqual(refusals, [403]);
  }
  // One that stays too narrow is tried once more, and not again.
  challenge = 'Bearer error="insufficient_scope"';
  auth.onUnauthorized = async ({ response }) => void refusals.push(response.status);
  await using narrow = await open();
  await assert.rejects(narrow.call("a"));
  assert.deepEqual(refusals, [403, 403]);
});
