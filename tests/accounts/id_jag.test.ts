/**
 * Enterprise-managed authorization: the gateway gets ID-JAGs for its callers, and presents them at the
 * upstream's authorization server.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { exportJWK, generateKeyPair } from "jose";
import { idJag, type IdJagOptions } from "../../src/accounts/mod.ts";
import { ModernPeer } from "../support/modern.ts";
import { initialize, textOf } from "../support/wire.ts";
import {
  AS,
  AS_SECRET,
  type Enterprise,
  type EnterpriseFaults,
  IDP,
  NOTES,
  SECRET,
  sentAs,
  withEnterprise,
} from "./enterprise.ts";

const TYPES = "urn:ietf:params:oauth:token-type:";

function byIdJag(world: Enterprise, options: Partial<IdJagOptions> = {}) {
  const { clock, fetch } = world;
  return idJag({
    ...{ issuer: AS, clientId: "mooring-at-notes", clientSecret: AS_SECRET, fetch, clock },
    identityProvider: { issuer: IDP, clientId: "mooring", clientSecret: SECRET },
    ...options,
  });
}

test("[UPA-51] two users in two eras: each call has a token for which an ID-JAG of its own user was redeemed", async () => {
  await withEnterprise((world) => byIdJag(world, { scopes: ["notes:read"] }), async (world) => {
    const { handler } = world.front;
    const tokens = { ada: await world.callerToken("ada"), bob: await world.callerToken("bob") };
    for (const [user, token] of Object.entries(tokens)) {
      const headers = sentAs(token);
      const old = await initialize(handler, { headers });
      assert.equal(textOf(await old.result(await old.call(1, "notes__who"))), user);
      assert.equal(textOf(await new ModernPeer(handler, { headers }).say("notes__who")), user);
    }
    assert.deepEqual(world.calls.map(({ user }) => user), ["ada", "ada", "bob", "bob"]);
    for (const { user, token } of world.calls) {
      assert.equal((await world.as.verify(token, NOTES)).sub, user);
    }
    assert.deepEqual(world.requests.map(({ origin }) => origin), [IDP, AS, IDP, AS]);
    const [exchanged, redeemed] = world.requests;
    assert.ok(exchanged && redeemed);
    assert.deepEqual(
      Object.fromEntries(
        ["requested_token_type", "subject_token_type", "audience", "resource", "scope"]
          .map((name) => [name, exchanged.form.get(name)]),
      ),
      {
        requested_token_type: `${TYPES}id-jag`,
        subject_token_type: `${TYPES}access_token`,
        audience: AS,
        resource: NOTES,
        scope: "notes:read",
      },
    );
    assert.equal(exchanged.form.get("subject_token"), tokens.ada);
    const assertion = redeemed.form.get("assertion") ?? "";
    assert.equal((await world.idp.verify(assertion, AS)).sub, "ada");
    assert.notEqual(redeemed.authorization, exchanged.authorization);
    // Each secret and token goes where it belongs
    const reached = (
      text: string,
    ) => [...new Set(world.sent.flatMap((sent) => sent.text.includes(text) ? [sent.origin] : []))];
    assert.deepEqual(reached(tokens.ada), [IDP]);
    assert.deepEqual(reached(assertion), [AS]);
    assert.deepEqual(reached(world.calls[0]?.token ?? "-"), [new URL(NOTES).origin]);
  });
});

test("[UPA-51] an ID token of the login is exchanged, with a key at one server and no secret at the other", async () => {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(privateKey);
  const auth = (world: Enterprise) =>
    byIdJag(world, {
      clientSecret: undefined,
      identityProvider: { issuer: IDP, clientId: "mooring", privateKey: { ...jwk } },
      subject: async ({ principal }) => ({
        token: await world.idp.sign({ sub: principal.id, aud: "mooring" }, { typ: "JWT" }),
        type: `${TYPES}id_token`,
      }),
    });
  await withEnterprise(auth, async (world) => {
    const headers = sentAs(await world.callerToken("ada"));
    assert.equal(
      textOf(await new ModernPeer(world.front.handler, { headers }).say("notes__who")),
      "ada",
    );
    const [exchanged, redeemed] = world.requests;
    assert.ok(exchanged?.form.get("client_assertion"));
    assert.equal(redeemed?.form.get("client_id"), "mooring-at-notes");
    assert.equal(redeemed?.form.get("client_assertion"), null);
    assert.equal(redeemed?.authorization, null);
  });
});

/** What either server may do wrong, why it is refused, and which servers were asked. */
const attacks: Record<
  string,
  { readonly faults: EnterpriseFaults; readonly reason: RegExp; readonly asked: readonly string[] }
