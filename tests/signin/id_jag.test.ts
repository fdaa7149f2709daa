/**
 * ID-JAGs in place of a login (enterprise-managed authorization, SEP-990): who gets which token, what is
 * refused, and how clients prove themselves.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { JWTPayload } from "jose";
import { memoryStore } from "../../src/cluster/mod.ts";
import { type IdJagProvider, signIn, type SignInOptions } from "../../src/signin/mod.ts";
import { Signer } from "../accounts/enterprise.ts";
import { FakeClock } from "../support/clock.ts";
import { textOf } from "../support/wire.ts";
import { ISSUER, redeem, RESOURCE, TestBrowser, World } from "./front.ts";

const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const SECRET = "the secret of the agent";

/** A sign-in that takes ID-JAGs of the provider that logs its users in. */
class Assertions {
  readonly world: World;
  readonly idp: Signer;
  readonly agent: Signer;

  constructor(world: World, idp: Signer, agent: Signer) {
    this.world = world;
    this.idp = idp;
    this.agent = agent;
  }

  /** Returns an ID-JAG of ada for the agent. */
  async jag(claims: JWTPayload = {}, options: { typ?: string; ttlS?: number } = {}) {
    return await this.idp.sign({
      ...{
        sub: "ada",
        aud: ISSUER,
        resource: RESOURCE,
        client_id: "agent",
        email: "ada@example.com",
      },
      ...claims,
    }, { typ: "oauth-id-jag+jwt", ...options });
  }

  /** Presents an ID-JAG, by default as the agent with its secret. */
  async send(
    assertion: string,
    fields: Readonly<Record<string, string>> = { client_id: "agent", client_secret: SECRET },
    { node = 0, headers = {} }: { node?: number; headers?: Record<string, string> } = {},
  ): Promise<{ readonly status: number; readonly headers: Headers; readonly body: TokenAnswer }> {
    const form = { grant_type: JWT_BEARER, assertion, ...fields };
    const response = await this.world.form("/token", form, node, headers);
    return { status: response.status, headers: response.headers, body: await response.json() };
  }

  /** Presents an ID-JAG, and returns the access token. */
  async token(claims: JWTPayload = {}): Promise<string> {
    const { status, body } = await this.send(await this.jag(claims));
    assert.equal(status, 200, JSON.stringify(body));
    return body.access_token ?? "";
  }
}

interface TokenAnswer {
  readonly access_token?: string;
  readonly refresh_token?: string;
  readonly token_type?: string;
  readonly expires_in?: number;
  readonly scope?: string;
  readonly error?: string;
  readonly error_description?: string;
}

async function withAssertions(
  act: (own: Assertions) => Promise<void>,
  options: Omit<Partial<SignInOptions>, "clock"> = {},
  nodes = 1,
): Promise<void> {
  const clock = new FakeClock();
  const idp = await Signer.create("https://login.example", clock);
  const agent = await Signer.create("signer", clock);
  const provider: IdJagProvider = {
    issuer: idp.issuer,
    jwks: idp.jwks,
    clients: [
      { id: "agent", name: "The Agent", secret: SECRET },
      { id: "signer", jwks: agent.jwks },
      { id: "open", isPublic: true },
    ],
  };
  const world = new World({ clock, idJag: [provider], ...options }, nodes);
  try {
    await act(new Assertions(world, idp, agent));
  } finally {
    await world.close();
  }
}

test("[FRONT-59] an ID-JAG gives the same user as a login by its provider, without a refresh token", async () => {
  await withAssertions(async (own) => {
    const { world } = own;
    const { status, body } = await own.send(await own.jag());
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual(Object.keys(body).sort(), [
      "access_token",
      "expires_in",
      "scope",
      "token_type",
    ]);
    assert.deepEqual([body.token_type, body.scope, body.expires_in], ["Bearer", "notes:read", 300]);
    const response = await world.call(body.access_token ?? "");
    assert.equal(textOf((await response.json()).result), "ada");
    const { access_token } = await (await redeem(world, await new TestBrowser(world).code()))
      .json();
    const authenticate = world.nodes[0]?.authenticate;
    assert.ok(authenticate);
    const [byJag, byLogin] = await Promise.all(
      [body.access_token, access_token].map((token) =>
        authenticate(new Request(RESOURCE, { headers: { authorization: `Bearer ${token}` } }))
      ),
    );
    assert.deepEqual([byJag?.id, byJag?.issuer], [byLogin?.id, byLogin?.issuer]);
    assert.equal(byJag?.clientId, "agent");
    assert.deepEqual(world.reasons.filter((reason) => reason.includes("jag")), [
      "token issued-for-id-jag",
    ]);
  });
});

