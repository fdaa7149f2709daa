/**
 * The whole way: official clients, somebody else's authorization server, and an endpoint between them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { describe, test } from "node:test";
import { toNodeHandler } from "../../src/adapters/node.ts";
import { introspection } from "../../src/auth/introspection.ts";
import { jwt } from "../../src/auth/jwt.ts";
import { protectedResource } from "../../src/auth/protected_resource.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { type Clock, systemClock } from "../../src/internal/clock.ts";
import type { Principal } from "../../src/protocol/exchange.ts";
import { McpServer } from "../../src/server/server.ts";
import { Events } from "../support/wire.ts";
import {
  type AuthorizationServer,
  CLIENT,
  RESOURCE_SERVER,
  startAuthorizationServer,
  type TokenOptions,
} from "./authorization_server.ts";
import { listen } from "./listen.ts";
import { OAUTH_CLIENTS, User } from "./oauth_client.ts";

/** The machine's clock, put forward. */
class AheadClock implements Clock {
  aheadMs = 0;
  readonly timer = systemClock.timer;
  now(): number {
    return Date.now() + this.aheadMs;
  }
}

function notes(seen: Principal[]): McpServer {
  const server = new McpServer({ name: "notes", version: "1.0.0" });
  server.registerTool("whoami", {}, (_, { principal }) => {
    seen.push(principal);
    return principal.id;
  });
  server.registerTool("count", {}, async (_, { session }) => {
    const count = Number(await session?.state.get("count") ?? 0) + 1;
    await session?.state.set("count", count);
    return `${count}`;
  });
  server.registerTool("write", { scopes: ["notes:write"] }, () => "Written");
  server.registerTool("purge", {}, () => "Purged");
  return server;
}

/** An endpoint, its authorization server, and everything that there is to see of them. */
class Stage {
  readonly clock = new AheadClock();
  readonly events = new Events();
  readonly principals: Principal[] = [];
  readonly tokens: TokenOptions;
  readonly server: AuthorizationServer;
  readonly url: string;
  readonly #close: () => Promise<void>;

  private constructor(
    tokens: TokenOptions,
    server: AuthorizationServer,
    origin: string,
    close: () => Promise<void>,
  ) {
    this.tokens = tokens;
    this.server = server;
    this.url = `${origin}/mcp`;
    this.#close = close;
  }

  static async set(format: TokenOptions["format"]): Promise<Stage> {
    const tokens: TokenOptions = { scope: "notes:read notes:write", format, ttlS: 60 };
    const server = await startAuthorizationServer(tokens);
    const http = createServer();
    const { origin, close } = await listen(http);
    const stage: Stage = new Stage(tokens, server, origin, async () => {
      await handler.close({ graceMs: 0 });
      await close();
      await server.close();
    });
    const { issuer } = server;
    const expected = { issuer, audience: stage.url, requiredScopes: ["notes:read"] };
    const handler = createMcpHandler(notes(stage.principals), {
      path: "/mcp",
      clock: stage.clock,
      onEvent: stage.events.onEvent,
      authenticate: format === "jwt"
        ? jwt({ ...expected, jwksUri: `${issuer}/jwks`, typ: "at+jwt", clock: stage.clock })
        : introspection({
          ...expected,
          endpoint: `${issuer}/token/introspection`,
          clientId: RESOURCE_SERVER.client_id,
          clientSecret: RESOURCE_SERVER.client_secret,
          clock: stage.clock,
        }),
      authorize: (_, { method, params }) => method !== "tools/call" || params.name !== "purge",
      resource: protectedResource({
        resource: stage.url,
        authorizationServers: [issuer],
        scopes: ["notes:read"],
      }),
    });
    http.on("request", toNodeHandler(handler));
    return stage;
  }

  async strike(): Promise<void> {
    await this.#close();
  }
}

async function on(format: TokenOptions["format"], play: (stage: Stage) => Promise<void>) {
  const stage = await Stage.set(format);
  try {
    await play(stage);
  } finally {
    await stage.strike();
  }
}

/** What an authorization request asks for, besides what clients add for themselves. */
function scopesOf(request: Readonly<Record<string, unknown>> | undefined): string[] {
  return String(request?.scope).split(" ").filter((scope) => scope !== "offline_access").sort();
}

