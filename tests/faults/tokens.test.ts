/**
 * Tokens made of anything that a token can say: by somebody who has a key, but not the issuer's; by
 * the issuer, for something else; and out of good ones that were taken apart. None gets in, each is
 * refused alike, and the issuer isn't asked more often for it.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { base64url } from "jose";
import { introspection } from "../../src/auth/introspection.ts";
import { jwt } from "../../src/auth/jwt.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { FakeEndpoint, hang } from "../auth/fake_endpoint.ts";
import { AUDIENCE, ISSUER, Issuer, makeKey } from "../auth/issuer.ts";
import { FakeClock } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { Events, refused, Stub, text } from "../support/wire.ts";
import { assertNothingInside, until } from "./invariants.ts";
import { property } from "./runs.ts";

const START = 1_790_000_000_000;
const NOW = START / 1_000;
/** Keys of the issuer, of the kinds that its tokens could be signed with. */
const KINDS = ["ES256", "RS256", "EdDSA"] as const;

const ALGORITHMS: readonly unknown[] = [
  ...["none", "None", "nOnE", "HS256", "HS512", "ES256", "ES384", "ES256K", "RS256", "PS256"],
  ...["EdDSA", "Ed25519", "ML-DSA-44", "dir", "RSA-OAEP", "es256", "ES256 ", "", "__proto__"],
  ...[null, 1, {}, [], ["ES256"]],
];
const KEY_IDS: readonly unknown[] = [
  ...["key-1", "RS256", "EdDSA", "", " ", "../../../../dev/null", "' OR 1=1 --", "__proto__"],
  ...["https://evil.example/jwks", "constructor", "\u0000", "x".repeat(5_000)],
  ...[undefined, null, 1, {}, ["key-1"], { $ne: 1 }],
];
const MORE: readonly JsonObject[] = [
  {},
  { jku: "https://evil.example/jwks" },
  { jwk: { kty: "oct", k: "AAAA" } },
  { x5u: "https://evil.example/x", x5c: ["AAAA"], x5t: "AAAA" },
  { crit: ["x"], x: 1 },
  { crit: [] },
  { crit: ["b64"], b64: false },
  { crit: "exp" },
  { zip: "DEF", enc: "A128GCM" },
  { typ: "at+jwt", cty: "JWT" },
];
/** What a token of the issuer may not say, or must. */
const CLAIMS: readonly JsonObject[] = [
  ...[undefined, NOW, 0, -1, null, `${NOW + 99}`, [NOW + 99]].map((exp) => ({ exp })),
  ...[undefined, "", null, 1, ["ada"], {}].map((sub) => ({ sub })),
  ...[undefined, `${ISSUER}/`, ISSUER.toUpperCase(), [ISSUER]].map((iss) => ({ iss })),
  ...[undefined, [], "*", `${AUDIENCE}/`, "https://api.example", [[AUDIENCE]], { 0: AUDIENCE }]
    .map((aud) => ({ aud })),
  ...[NOW + 1, "0", null].map((nbf) => ({ nbf })),
  { cnf: { jkt: "x" } },
];

const header = fc.record({
  alg: fc.constantFrom(...ALGORITHMS),
  kid: fc.constantFrom(...KEY_IDS),
  more: fc.constantFrom(...MORE),
}).map(({ alg, kid, more }): JsonObject => ({ alg, kid, ...more }));

type Made =
  | { readonly how: "signed by somebody"; readonly header: JsonObject; readonly kind: number }
  | { readonly how: "unsigned"; readonly header: JsonObject; readonly signature: string }
  | { readonly how: "of the issuer"; readonly claims: JsonObject; readonly kind: number }
  | { readonly how: "put together"; readonly parts: readonly number[] }
  | { readonly how: "changed"; readonly at: number; readonly to: string };

const made: fc.Arbitrary<Made> = fc.oneof(
  fc.record({ how: fc.constant("signed by somebody" as const), header, kind: fc.nat(2) }),
  fc.record({
    how: fc.constant("unsigned" as const),
    header,
    signature: fc.constantFrom("", "AAAA", "A".repeat(86)),
  }),
  fc.record({
    how: fc.constant("of the issuer" as const),
    claims: fc.constantFrom(...CLAIMS),
    kind: fc.nat(2),
  }),
  fc.record({
    how: fc.constant("put together" as const),
    parts: fc.array(fc.nat(5), { minLength: 1, maxLength: 5 })
      // The first three and the last three are whole tokens
      .filter((parts) => parts.join() !== "0,1,2" && parts.join() !== "3,4,5"),
  }),
  fc.record({
    how: fc.constant("changed" as const),
    at: fc.nat(150),
    to: fc.constantFrom("", "A", "_", "~", "+", "/", ".", "A.", "=".repeat(3)),
  }),
);

const part = (value: unknown) => base64url.encode(JSON.stringify(value));

