/**
 * Tokens and keys seen from the wire: what clients are answered while an issuer changes its keys, goes
 * away and comes back, and when they send tokens that were made up.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { describe, test } from "node:test";
import { exportSPKI, importJWK, type JWK, SignJWT } from "jose";
import { jwt } from "../../src/auth/jwt.ts";
import { protectedResource } from "../../src/auth/protected_resource.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import { McpServer } from "../../src/server/server.ts";
import { ModernPeer } from "../support/modern.ts";
import { Events, initialize, type Peer, refused, seen } from "../support/wire.ts";
import { AUDIENCE, Issuer } from "./issuer.ts";
import { listen } from "./listen.ts";

type Mood = "up" | "down" | "silent" | "broken";

interface Bench {
  readonly issuer: Issuer;
  readonly handler: McpHandler;
  readonly events: Events;
  /** What the issuer's keys are behind. */
  mood: Mood;
  /** How many times they were asked for. */
  asked: number;
}

/** An endpoint that trusts an issuer whose keys are on a real server. */
async function withIssuer(play: (bench: Bench) => Promise<void>): Promise<void> {
  const server = createServer((incoming, outgoing) => {
    bench.asked++;
    if (bench.mood === "down") return void incoming.socket.destroy();
    if (bench.mood === "silent") return;
    if (bench.mood === "broken") {
      return void outgoing.writeHead(502).end("<html>Bad gateway</html>");
    }
    outgoing.end(JSON.stringify(bench.issuer.jwks));
  });
  const { origin, close } = await listen(server);
  const issuer = await Issuer.make({ iss: origin });
  const mcp = new McpServer({ name: "keys", version: "1.0.0" });
  mcp.registerTool("whoami", {}, (_, { principal }) => principal.id);
  const events = new Events();
  const handler = createMcpHandler(mcp, {
    authenticate: jwt({
      issuer: origin,
      audience: AUDIENCE,
      jwksUri: `${origin}/jwks`,
      timeoutMs: 600,
      requiredScopes: ["use"],
    }),
    resource: protectedResource({ resource: AUDIENCE, authorizationServers: [origin] }),
    onEvent: events.onEvent,
  });
  const bench: Bench = { issuer, handler, events, mood: "up", asked: 0 };
  try {
    await play(bench);
  } finally {
    await handler.close({ graceMs: 0 });
    await close();
  }
}

/** Headers with a token that is good, unless told otherwise. */
async function by(
  { issuer }: Bench,
  ...[minting]: Parameters<Issuer["mint"]>
): Promise<{ readonly authorization: string }> {
  const claims = { scope: "use", ...minting?.claims };
  return { authorization: `Bearer ${await issuer.mint({ ...minting, claims })}` };
}

async function again(peer: Peer, bench: Bench): Promise<Response> {
  return await peer.with({ headers: await by(bench) }).call(1, "whoami");
}

const METADATA = "https://api.example/.well-known/oauth-protected-resource/mcp";

describe("AUTH: an issuer's keys", () => {
  test("[AUTH-3, AUTH-4] change in the middle of a session: it goes on, and old tokens don't", async () => {
    await withIssuer(async (bench) => {
      const headers = await by(bench);
      const peer = await initialize(bench.handler, { headers });
      assert.equal(bench.asked, 1);
      for (let i = 2; i <= 4; i++) {
        await bench.issuer.rotate();
        await peer.result(await again(peer, bench));
        assert.equal(bench.asked, i);
      }
      assert.equal((await peer.call(1, "whoami")).status, 401);
      await bench.issuer.rotate("RS256");
      await peer.result(await again(peer, bench));
      assert.equal(bench.handler.sessions.size, 1);
    });
  });

  for (const mood of ["down", "silent", "broken"] as const) {
    test(`[AUTH-4] ${mood}: an honest 503 in time, never a 401, and recovery by itself`, async () => {
      await withIssuer(async (bench) => {
        bench.mood = mood;
        const headers = await by(bench);
        const modern = new ModernPeer(bench.handler, { headers });
        const began = performance.now();
        const responses = await Promise.all([1, 2, 3].map(() => modern.call("whoami")));
        assert.ok(performance.now() - began < 3_000);
        for (const response of responses) {
          assert.equal(response.headers.get("www-authenticate"), null);
          assert.equal(response.headers.get("retry-after"), "1");
          const { body } = await seen(response.clone());
          assert.doesNotMatch(body, /127\.0\.0\.1|jwks|eyJ/);
          await refused(response, 503, -32603);
        }
        const [error] = bench.events.of("error");
        assert.equal(error?.during, "authenticate");
        assert.deepEqual(bench.events.refusals, Array(3).fill("authenticate-failed"));
        bench.mood = "up";
        await modern.say("whoami");
      });
    });

    test(`[AUTH-4] ${mood} in the middle of a session: known keys go on, unknown ones wait`, async () => {
      await withIssuer(async (bench) => {
        const headers = await by(bench);
        const peer = await initialize(bench.handler, { headers });
        bench.mood = mood;
        await peer.result(await again(peer, bench));
        await bench.issuer.rotate();
        await refused(await again(peer, bench), 503, -32603);
        await peer.result(await peer.call(1, "whoami"));
        bench.mood = "up";
        await peer.result(await again(peer, bench));
        assert.equal(bench.handler.sessions.size, 1);
      });
    });
  }
});