for (const kind of OAUTH_CLIENTS) {
  describe(`OAuth with ${kind.name}`, () => {
    test("[AUTH-4] finds its way from the 401 to a token for this endpoint", async () => {
      await on("jwt", async ({ url, server, principals }) => {
        const user = new User(server.issuer);
        const client = await kind.connect(url, user);
        assert.equal(await client.call("whoami"), "ada");
        assert.equal(user.visits, 1);
        const [principal] = principals;
        assert.equal(principal?.issuer, server.issuer);
        assert.equal(principal?.clientId, CLIENT.client_id);
        assert.deepEqual(principal?.scopes, ["notes:read"]);
        assert.equal(typeof principal?.expiresAt, "number");
        const [asked] = server.authorizations;
        assert.equal(asked?.code_challenge_method, "S256");
        assert.equal(asked?.resource, url);
        assert.deepEqual(scopesOf(asked), ["notes:read"]);
        const [granted] = server.grants;
        assert.equal(granted?.resource, url);
        assert.equal(typeof granted?.code_verifier, "string");
        await client.close();
      });
    });

    test("[AUTH-3, AUTH-4] a token that expires is refreshed, and the session goes on", async () => {
      await on("jwt", async ({ url, clock, tokens, server, events }) => {
        const user = new User(server.issuer);
        const client = await kind.connect(url, user);
        const { sessionId } = client;
        assert.equal(sessionId !== undefined, kind.sessions);
        await client.call("count");
        const before = user.current?.access_token;
        clock.aheadMs = 61_000;
        tokens.ttlS = 3_600;
        assert.equal(await client.call("count"), kind.sessions ? "2" : "1");
        assert.equal(client.sessionId, sessionId);
        assert.notEqual(user.current?.access_token, before);
        assert.equal(user.visits, 1);
        assert.equal(server.grants.at(-1)?.grant_type, "refresh_token");
        assert.ok(events.refusals.includes("unauthorized"));
        assert.equal(events.of("session-opened").length, kind.sessions ? 1 : 0);
        await client.close();
      });
    });

    if (kind.sessions) {
      test("[AUTH-3, AUTH-4] the server's stream ends with its token, and comes back with the next one", async () => {
        await on("jwt", async ({ url, tokens, server, events }) => {
          tokens.ttlS = 3;
          const user = new User(server.issuer);
          const client = await kind.connect(url, user);
          await client.call("count");
          tokens.ttlS = 3_600;
          const opened = () =>
            [...events.of("stream-opened"), ...events.of("stream-resumed")]
              .filter(({ stream }) => stream === "server");
          const before = Date.now();
          while (opened().length < 2 && Date.now() - before < 15_000) {
            await new Promise((resolve) => setTimeout(resolve, 20));
          }
          assert.ok(Date.now() - before > 500, "it did not end with its token");
          assert.equal(opened().length, 2);
          assert.equal(server.grants.at(-1)?.grant_type, "refresh_token");
          assert.equal(await client.call("count"), "2");
          assert.equal(user.visits, 1);
          assert.equal(events.of("session-opened").length, 1);
          await client.close();
        });
      });
    }

    test("[AUTH-5] what needs another scope has the user asked for it, in the same session", async () => {
      await on("jwt", async ({ url, server, principals }) => {
        const user = new User(server.issuer, kind.refreshesAndStepsUp);
        const client = await kind.connect(url, user);
        const { sessionId } = client;
        assert.deepEqual(await client.tools(), ["whoami", "count", "write"]);
        await client.call("count");
        assert.equal(await client.call("write"), "Written");
        assert.equal(user.visits, 2);
        assert.deepEqual(scopesOf(server.authorizations.at(-1)), ["notes:read", "notes:write"]);
        // And nothing was lost by it
        await client.call("whoami");
        assert.deepEqual([...principals.at(-1)?.scopes ?? []].sort(), [
          "notes:read",
          "notes:write",
        ]);
        assert.equal(await client.call("count"), kind.sessions ? "2" : "1");
        assert.equal(client.sessionId, sessionId);
        await client.close();
      });
    });

    test("[AUTH-5] what is hidden is unknown, and nobody is asked for anything", async () => {
      await on("jwt", async ({ url, server }) => {
        const user = new User(server.issuer);
        const client = await kind.connect(url, user);
        await assert.rejects(client.call("purge"), /Unknown tool: "purge"/);
        await assert.rejects(client.call("nothing"), /Unknown tool: "nothing"/);
        assert.equal(user.visits, 1);
        await client.close();
      });
    });

    test("[AUTH-4] opaque tokens are asked about, and a revoked one has the user asked again", async () => {
      await on("opaque", async ({ url, clock, server, principals }) => {
        const user = new User(server.issuer, false);
        const client = await kind.connect(url, user);
        assert.equal(await client.call("whoami"), "ada");
        assert.doesNotMatch(user.current?.access_token ?? "", /\./);
        assert.deepEqual(principals[0]?.scopes, ["notes:read"]);
        const revoked = await fetch(`${server.issuer}/token/revocation`, {
          method: "POST",
          body: new URLSearchParams({
            token: user.current?.access_token ?? "",
            client_id: CLIENT.client_id,
          }),
        });
        assert.equal(revoked.status, 200);
        await revoked.body?.cancel();
        assert.equal(await client.call("whoami"), "ada");
        assert.equal(user.visits, 1);
        clock.aheadMs = 30_000;
        assert.equal(await client.call("whoami"), "ada");
        assert.equal(user.visits, 2);
        await client.close();
      });
    });
  });
}

describe("OAuth: tokens that are for something else", () => {
  const [kind] = OAUTH_CLIENTS;
  for (const format of ["opaque", "jwt"] as const) {
    test(`[AUTH-4] a refresh token, or one of another client's endpoint, is no access token (${format})`, async () => {
      await on(format, async ({ url, server, principals }) => {
        await on(format, async (other) => {
          assert.ok(kind);
          const [user, guest] = [new User(server.issuer), new User(other.server.issuer)];
          const client = await kind.connect(url, user);
          const elsewhere = await kind.connect(other.url, guest);
          const post = async (token: string | undefined) => {
            const response = await fetch(url, {
              method: "POST",
              headers: {
                "authorization": `Bearer ${token}`,
                "content-type": "application/json",
                "accept": "application/json, text/event-stream",
                "mcp-session-id": String(client.sessionId),
              },
              body: JSON.stringify({
                jsonrpc: "2.0",
                id: 1,
                method: "tools/call",
                params: { name: "whoami" },
              }),
            });
            await response.body?.cancel();
            return response.status;
          };
          assert.equal(await post(user.current?.access_token), 200);
          assert.equal(principals.length, 1);
          assert.ok(user.current?.refresh_token);
          assert.equal(await post(user.current.refresh_token), 401);
          assert.equal(await post(guest.current?.access_token), 401);
          assert.equal(principals.length, 1);
          await client.close();
          await elsewhere.close();
        });
      });
    });
  }
});