const clock = new FakeClock(START);
const issuer = new Issuer({ clock });
const thief = new Issuer({ clock });
for (const each of [issuer, thief]) {
  each.keys = await Promise.all(KINDS.map((alg, n) => makeKey(n === 0 ? "key-1" : alg, alg)));
}
const good = await Promise.all([issuer.mint(), issuer.mint({ claims: { sub: "ben" } })]);

describe("AUTH: tokens that nobody issued for this", () => {
  const events = new Events();
  const endpoint = new FakeEndpoint(() => Response.json(issuer.jwks));
  const handler = createMcpHandler(new Stub({ hello: () => text("Hello") }), {
    clock,
    onEvent: events.onEvent,
    authenticate: jwt({
      ...{ issuer: ISSUER, audience: AUDIENCE, clock },
      ...{ jwksUri: `${ISSUER}/jwks`, fetch: endpoint.fetch },
    }),
  });
  const send = (token: string) =>
    new ModernPeer(handler, { headers: { authorization: `Bearer ${token}` } }).call("hello");

  /** Signs as whoever has the key, whatever the header says. */
  async function signed(by: Issuer, kind: number, head: JsonObject, claims: JsonObject) {
    const one = new Issuer({ clock });
    one.keys = by.keys.slice(kind, kind + 1);
    if (by === issuer) return await one.mint({ claims });
    const token = await one.mint({ claims });
    const [, payload, signature] = token.split(".");
    return `${part(head)}.${payload}.${signature}`;
  }

  async function tokenOf(how: Made): Promise<string> {
    const [first = "", second = ""] = good;
    switch (how.how) {
      case "signed by somebody":
        return await signed(thief, how.kind, how.header, {});
      case "unsigned":
        return `${part(how.header)}.${first.split(".")[1]}.${how.signature}`;
      case "of the issuer":
        return await signed(issuer, how.kind, {}, how.claims);
      case "put together": {
        const parts = `${first}.${second}`.split(".");
        return how.parts.map((n) => parts[n]).join(".");
      }
      case "changed": {
        const changed = `${first.slice(0, how.at)}${how.to}${first.slice(how.at + 1)}`;
        return changed === first ? `A${first}` : changed;
      }
    }
  }

  property(
    "[AUTH-4, GATE-11] none gets in, and the issuer's keys are not asked for each",
    made,
    { everyday: 500, long: 20_000 },
    async (how) => {
      const token = await tokenOf(how);
      // Both have the same head, so it may come out as a whole again
      if (good.includes(token)) return;
      const response = await send(token);
      const challenge = response.headers.get("www-authenticate") ?? "";
      assert.match(challenge, /^Bearer error="invalid_token", error_description="[A-Z][^"]+"$/);
      assertNothingInside(challenge);
      if (token.length > 20) assert.ok(!challenge.includes(token.slice(0, 20)));
      await refused(response, 401, -32603);
      assert.deepEqual(events.of("error"), []);
      assert.ok(endpoint.asked.length <= 6, `${endpoint.asked.length}`);
      events.all.length = 0;
    },
  );

  test("[AUTH-4] and those that it did issue get in all the while", async () => {
    for (const [kind] of KINDS.entries()) {
      const response = await send(await signed(issuer, kind, {}, {}));
      assert.equal(response.status, 200);
      await response.body?.cancel();
    }
    await handler.close();
  });
});

describe("AUTH: strangers in great numbers", () => {
  test("[AUTH-4] a stampede of made-up tokens is bounded, and whoever is known goes on", async () => {
    const clock = new FakeClock(START);
    let away = false;
    const endpoint = new FakeEndpoint((asked) => {
      if (away) return hang(asked);
      const facts = { active: true, sub: "ada", aud: AUDIENCE, exp: NOW + 600 };
      return Response.json(String(asked.init.body).includes("known") ? facts : { active: false });
    });
    const handler = createMcpHandler(new Stub({ hello: () => text("Hello") }), {
      clock,
      authenticate: introspection({
        ...{ endpoint: `${ISSUER}/introspect`, issuer: ISSUER, audience: AUDIENCE, clock },
        ...{ clientId: "mcp", clientSecret: "secret", fetch: endpoint.fetch },
      }),
    });
    const call = (token: string) =>
      new ModernPeer(handler, { headers: { authorization: `Bearer ${token}` } }).call("hello");
    assert.equal((await call("known")).status, 200);
    away = true;
    let answered = 0;
    const crowd = Array.from({ length: 3_000 }, async (_, n) => {
      const response = await call(`stranger-${n}`);
      answered++;
      return response;
    });
    // Tokens are hashed on other threads
    await until(() => endpoint.asked.length >= 1_001);
    await until(() => answered >= 2_000);
    // One for the known, and so many open at a time for all others
    assert.equal(endpoint.asked.length, 1_001);
    assert.equal((await call("known")).status, 200);
    await clock.advance(5_000);
    for (const response of await Promise.all(crowd)) {
      assert.equal(response.status, 503);
      assert.equal(response.headers.get("www-authenticate"), null);
      await response.body?.cancel();
    }
    away = false;
    assert.equal((await call("stranger")).status, 401);
    assert.equal(handler.stats().requests, 0);
    await handler.close();
  });
});