describe("AUTH: tokens that were made up", () => {
  /** Tokens that a client may not get in with, by what is wrong with them. */
  const wrong: [string, (bench: Bench) => Promise<string>][] = [
    ["expired", ({ issuer }) => issuer.mint({ forS: -60 })],
    ["for another audience", ({ issuer }) => issuer.mint({ claims: { aud: `${AUDIENCE}/other` } })],
    ["of another issuer", async ({ issuer }) => {
      const other = await Issuer.make({ iss: `${issuer.iss}/other` });
      return await other.mint();
    }],
    ["signed by somebody else", async ({ issuer }) => {
      const thief = await Issuer.make({ iss: issuer.iss });
      return await thief.mint();
    }],
    ["unsigned", async ({ issuer }) => {
      const [, payload] = (await issuer.mint()).split(".");
      return `${btoa('{"alg":"none"}')}.${payload}.`;
    }],
    ["signed with the public key as a secret", async ({ issuer }) => {
      const [key] = issuer.keys;
      const publicKey = await importJWK(key?.jwk as JWK, "ES256");
      assert.ok(!(publicKey instanceof Uint8Array));
      const secret = new TextEncoder().encode(await exportSPKI(publicKey));
      return await new SignJWT({ scope: "use" })
        .setProtectedHeader({ alg: "HS256", kid: key?.kid })
        .setIssuer(issuer.iss).setAudience(AUDIENCE).setSubject("ada").setExpirationTime("1h")
        .sign(secret);
    }],
    ["no JWT", async () => "opaque"],
  ];
  for (const [name, make] of wrong) {
    test(`[AUTH-4] ${name} → 401 on every verb, with the way to a better one`, async () => {
      await withIssuer(async (bench) => {
        const { handler, events } = bench;
        const token = await make(bench);
        const good = await initialize(handler, { headers: await by(bench) });
        const peer = good.with({ headers: { authorization: `Bearer ${token.replace(/=/g, "")}` } });
        for (
          const response of [await peer.call(1, "whoami"), await peer.get(), await peer.delete()]
        ) {
          const challenge = response.headers.get("www-authenticate") ?? "";
          const said =
            `Bearer resource_metadata="${METADATA}", error="invalid_token", error_description="`;
          assert.ok(challenge.startsWith(said), challenge);
          assert.ok(challenge.endsWith(', scope="use"'), challenge);
          await refused(response, 401, -32001);
        }
        assert.ok(!JSON.stringify(events.all).includes(token));
        assert.deepEqual(events.of("error"), []);
        // The session is its owner's still
        await good.result(await good.call(1, "whoami"));
      });
    });
  }

  test("[AUTH-4] none → 401 without an error, and too few scopes → 403", async () => {
    await withIssuer(async (bench) => {
      const nobody = await new ModernPeer(bench.handler).call("whoami");
      const bare = `Bearer resource_metadata="${METADATA}", scope="use"`;
      assert.equal(nobody.headers.get("www-authenticate"), bare);
      await refused(nobody, 401, -32603);
      const headers = await by(bench, { claims: { scope: "look" } });
      const poor = await new ModernPeer(bench.handler, { headers }).call("whoami");
      assert.equal(
        poor.headers.get("www-authenticate"),
        `Bearer resource_metadata="${METADATA}", error="insufficient_scope", scope="use look"`,
      );
      await refused(poor, 403, -32603);
    });
  });
});