test("[FRONT-59] the metadata names the grant, its profile, and how clients prove themselves", async () => {
  await withAssertions(async ({ world }) => {
    const metadata = await (await world.send("/.well-known/oauth-authorization-server")).json();
    assert.ok(metadata.grant_types_supported.includes(JWT_BEARER));
    assert.deepEqual(metadata.authorization_grant_profiles_supported, [
      "urn:ietf:params:oauth:grant-profile:id-jag",
    ]);
    assert.deepEqual(metadata.token_endpoint_auth_methods_supported, [
      ...["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
    ]);
    assert.ok(metadata.token_endpoint_auth_signing_alg_values_supported.includes("ES256"));
  });
  const world = new World();
  const metadata = await (await world.send("/.well-known/oauth-authorization-server")).json();
  assert.deepEqual(metadata.grant_types_supported, ["authorization_code", "refresh_token"]);
  assert.deepEqual(metadata.token_endpoint_auth_methods_supported, ["none"]);
  assert.equal("authorization_grant_profiles_supported" in metadata, false);
  const refused = await world.form("/token", {
    grant_type: JWT_BEARER,
    client_id: "a",
    assertion: "x",
  });
  assert.equal((await refused.json()).error, "unsupported_grant_type");
  await world.close();
});

test("[FRONT-59] scopes are those of the assertion, or the first ones; what is asked for must have them all", async () => {
  await withAssertions(async (own) => {
    const both = "notes:read notes:write";
    const ways: [JWTPayload, string | undefined, string][] = [
      [{}, undefined, "notes:read"],
      [{ scope: "notes:write" }, undefined, "notes:write"],
      [{ scope: both }, both, both],
      [{ scope: "notes:read" }, both, "notes:read"],
      [{ scope: both }, "notes:read", "invalid_scope"],
      [{ scope: "notes:read admin" }, undefined, "invalid_grant"],
      [{}, "notes:write", "invalid_scope"],
    ];
    for (const [claims, scope, expected] of ways) {
      const fields = { client_id: "agent", client_secret: SECRET, ...scope && { scope } };
      const { body } = await own.send(await own.jag(claims), fields);
      assert.equal(body.scope ?? body.error, expected, JSON.stringify([claims, scope]));
    }
    assert.equal((await own.world.call(await own.token(), "write")).status, 403);
    assert.equal(
      (await own.world.call(await own.token({ scope: "notes:write" }), "write")).status,
      200,
    );
  });
});

/** What is wrong with an ID-JAG, and the reason of the event. */
const attacks: Record<string, {
  readonly claims?: JWTPayload;
  readonly options?: { readonly typ?: string; readonly ttlS?: number };
  readonly fields?: Readonly<Record<string, string>>;
  readonly reason: string;
}> = {
  "of another type": { options: { typ: "at+jwt" }, reason: "assertion-invalid" },
  "that is an ID token": { options: { typ: "JWT" }, reason: "assertion-invalid" },
  "of another issuer": { claims: { iss: "https://evil.example" }, reason: "issuer-unknown" },
  "for another server": { claims: { aud: "https://other.example" }, reason: "assertion-invalid" },
  "for this server and another": {
    claims: { aud: [ISSUER, "https://other.example"] },
    reason: "audience-not-alone",
  },
  "for another client": { claims: { client_id: "signer" }, reason: "assertion-of-another-client" },
  "for no client": { claims: { client_id: undefined }, reason: "assertion-of-another-client" },
  "for another resource": {
    claims: { resource: "https://mcp.example/other" },
    reason: "resource-differs",
  },
  "for a resource that isn't the one asked for": {
    fields: { client_id: "agent", client_secret: SECRET, resource: "https://mcp.example/other" },
    reason: "resource-differs",
  },
  "for a resource that is no text": {
    claims: { resource: { url: RESOURCE } },
    reason: "resource-differs",
  },
  "that has expired": { options: { ttlS: -31 }, reason: "assertion-invalid" },
  "that lives too long": { options: { ttlS: 3_601 }, reason: "assertion-lives-too-long" },
  "of the future": {
    claims: { iat: 4_000_000_000, exp: 4_000_000_100 },
    reason: "assertion-lives-too-long",
  },
  "without an end": { claims: { exp: undefined }, reason: "assertion-invalid" },
  "without a beginning": { claims: { iat: undefined }, reason: "assertion-lives-too-long" },
  "without an id": { claims: { jti: undefined }, reason: "assertion-used" },
  "of nobody": { claims: { sub: undefined }, reason: "assertion-invalid" },
  "that is bound to a key": { claims: { cnf: { jkt: "x" } }, reason: "assertion-invalid" },
};

for (const [name, { claims, options, fields, reason }] of Object.entries(attacks)) {
  test(`[FRONT-60] an ID-JAG ${name} is refused in the same words`, async () => {
    await withAssertions(async (own) => {
      const assertion = await own.jag(claims, options);
      const { status, body } = await own.send(assertion, fields);
      assert.deepEqual([status, body.error], [400, "invalid_grant"], JSON.stringify(body));
      assert.equal(
        body.error_description,
        "Send an ID-JAG that is new, for this server, and yours",
      );
      assert.equal(own.world.events[0]?.reason, reason);
      const told = JSON.stringify(own.world.events);
      assert.ok(!told.includes(assertion) && !told.includes(SECRET));
      assert.deepEqual((await own.world.nodes[0]?.grants.list())?.grants, []);
    });
  });
}

test("[FRONT-60] an ID-JAG with a signature of somebody else, or without one, is refused", async () => {
  await withAssertions(async (own) => {
    const forged = await own.agent.sign({
      ...{ iss: own.idp.issuer, sub: "ada", aud: ISSUER, resource: RESOURCE, client_id: "agent" },
    }, { typ: "oauth-id-jag+jwt" });
    const [, payload = ""] = (await own.jag()).split(".");
    const none = btoa('{"alg":"none","typ":"oauth-id-jag+jwt"}').replaceAll("=", "");
    for (const assertion of [forged, `${none}.${payload}.`, `${none}.${payload}`, "x", "a.b.c"]) {
      assert.equal((await own.send(assertion)).body.error, "invalid_grant");
    }
  });
});

test("[FRONT-61] an ID-JAG works once, at whatever node, of any number that try at a time", async () => {
  await withAssertions(
    async (own) => {
      const assertion = await own.jag();
      const tries = await Promise.all(
        [0, 1, 0, 1, 1].map((node) => own.send(assertion, undefined, { node })),
      );
      assert.deepEqual(tries.map(({ status }) => status).sort(), [200, 400, 400, 400, 400]);
      // Until it has expired at every clock that is trusted
      await own.world.clock.advance(329_000);
      assert.equal((await own.send(assertion)).body.error, "invalid_grant");
      assert.equal((await own.send(await own.jag(), undefined, { node: 1 })).status, 200);
      // The same id of another provider's is another one
      const used = own.world.reasons.filter((reason) => reason === "token assertion-used");
      assert.equal(used.length, 5);
    },
    { store: memoryStore() },
    2,
  );
});

test("[FRONT-61] while the store is away nothing is issued", async () => {
  const store = memoryStore();
  let isAway = false;
  const failing = {
    ...store,
    records: (clock: FakeClock) => {
      const records = store.records?.(clock);
      assert.ok(records);
      return new Proxy(records, {
        get: (target, name) => (...args: unknown[]) => {
          if (isAway) return Promise.reject(new Error("away"));
          return Reflect.apply(Reflect.get(target, name), target, args);
        },
      });
    },
  };
  await withAssertions(async (own) => {
    await own.token();
    isAway = true;
    const assertion = await own.jag();
    assert.equal((await own.send(assertion)).status, 503);
    isAway = false;
    assert.equal((await own.send(assertion)).status, 200);
  }, { store: failing as unknown as ReturnType<typeof memoryStore> });
});

test("[FRONT-62] clients prove themselves by a secret or a signature; nobody else takes their place", async () => {
  await withAssertions(async (own) => {
    const basic = (id: string, secret: string) => ({
      authorization: `Basic ${btoa([id, secret].map(encodeURIComponent).join(":"))}`,
    });
    const signed = async (claims: JWTPayload = {}, by = own.agent) => ({
      client_assertion_type: ASSERTION_TYPE,
      client_assertion: await by.sign({ sub: "signer", aud: ISSUER, ...claims }, { typ: "JWT" }),
    });
    const once = await signed();
    const rows: [
      string,
      string,
      Record<string, string>,
      Record<string, string>,
      string | number,
    ][] = [
      ["basic", "agent", {}, basic("agent", SECRET), 200],
      ["post", "agent", { client_id: "agent", client_secret: SECRET }, {}, 200],
      ["a signature", "signer", once, {}, 200],
      ["for the endpoint", "signer", await signed({ aud: `${ISSUER}/token` }), {}, 200],
      ["public", "open", { client_id: "open" }, {}, 200],
      ["used before", "signer", once, {}, "invalid_client"],
      ["a wrong secret", "agent", { client_id: "agent", client_secret: "x" }, {}, "invalid_client"],
      ["a wrong basic", "agent", {}, basic("agent", "x"), "invalid_client"],
      ["no secret", "agent", { client_id: "agent" }, {}, "invalid_client"],
      ["no signature", "signer", { client_id: "signer" }, {}, "invalid_client"],
      [
        "a secret for a signature",
        "signer",
        { client_id: "signer", client_secret: SECRET },
        {},
        "invalid_client",
      ],
      [
        "for another server",
        "signer",
        await signed({ aud: "https://other.example" }),
        {},
        "invalid_client",
      ],
      ["of another", "signer", await signed({ iss: "signer" }, own.idp), {}, "invalid_client"],
      ["about another", "signer", await signed({ sub: "agent" }), {}, "invalid_client"],
      ["too long", "signer", await signed({ exp: 2_000_000_000 }), {}, "invalid_client"],
      ["an unknown client", "editor", { client_id: "editor" }, {}, "invalid_client"],
      ["two ways", "agent", { client_secret: SECRET }, basic("agent", SECRET), "invalid_request"],
      ["two names", "agent", { client_id: "open" }, basic("agent", SECRET), "invalid_client"],
      ["no name", "agent", {}, {}, "invalid_request"],
    ];
    for (const [name, client, fields, headers, expected] of rows) {
      const assertion = await own.jag({ client_id: client });
      const { status, body, headers: got } = await own.send(assertion, fields, { headers });
      assert.equal(body.error ?? status, expected, `${name}: ${JSON.stringify(body)}`);
      const isChallenged = expected === "invalid_client" && "authorization" in headers;
      assert.equal(got.has("www-authenticate"), isChallenged, name);
      if (expected === "invalid_client") assert.equal(status, 401, name);
      // A client that is refused has used nothing up
      if (expected === "invalid_client" && client === "agent") {
        assert.equal((await own.send(assertion)).status, 200, name);
      }
    }
  });
});

test("[FRONT-63] allow, principal and a provider's word on the email hold as they do for logins", async () => {
  const options: Omit<Partial<SignInOptions>, "clock"> = {
    allow: ({ claims }) => claims.email === "ada@example.com",
    principal: ({ subject }) => ({ id: `user-${subject}`, issuer: "here", scopes: ["notes:read"] }),
  };
  await withAssertions(async (own) => {
    const response = await own.world.call(await own.token());
    assert.equal(textOf((await response.json()).result), "user-ada");
    for (
      const claims of [{ email: "bob@example.com" }, { email_verified: false }, {
        email: undefined,
      }]
    ) {
      assert.equal((await own.send(await own.jag(claims))).body.error, "invalid_grant");
    }
    const { body } = await own.send(await own.jag({ scope: "notes:write" }));
    assert.equal(body.error, "invalid_scope");
    assert.deepEqual(
      own.world.reasons.filter((reason) => reason.includes("not-allowed")).length,
      3,
    );
  }, options);
});

test("[FRONT-63] a user and a client have one grant, which operators end: what it opened is refused", async () => {
  await withAssertions(async (own) => {
    const { world } = own;
    const grants = world.nodes[0]?.grants;
    assert.ok(grants);
    const first = await own.token();
    await world.clock.advance(10_000);
    const second = await own.token();
    await own.token({ sub: "bob", email: "bob@example.com" });
    const listed = (await grants.list()).grants;
    assert.deepEqual(listed.map(({ user, client }) => `${user.id} ${client.name}`).sort(), [
      "ada The Agent",
      "bob The Agent",
    ]);
    const { id = "" } = listed.find(({ user }) => user.id === "ada") ?? {};
    assert.equal(await grants.end(id), true);
    assert.deepEqual(world.ended, ["ada ended"]);
    for (const token of [first, second]) assert.equal((await world.call(token)).status, 401);
    assert.equal((await own.send(await own.jag())).body.error, "invalid_grant");
    // The provider's next word counts once nothing of the old one is left
    await world.clock.advance(361_000);
    assert.equal((await world.call(await own.token())).status, 200);
    assert.equal((await world.call(first)).status, 401);
    // All of a user: assertions from before are refused
    const before = await own.jag();
    assert.equal(await grants.endUser({ id: "ada", issuer: "https://login.example" }), 1);
    await world.clock.advance(1_000);
    assert.equal((await own.send(before)).body.error, "invalid_grant");
  });
});

test("[FRONT-63] grants of ID-JAGs leave no record for long, and push out no login", async () => {
  await withAssertions(async (own) => {
    const { world } = own;
    const { access_token } = await (await redeem(world, await new TestBrowser(world).code()))
      .json();
    assert.ok(access_token);
    for (let hour = 0; hour < 120; hour++) {
      await world.clock.advance(3_600_000);
      await own.token();
    }
    const listed = (await world.nodes[0]?.grants.list())?.grants ?? [];
    assert.deepEqual(listed.map(({ client }) => client.id).sort(), ["agent", "editor"]);
    await world.clock.advance(361_000);
    const left = (await world.nodes[0]?.grants.list())?.grants ?? [];
    assert.deepEqual(left.map(({ client }) => client.id), ["editor"]);
  });
});

test("[FRONT-64] keys are read at the provider's address; while it is away, an ID-JAG is not used up", async () => {
  const clock = new FakeClock();
  const idp = await Signer.create("https://login.example", clock);
  let isAway = true;
  const own = new Assertions(
    new World({
      clock,
      idJag: [{
        issuer: idp.issuer,
        jwksUri: "https://login.example/jwks",
        clients: [{ id: "agent", secret: SECRET }],
      }],
      fetch: async (url) => {
        assert.equal(url.href, "https://login.example/jwks");
        if (isAway) throw new Error("away");
        return Response.json(idp.jwks);
      },
    }),
    idp,
    idp,
  );
  try {
    const assertion = await own.jag();
    const { status, headers } = await own.send(assertion);
    assert.deepEqual([status, headers.get("retry-after")], [503, "5"]);
    isAway = false;
    assert.equal((await own.send(assertion)).status, 200);
  } finally {
    await own.world.close();
  }
});

test("[FRONT-64] options are checked when they are given", () => {
  const jwks = { keys: [] };
  const clients = [{ id: "agent", secret: SECRET }];
  const provider = { issuer: "https://login.example", jwks, clients };
  const of = (...idJag: unknown[]) => () => {
    // deno-lint-ignore no-explicit-any -- what a program without types may give
    const given = idJag as any;
    signIn({
      ...{ issuer: ISSUER, resource: RESOURCE, scopes: ["mcp"], idJag: given },
      provider: {
        name: "x",
        authorizationUrl: () => Promise.reject(),
        finish: () => Promise.reject(),
      },
    });
  };
  of(provider)();
  assert.throws(of(), /Give a list of providers as "idJag"/);
  assert.throws(of({ ...provider, jwks: undefined }), /either "jwks" or "jwksUri"/);
  assert.throws(of({ ...provider, isuer: "x" }), /idJag\.isuer/);
  assert.throws(of({ ...provider, clients: [] }), /one client or more/);
  assert.throws(of({ ...provider, issuer: ISSUER }), /another issuer than the own one/);
  assert.throws(of(provider, provider), /each issuer of "idJag" once/);
  assert.throws(of({ ...provider, algorithms: ["HS256"] }), /asymmetric/);
  assert.throws(of({ ...provider, clients: [{ id: "a" }] }), /one of "secret", "jwks"/);
  assert.throws(of({ ...provider, clients: [{ id: "a", secret: "x", isPublic: true }] }), /one of/);
  assert.throws(of({ ...provider, clients: [...clients, ...clients] }), /its own id/);
});
