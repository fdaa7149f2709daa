/**
 * The provider's ID tokens that are kept with logins, and what a gateway gets for them: the whole way from a
 * login through an ID-JAG to an upstream whose authorization server is another sign-in.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createMcpHandler } from "../../mod.ts";
import { idJag } from "../../src/accounts/mod.ts";
import { gateway, http } from "../../src/gateway/mod.ts";
import type { LoginRequest, ProviderLogin } from "../../src/signin/mod.ts";
import { Enterprise, IDP, SECRET, sentAs } from "../accounts/enterprise.ts";
import { FakeClock } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { initialize, textOf } from "../support/wire.ts";
import { ChosenProvider, ISSUER, redeem, refresh, RESOURCE, TestBrowser, World } from "./front.ts";

/** A provider that gives an ID token at each login and refresh. */
class IdTokenProvider extends ChosenProvider {
  readonly #sign: (user: string) => Promise<string>;

  constructor(sign: (user: string) => Promise<string>) {
    super();
    this.#sign = sign;
  }

  override async finish(request: LoginRequest, callback: URLSearchParams): Promise<ProviderLogin> {
    const login = await super.finish(request, callback);
    return { ...login, idToken: await this.#sign(login.subject) };
  }

  override async refresh(credential: string): Promise<ProviderLogin | "ended"> {
    const login = await super.refresh(credential);
    return login === "ended" ? login : { ...login, idToken: await this.#sign(login.subject) };
  }
}

test("[FRONT-65] the ID token of a login is its own user's, new after a refresh, and gone with the grant", async () => {
  let count = 0;
  const provider = new IdTokenProvider((user) => Promise.resolve(`id-token-${++count}-of-${user}`));
  for (const idTokens of [true, false]) {
    const world = new World({ provider, idTokens });
    const [front] = world.nodes;
    assert.ok(front);
    const principalOf = (token: string) =>
      front.authenticate(new Request(RESOURCE, { headers: sentAs(token) }));
    try {
      provider.user = "ada";
      const tokens = await (await redeem(world, await new TestBrowser(world).code())).json();
      const ada = await principalOf(tokens.access_token);
      const first = `id-token-${count}-of-ada`;
      assert.equal(await front.idToken(ada), idTokens ? first : undefined);
      const next = await (await refresh(world, tokens.refresh_token)).json();
      const again = await principalOf(next.access_token);
      assert.equal(await front.idToken(again), idTokens ? `id-token-${count}-of-ada` : undefined);
      assert.notEqual(first, `id-token-${count}-of-ada`);
      assert.equal(await front.idToken({ ...ada, id: "bob" }), undefined);
      assert.equal(await front.idToken({ ...ada, issuer: "https://other.example" }), undefined);
      assert.equal(await front.idToken({ id: "ada", issuer: "https://login.example" }), undefined);
      assert.doesNotMatch(JSON.stringify(world.events), /id-token/);
      assert.doesNotMatch(JSON.stringify(await front.grants.list()), /id-token/);
      await front.grants.endUser(ada);
      assert.equal(await front.idToken(again), undefined);
    } finally {
      await world.close();
    }
  }
});

test("[FRONT-66] from a login through an ID-JAG to an upstream that another sign-in guards: two users, two eras", async () => {
  const enterprise = await Enterprise.create();
  const { clock, idp } = enterprise;
  const agentSecret = "the secret of the gateway at the notes";
  // The upstream: its authorization server is a sign-in that trusts the enterprise's provider
  const upstream = new World({
    clock,
    idJag: [{
      issuer: IDP,
      jwks: idp.jwks,
      clients: [{ id: "mooring-at-notes", secret: agentSecret }],
    }],
  });
  // The gateway: users log in at the same provider
  const provider = new IdTokenProvider((user) =>
    idp.sign({ sub: user, aud: "mooring" }, { typ: "JWT" })
  );
  const front = new World({ clock, provider, idTokens: true });
  const [login] = front.nodes;
  assert.ok(login);
  const fetch = async (url: URL | string, init: RequestInit = {}) =>
    new URL(url).origin === ISSUER
      ? await upstream.answer(new Request(url, init))
      : await enterprise.fetch(url, init);
  const auth = idJag({
    ...{ issuer: ISSUER, clientId: "mooring-at-notes", clientSecret: agentSecret, clock, fetch },
    identityProvider: { issuer: IDP, clientId: "mooring", clientSecret: SECRET },
    scopes: ["notes:read"],
    subject: async ({ principal }) => {
      const token = await login.idToken(principal);
      return token === undefined
        ? undefined
        : { token, type: "urn:ietf:params:oauth:token-type:id_token" };
    },
  });
  const gw = gateway({
    upstreams: { notes: http({ url: RESOURCE, auth, fetch }) },
    listCacheMs: 0,
  });
  const handler = createMcpHandler(gw, { path: "/mcp", clock, authenticate: login.authenticate });
  try {
    for (const user of ["ada", "bob"]) {
      provider.user = user;
      const { access_token: token } =
        await (await redeem(front, await new TestBrowser(front).code()))
          .json();
      const headers = sentAs(token);
      const old = await initialize(handler, { headers });
      assert.equal(textOf(await old.result(await old.call(1, "notes__who"))), user);
      assert.equal(textOf(await new ModernPeer(handler, { headers }).say("notes__who")), user);
    }
    const { grants } = await upstream.nodes[0]?.grants.list() ?? { grants: [] };
    assert.deepEqual(
      grants.map(({ user, client }) => `${user.id} ${user.issuer} ${client.id}`).sort(),
      [
        `ada ${IDP} mooring-at-notes`,
        `bob ${IDP} mooring-at-notes`,
      ],
    );
    // One ID-JAG for each token, none twice
    const issued = upstream.reasons.filter((reason) => reason === "token issued-for-id-jag");
    assert.equal(issued.length, 2);
    assert.equal(enterprise.requests.filter(({ origin }) => origin === IDP).length, 2);
  } finally {
    await handler.close({ graceMs: 0 });
    await gw.close();
    await Promise.all([upstream.close(), front.close(), enterprise.close()]);
  }
  assert.ok(clock instanceof FakeClock);
});
