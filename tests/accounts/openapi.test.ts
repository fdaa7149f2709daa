/**
 * The OAuth schemes of an OpenAPI document: with each user's own account, and by the gateway's own rights.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMcpHandler } from "../../mod.ts";
import { clientCredentials } from "../../src/accounts/mod.ts";
import { gateway, openapi } from "../../src/gateway/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { as, byToken, initialize, textOf } from "../support/wire.ts";
import { linkOf, Service, World } from "./world.ts";

const WHO = { operationId: "who", responses: {} };
const document = {
  openapi: "3.1.0",
  info: { title: "Notes", version: "1" },
  paths: {
    "/who": { get: WHO },
    "/open": { get: { ...WHO, operationId: "open", security: [] } },
  },
  security: [{ login: [] }],
  components: { securitySchemes: { login: { type: "oauth2", flows: {} } } },
};

/** An API behind the service's check of tokens. */
function apiOf(service: Service, sent: string[] = []) {
  return async (url: string, { headers, ...init }: RequestInit = {}): Promise<Response> => {
    const { pathname } = new URL(url);
    sent.push(`${pathname} ${new Headers(headers).has("authorization") ? "token" : "nothing"}`);
    if (pathname === "/mcp/open") return Response.json({ open: true });
    if (pathname !== "/mcp/who") {
      return await service.fetch(new URL(url), { ...init, ...headers && { headers } }) ??
        new Response(null, { status: 404 });
    }
    const body = JSON.stringify({ method: "tools/call", params: { name: "who" } });
    const checked = await service.fetch(new URL(service.url), {
      method: "POST",
      body,
      ...headers && { headers },
    });
    if (checked?.status === 401) return checked;
    await checked?.body?.cancel();
    return Response.json({ who: service.calls.at(-1) });
  };
}

test("[OAPI-19] an operation that needs OAuth asks each user to sign in, and uses their own account", async () => {
  const sent: string[] = [];
  const world = new World({
    upstream: ({ service, auth }) =>
      openapi({
        document,
        baseUrl: service.url,
        auth: { schemes: { login: auth } },
        fetch: apiOf(service, sent),
      }),
  });
  try {
    const ada = await world.peer("ada");
    const open = await ada.result(await ada.call(1, "notes__open"));
    assert.deepEqual(open.structuredContent, { open: true });
    const { url } = await linkOf(ada, await ada.call(2, "notes__who"));
    assert.equal((await world.browser("ada").connect(url)).status, 200);
    const result = await ada.result(await ada.call(3, "notes__who"));
    assert.deepEqual(result.structuredContent, { who: "ada@notes who" });
    // Another user has another account, or none yet.
    const bob = await world.peer("bob");
    const link = await linkOf(bob, await bob.call(4, "notes__who"));
    assert.notEqual(link.url, url);
    assert.equal((await world.browser("bob").connect(link.url)).status, 200);
    const other = await bob.result(await bob.call(5, "notes__who"));
    assert.deepEqual(other.structuredContent, { who: "bob@notes who" });
    assert.equal(sent[0], "/mcp/open nothing");
    for (const secret of world.service.secrets) {
      assert.ok(!JSON.stringify([result, other, world.mcpEvents]).includes(secret));
    }
  } finally {
    await world.close();
  }
});

test("[OAPI-19] an operation that needs OAuth is called by the gateway's own rights (client credentials)", async () => {
  const clock = new FakeClock();
  const service = new Service("notes", clock);
  service.faults.metadata = {
    code_challenge_methods_supported: [],
    token_endpoint_auth_methods_supported: ["client_secret_post"],
  };
  let tokens = 0;
  service.faults.token = () => {
    tokens++;
    return service.issue({ user: "mooring", scopes: ["read"], isRevoked: false, refresh: "" });
  };
  const auth = clientCredentials({
    clientId: "mooring",
    clientSecret: "a-secret-of-the-client",
    issuer: service.issuer,
    clock,
    fetch: async (url, init) =>
      await service.fetch(url, init) ?? new Response(null, { status: 404 }),
  });
  const notes = openapi({ document, baseUrl: service.url, auth, fetch: apiOf(service) });
  const gw = gateway({ upstreams: { notes } });
  const handler = createMcpHandler(gw, { authenticate: byToken });
  try {
    for (const user of ["ada", "bob"]) {
      const peer = await initialize(handler, { headers: as(user) });
      const result = await peer.result(await peer.call(1, "notes__who"));
      assert.deepEqual(result.structuredContent, { who: "mooring who" }, String(textOf(result)));
    }
    assert.equal(tokens, 1);
  } finally {
    await handler.close();
    await gw.close();
    await service.close();
  }
});
