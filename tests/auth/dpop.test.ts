/** Tokens that are bound to a key: a client library, a page of another origin, and the command's file. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { calculateJwkThumbprint, exportJWK } from "jose";
import * as oauth from "oauth4webapi";
import { jwt } from "../../src/auth/jwt.ts";
import { protectedResource } from "../../src/auth/protected_resource.ts";
import { parseConfig } from "../../src/cli/config/config.ts";
import { authOf } from "../../src/cli/serve/auth.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { McpServer } from "../../src/server/server.ts";
import { systemClock } from "../../src/internal/clock.ts";
import { AUDIENCE, ISSUER, Issuer } from "./issuer.ts";

const NONCE_KEY = "a secret that is long enough for every nonce";
const PING = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" });
const META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1.0.0" },
  "io.modelcontextprotocol/clientCapabilities": {},
};
const LIST = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "tools/list",
  params: { _meta: META },
});
const HEADERS = {
  "content-type": "application/json",
  "accept": "application/json, text/event-stream",
  "mcp-protocol-version": "2026-07-28",
  "mcp-method": "tools/list",
};

async function bench() {
  const issuer = await Issuer.make({ clock: systemClock });
  const keys = await oauth.generateKeyPair("ES256", { extractable: true });
  const jkt = await calculateJwkThumbprint(await exportJWK(keys.publicKey), "sha256");
  const token = await issuer.mint({ claims: { cnf: { jkt } } });
  const dpop = oauth.DPoP({}, keys);
  return { issuer, token, dpop };
}

describe("dpop: whole requests", () => {
  for (const use of ["accept", "require"] as const) {
    test(`[DPOP-6] ${use}: oauth4webapi learns the nonce, and calls again and again`, async () => {
      const { issuer, token, dpop } = await bench();
      const server = new McpServer({ name: "test", version: "1.0.0" });
      server.registerTool("hello", {}, () => "Hello");
      await using handler = createMcpHandler(server, {
        authenticate: jwt({
          issuer: ISSUER,
          audience: AUDIENCE,
          jwks: issuer.jwks,
          dpop: { use, nonceKeys: [NONCE_KEY] },
        }),
        resource: protectedResource({
          resource: AUDIENCE,
          authorizationServers: [ISSUER],
          dpop: use,
        }),
      });
      const statuses: number[] = [];
      const call = () =>
        oauth.protectedResourceRequest(
          token,
          "POST",
          new URL(AUDIENCE),
          new Headers(HEADERS),
          LIST,
          {
            DPoP: dpop,
            [oauth.customFetch]: async (url: string, init: object) => {
              const response = await handler(new Request(url, init));
              statuses.push(response.status);
              return response;
            },
          },
        );
      const error = await call().then(() => assert.fail("no nonce was needed"), (error) => error);
      assert.ok(oauth.isDPoPNonceError(error));
      for (let n = 0; n < 3; n++) {
        const { result } = await (await call()).json();
        assert.equal(result.tools[0].name, "hello");
      }
      assert.deepEqual(statuses, [401, 200, 200, 200]);
      // What somebody has seen of a request is of no use.
      const stolen = await handler(
        new Request(AUDIENCE, {
          method: "POST",
          headers: { ...HEADERS, authorization: `Bearer ${token}` },
          body: PING,
        }),
      );
      assert.equal(stolen.status, 401);
    });
  }

  test("[DPOP-6] a page of another origin may send proofs, and read nonces", async () => {
    const { issuer } = await bench();
    const origin = "https://app.example";
    await using handler = createMcpHandler(new McpServer({ name: "test", version: "1.0.0" }), {
      authenticate: jwt({ issuer: ISSUER, audience: AUDIENCE, jwks: issuer.jwks, dpop: "accept" }),
      allowedOrigins: [origin],
    });
    const asked = {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,dpop",
    };
    const preflight = await handler(new Request(AUDIENCE, { method: "OPTIONS", headers: asked }));
    assert.match(preflight.headers.get("access-control-allow-headers") ?? "", /\bdpop\b/);
    const refused = await handler(
      new Request(AUDIENCE, { method: "DELETE", headers: { origin } }),
    );
    assert.match(refused.headers.get("access-control-expose-headers") ?? "", /DPoP-Nonce/);
  });

  test("[DPOP-6] the command takes dpop in its file, and refuses a wrong one by name", async () => {
    const { token, dpop, issuer } = await bench();
    const file = (given: unknown) => ({
      mcpServers: { one: { url: "http://127.0.0.1:9/mcp" } },
      auth: { jwt: { issuer: ISSUER, jwksUri: `${ISSUER}/jwks`, audience: AUDIENCE, dpop: given } },
      publicUrl: "https://api.example",
    });
    const read = (given: unknown) =>
      parseConfig({ file: "mooring.json", text: JSON.stringify(file(given)), env: {} }).config;
    for (
      const [given, message] of [
        ["no", /accept/],
        [{ use: "require", maxAge: 5 }, /maxAgeS/],
        [{ use: "require", nonceKeys: ["short"] }, /32 characters/],
      ] as const
    ) {
      assert.throws(() => read(given), message);
    }
    const { auth } = read({ use: "require", nonceKeys: [NONCE_KEY] });
    assert.ok(auth?.jwt);
    const known = { ...auth, jwt: { ...auth.jwt, jwks: issuer.jwks, jwksUri: undefined } };
    const { authenticate, resource } = authOf(known as never, () => AUDIENCE, () => {}); // with keys in place of their URL
    assert.equal(resource(AUDIENCE)?.metadata.dpop_bound_access_tokens_required, true);
    const statuses: unknown[] = [];
    const call = () =>
      oauth.protectedResourceRequest(token, "POST", new URL(AUDIENCE), undefined, "", {
        DPoP: dpop,
        [oauth.customFetch]: async (url: string, init: object) => {
          try {
            const { id } = await authenticate?.(new Request(url, init)) ?? {};
            statuses.push(id);
            return new Response("{}");
          } catch (error) {
            const { challenge, headers } = error as { challenge: string; headers: object }; // as it refuses
            return new Response(null, {
              status: 401,
              headers: { ...headers, "www-authenticate": challenge },
            });
          }
        },
      });
    await assert.rejects(call());
    await call();
    assert.deepEqual(statuses, ["ada"]);
  });
});
