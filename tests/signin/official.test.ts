/**
 * The official clients sign in over HTTP: they find the server, register, and call; their user logs in at a
 * certified OpenID provider.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler, McpServer } from "../../mod.ts";
import { oidc, signIn, type SignInEvent } from "../../src/signin/mod.ts";
import { startAuthorizationServer } from "../auth/authorization_server.ts";
import { CLIENTS, Kept, signInWith } from "./official_clients.ts";
import { serveAny } from "./serve_any.ts";

describe("official clients", () => {
  for (const [name, make] of Object.entries(CLIENTS)) {
    test(`[FRONT-2] ${name} signs in with a certified OpenID provider, calls and refreshes`, async () => {
      const events: SignInEvent[] = [];
      await using host = await serveAny();
      const provider = await startAuthorizationServer({
        scope: "",
        format: "opaque",
        ttlS: 60,
        redirectUris: [`${host.origin}/signin/callback`],
      });
      try {
        const front = signIn({
          issuer: host.origin,
          resource: `${host.origin}/mcp`,
          provider: oidc({
            issuer: provider.issuer,
            clientId: "editor",
            scopes: [],
            allowInsecure: true,
          }),
          scopes: ["notes:read"],
          allowInsecure: true,
          onEvent: (event) => events.push(event),
        });
        const server = new McpServer({ name: "notes", version: "1.0.0" });
        server.registerTool("who", {}, (_args, ctx) => ctx.principal.id);
        await using handler = createMcpHandler(server, {
          path: "/mcp",
          authenticate: front.authenticate,
          resource: front.resource,
        });
        host.fetch = async (request, context) =>
          (await front.routes(request, context)) ?? await handler(request, context);
        const kept = new Kept();
        const client = make(new URL(`${host.origin}/mcp`), kept);
        await signInWith(client, kept);
        assert.match(JSON.stringify(await client.call()), /"ada"/);
        await client.close();
        const before = kept.kept as { readonly refresh_token: string };
        // As after five minutes: the access token is refused, and the client refreshes by itself.
        kept.kept = { ...before, access_token: "expired" };
        await client.connect();
        assert.match(JSON.stringify(await client.call()), /"ada"/);
        await client.close();
        assert.ok(events.some(({ step, reason }) => step === "refresh" && reason === "issued"));
        await front.close();
      } finally {
        await provider.close();
      }
    });
  }
});