> = {
  "an ID-JAG of another typ": {
    faults: { jag: { typ: "at+jwt" } },
    reason: /without an ID-JAG/,
    asked: [IDP],
  },
  "an ID-JAG for another server": {
    faults: { jag: { claims: { aud: "https://other.example" } } },
    reason: /ID-JAG is for another server/,
    asked: [IDP],
  },
  "an ID-JAG for this server and another": {
    faults: { jag: { claims: { aud: [AS, "https://other.example"] } } },
    reason: /ID-JAG is for another server/,
    asked: [IDP],
  },
  "a text that is no JWT": {
    faults: { answer: { access_token: "opaque" } },
    reason: /without an ID-JAG/,
    asked: [IDP],
  },
  "an access token in its place": {
    faults: { answer: { token_type: "Bearer", issued_token_type: `${TYPES}access_token` } },
    reason: /token of another type/,
    asked: [IDP],
  },
  "an ID-JAG with the scheme Bearer": {
    faults: { answer: { token_type: "Bearer" } },
    reason: /without an assertion/,
    asked: [IDP],
  },
  "an ID-JAG for another client": {
    faults: { jag: { claims: { client_id: "somebody" } } },
    reason: /The server refused: invalid_grant/,
    asked: [IDP, AS],
  },
  "an access token for another resource": {
    faults: { jag: { claims: { resource: "https://other.example/mcp" } } },
    reason: /token is for another server/,
    asked: [IDP, AS],
  },
  "a redirect of the upstream's server": {
    faults: {
      as: () => new Response(null, { status: 308, headers: { location: "https://evil.example/" } }),
    },
    reason: /answer isn't valid/,
    asked: [IDP, AS],
  },
  "N_A of the upstream's server": {
    faults: { as: () => Response.json({ access_token: "opaque", token_type: "N_A" }) },
    reason: /without a bearer token/,
    asked: [IDP, AS],
  },
  "the identity provider's policy": {
    faults: { idp: () => Response.json({ error: "access_denied" }, { status: 400 }) },
    reason: /refused: access_denied\. Sign in again; if that doesn't help, ask the operator/,
    asked: [IDP],
  },
};

for (const [name, { faults, reason, asked }] of Object.entries(attacks)) {
  test(`[UPA-52] ${name} leads to an error without a secret, and nothing at the upstream`, async () => {
    await withEnterprise(byIdJag, async (world) => {
      Object.assign(world.faults, faults);
      const token = await world.callerToken("ada");
      const peer = new ModernPeer(world.front.handler, { headers: sentAs(token) });
      await assert.rejects(() => peer.say("notes__who"), (error) => {
        assert.match(String(error), reason);
        for (const secret of [token, SECRET, AS_SECRET, "evil", "opaque"]) {
          assert.ok(!String(error).includes(secret), String(error));
        }
        return true;
      });
      assert.deepEqual(world.calls, []);
      assert.deepEqual([...new Set(world.requests.map(({ origin }) => origin))], asked);
    });
  });
}

test("[UPA-52] calls work again when either server is back, and a token holds meanwhile", async () => {
  await withEnterprise(byIdJag, async (world) => {
    const headers = sentAs(await world.callerToken("ada"));
    const peer = new ModernPeer(world.front.handler, { headers });
    for (const server of ["idp", "as"] as const) {
      world.faults[server] = () => Promise.reject(new Error("away"));
      await assert.rejects(() => peer.say("notes__who"), /can't be reached.*Call again later/);
      delete world.faults[server];
    }
    assert.equal(textOf(await peer.say("notes__who")), "ada");
    world.faults.idp = () => Promise.reject(new Error("away"));
    await world.clock.advance(541_000);
    assert.equal(textOf(await peer.say("notes__who")), "ada");
  });
});

test("[UPA-52] options are checked when they are given", () => {
  const identityProvider = { issuer: IDP, clientId: "mooring", clientSecret: SECRET };
  const whole = { issuer: AS, clientId: "a", identityProvider };
  const { clientSecret: _, ...bare } = identityProvider;
  assert.throws(() => idJag({ ...whole, identityProvider: bare }), /either "clientSecret" or/);
  const misspelt = { ...identityProvider, isuer: "x" };
  assert.throws(() => idJag({ ...whole, identityProvider: misspelt }), /identityProvider\.isuer/);
  assert.throws(() => idJag({ ...whole, issuer: "notes" }), /Give a URL as "issuer"/);
  assert.throws(
    () => idJag({ ...whole, identityProvider: { ...identityProvider, issuer: "idp" } }),
    /identityProvider/,
  );
});
