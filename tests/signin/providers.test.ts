import assert from "node:assert/strict";
import { createServer, type ServerResponse } from "node:http";
import { after, before, beforeEach, describe, test } from "node:test";
import { generateKeyPair, SignJWT } from "jose";
import { github } from "../../src/signin/providers/github.ts";
import { oidc, type OidcOptions, oidcWith } from "../../src/signin/providers/oidc.ts";
import { auth0, entra, google, keycloak, okta } from "../../src/signin/providers/presets.ts";
import {
  type LoginRequest,
  type Provider,
  ProviderError,
} from "../../src/signin/providers/types.ts";
import { Browser, CALLBACK, startAuthorizationServer } from "../auth/authorization_server.ts";
import { listen } from "../auth/listen.ts";
import { FakeClock } from "../support/clock.ts";
import { type Faults, type FaultyProvider, startFaultyProvider } from "./faulty_provider.ts";

const REQUEST: LoginRequest = {
  redirectUri: CALLBACK,
  state: "state-of-this-login",
  nonce: "nonce-of-this-login",
  codeVerifier: "v".repeat(43),
};

function answer(outgoing: ServerResponse, body: unknown, status = 200): void {
  outgoing.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function fails(reason: string, work: Promise<unknown>, label?: string): Promise<void> {
  return assert.rejects(work, (error) => {
    assert(error instanceof ProviderError, `${label}: ${error}`);
    assert.equal(error.reason, reason, `${label}: ${error.message}`);
    assert.doesNotMatch(error.message, /secret|the-code|of-this-login/);
    return true;
  });
}

describe("an OpenID provider with faults", () => {
  let server: FaultyProvider;
  before(async () => server = await startFaultyProvider("mooring"));
  after(() => server.close());
  beforeEach(() => {
    server.faults = {};
    server.nonce = REQUEST.nonce;
    server.requests.length = 0;
  });

  const make = (more: Partial<OidcOptions> = {}): Provider =>
    oidc({
      issuer: server.origin,
      clientId: "mooring",
      clientSecret: "the-secret",
      allowInsecure: true,
      ...more,
    });
  const callback = (change: Record<string, string> = {}): URLSearchParams =>
    new URLSearchParams({ code: "the-code", state: REQUEST.state, iss: server.origin, ...change });

  test("[FRONT-55] a right login, with PKCE, state and nonce", async () => {
    const provider = make();
    const url = await provider.authorizationUrl({ ...REQUEST, asksAnew: true });
    assert.equal(url.origin + url.pathname, `${server.origin}/authorize`);
    const { code_challenge: challenge, ...others } = Object.fromEntries(url.searchParams);
    assert.equal(challenge?.length, 43);
    assert.deepEqual(others, {
      prompt: "login",
      response_type: "code",
      client_id: "mooring",
      redirect_uri: CALLBACK,
      scope: "openid email profile offline_access",
      state: REQUEST.state,
      nonce: REQUEST.nonce,
      code_challenge_method: "S256",
    });
    const login = await provider.finish(REQUEST, callback());
    assert.equal(login.subject, "ada");
    assert.equal(login.issuer, server.origin);
    assert.equal(login.claims.email, "ada@example.com");
    assert.equal("nonce" in login.claims, false);
    const token = server.requests.find(({ path }) => path === "/token");
    assert.equal(token?.body.get("code_verifier"), REQUEST.codeVerifier);
    assert.equal(token?.body.get("redirect_uri"), CALLBACK);
  });

  test("[FRONT-55] an email that isn't verified is never the claim email", async () => {
    server.faults = { userInfo: { email_verified: false } };
    const { claims } = await make().finish(REQUEST, callback());
    assert.equal(claims.email, undefined);
    assert.equal(claims.unverified_email, "ada@example.com");
  });

  test("[FRONT-55] each wrong callback fails without a request for tokens", async () => {
    const provider = make();
    const twice = callback();
    twice.append("state", REQUEST.state);
    const table: readonly (readonly [string, string, URLSearchParams])[] = [
      ["state of another login", "invalid", callback({ state: "other" })],
      ["no state", "invalid", new URLSearchParams({ code: "the-code", iss: server.origin })],
      ["state twice", "invalid", twice],
      ["issuer of another provider", "invalid", callback({ iss: "https://evil.example" })],
      ["no issuer", "invalid", new URLSearchParams({ code: "the-code", state: REQUEST.state })],
      ["an ID token", "invalid", callback({ id_token: "x" })],
      ["a JARM response", "invalid", callback({ response: "x" })],
      ["denied", "denied", callback({ error: "access_denied", error_description: "No\u001b[2J" })],
      ["away", "unavailable", callback({ error: "temporarily_unavailable" })],
      ["unknown error", "invalid", callback({ error: "unauthorized_client" })],
      ["denied in another state", "invalid", callback({ error: "access_denied", state: "other" })],
    ];
    for (const [label, reason, parameters] of table) {
      await fails(reason, provider.finish(REQUEST, parameters), label);
    }
    assert.equal(server.requests.some(({ path }) => path === "/token"), false);
  });

  test("[FRONT-55] each wrong ID token fails", async () => {
    const other = await generateKeyPair("RS256");
    const past = Math.floor(Date.now() / 1000) - 3_600;
    const unsigned = (claims: Record<string, unknown>) =>
      [{ alg: "none" }, claims].map((part) => btoa(JSON.stringify(part)).replace(/=+$/, ""))
        .join(".") + ".";
    const table: Readonly<Record<string, Faults>> = {
      issuer: { claims: { iss: "https://evil.example" } },
      nonce: { claims: { nonce: "other" } },
      "no nonce": { claims: { nonce: undefined } },
      audience: { claims: { aud: "other" } },
      audiences: { claims: { aud: ["mooring", "other"], azp: "other" } },
      expired: { claims: { iat: past, exp: past + 60 } },
      "no subject": { claims: { sub: undefined } },
      "alg none": { idToken: async (claims) => unsigned(claims) },
      "another's key": {
        idToken: (claims) =>
          new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: "k" }).sign(other.privateKey),
      },
      "the secret as key": {
        idToken: (claims) =>
          new SignJWT(claims).setProtectedHeader({ alg: "HS256" })
            .sign(new TextEncoder().encode("the-secret".padEnd(32, "x"))),
      },
      "UserInfo of another": { userInfo: { sub: "eve" } },
      "no ID token": {
        paths: {
          "/token": (outgoing) => answer(outgoing, { access_token: "a", token_type: "Bearer" }),
        },
      },
      "refused code": {
        paths: { "/token": (outgoing) => answer(outgoing, { error: "invalid_grant" }, 400) },
      },
      huge: { paths: { "/token": (outgoing) => answer(outgoing, "x".repeat(300_000)) } },
      redirect: {
        paths: {
          "/token": (outgoing) =>
            outgoing.writeHead(307, { location: "https://evil.example" }).end(),
        },
      },
      "no JSON": { paths: { "/token": (outgoing) => outgoing.end("<html>") } },
    };
    for (const [label, faults] of Object.entries(table)) {
      server.faults = faults;
      await fails("invalid", make().finish(REQUEST, callback()), label);
    }
  });

  test("[FRONT-55] another issuer in the metadata, and secrets over http: elsewhere", async () => {
    server.faults = { metadata: { issuer: "https://evil.example" } };
    await fails("invalid", make().authorizationUrl(REQUEST));
    server.faults = { metadata: { token_endpoint: "http://evil.example/token" } };
    await fails("invalid", make().finish(REQUEST, callback()));
  });

  test("[FRONT-56] a provider that was away is asked again", async () => {
    const clock = new FakeClock(Date.now());
    const provider = make({ clock });
    const away = (outgoing: ServerResponse) => answer(outgoing, {}, 503);
    server.faults = { paths: { "/.well-known/openid-configuration": away } };
    await fails("unavailable", provider.authorizationUrl(REQUEST));
    server.faults = {};
    await provider.authorizationUrl(REQUEST);
    await clock.advance(3_600_000);
    server.faults = { paths: { "/.well-known/openid-configuration": away, "/token": away } };
    server.requests.length = 0;
    await provider.authorizationUrl(REQUEST);
    await provider.authorizationUrl(REQUEST);
    assert.equal(server.requests.length, 1);
    await fails("unavailable", provider.finish(REQUEST, callback()));
    await clock.advance(24 * 3_600_000);
    await fails("unavailable", provider.authorizationUrl(REQUEST));
  });

  test("[FRONT-56] a slow provider fails in time, and stops with the caller", async () => {
    const clock = new FakeClock(Date.now());
    server.faults = { paths: { "/token": () => {} } };
    const provider = make({ clock });
    await provider.authorizationUrl(REQUEST);
    const slow = fails("unavailable", provider.finish(REQUEST, callback()));
    while (!server.requests.some(({ path }) => path === "/token")) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await clock.advance(10_000);
    await slow;
    const controller = new AbortController();
    const stopped = provider.finish(REQUEST, callback(), controller.signal);
    controller.abort(new Error("Stopped"));
    await assert.rejects(stopped, { message: "Stopped" });
    assert.equal(clock.pending, 0);
  });

  test("[FRONT-56] a refresh says whether the user is still there", async () => {
    const provider = make();
    const { credential = "" } = await provider.finish(REQUEST, callback());
    server.nonce = "";
    const claims = { nonce: undefined };
    server.faults = { claims };
    const again = await provider.refresh?.(credential);
    assert(again !== undefined && again !== "ended");
    assert.equal(again.claims.email, "ada@example.com");
    server.faults = { claims: { ...claims, sub: "eve" }, userInfo: { sub: "eve" } };
    await fails("invalid", Promise.resolve(provider.refresh?.(credential)));
    const paths = (status: number, error: string) => ({
      paths: { "/token": (outgoing: ServerResponse) => answer(outgoing, { error }, status) },
    });
    server.faults = paths(400, "invalid_grant");
    assert.equal(await provider.refresh?.(credential), "ended");
    server.faults = paths(503, "x");
    await fails("unavailable", Promise.resolve(provider.refresh?.(credential)));
    server.faults = paths(401, "invalid_client");
    await fails("invalid", Promise.resolve(provider.refresh?.(credential)));
    await fails("invalid", Promise.resolve(provider.refresh?.("another's")));
  });

  test("[FRONT-58] an issuer for each tenant", async () => {
    const options = { issuer: server.origin, clientId: "mooring", allowInsecure: true };
    const issuerFor = ({ tid }: Readonly<Record<string, unknown>>) =>
      tid === "one" ? `${server.origin}/one` : undefined;
    const metadata = {
      issuer: `${server.origin}/{tenantid}`,
      authorization_response_iss_parameter_supported: false,
    };
    const provider = oidcWith("many", options, { issuerFor });
    const of = (tid: string, iss: string): Faults => ({ metadata, claims: { tid, iss } });
    const back = new URLSearchParams({ code: "the-code", state: REQUEST.state });
    server.faults = of("one", `${server.origin}/one`);
    assert.equal((await provider.finish(REQUEST, back)).issuer, `${server.origin}/one`);
    server.faults = of("one", `${server.origin}/two`);
    await fails("invalid", provider.finish(REQUEST, back));
    server.faults = of("two", `${server.origin}/two`);
    await fails("denied", provider.finish(REQUEST, back));
  });
});

test("[FRONT-55] a whole login at oidc-provider", async () => {
  const server = await startAuthorizationServer({ scope: "", format: "opaque", ttlS: 60 });
  try {
    const provider = oidc({
      issuer: server.issuer,
      clientId: "editor",
      scopes: [],
      allowInsecure: true,
    });
    const url = await provider.authorizationUrl(REQUEST);
    const back = await new Browser().visit(url, CALLBACK);
    const login = await provider.finish(REQUEST, back.searchParams);
    assert.equal(login.subject, "ada");
    assert.equal(login.issuer, server.issuer);
    const again = await provider.refresh?.(login.credential ?? "");
    assert(again !== undefined && again !== "ended");
    assert.equal(again.subject, "ada");
    // A code works once, and its second use ends what the first got.
    await fails("invalid", provider.finish(REQUEST, back.searchParams));
    assert.equal(await provider.refresh?.(again.credential ?? ""), "ended");
  } finally {
    await server.close();
  }
});

describe("[FRONT-57] GitHub", () => {
  const user = { id: 7, login: "ada", name: "Ada", avatar_url: "https://a.example/a" };
  const lists: Record<string, unknown> = {
    "/api/v3/user": user,
    "/api/v3/user/emails": [
      { email: "old@example.com", primary: false, verified: true },
      { email: "ada@example.com", primary: true, verified: true },
    ],
    "/api/v3/user/orgs": [{ login: "engines" }],
    "/api/v3/user/teams": [{ slug: "core", organization: { login: "engines" } }],
    "/login/oauth/access_token": { access_token: "token-secret", token_type: "bearer" },
  };
  const faults = new Map<string, (outgoing: ServerResponse) => void>();
  const server = createServer((incoming, outgoing) => {
    const path = new URL(incoming.url ?? "", "http://a").pathname;
    const own = faults.get(path);
    if (own !== undefined) return own(outgoing);
    answer(outgoing, lists[path] ?? {}, path in lists ? 200 : 404);
  });
  let origin = "";
  let close = async () => {};
  before(async () => ({ origin, close } = await listen(server)));
  after(() => close());
  beforeEach(() => faults.clear());

  const make = () =>
    github({
      ...{ clientId: "app", clientSecret: "the-secret", url: origin, allowInsecure: true },
      ...{ orgs: true, teams: true },
    });
  const back = (change: Record<string, string> = {}) =>
    new URLSearchParams({ code: "the-code", state: REQUEST.state, ...change });

  test("[FRONT-57] a login, with organizations and teams", async () => {
    const url = await make().authorizationUrl(REQUEST);
    assert.equal(url.searchParams.get("scope"), "read:user user:email read:org");
    assert.equal(url.searchParams.get("code_challenge_method"), "S256");
    const login = await make().finish(REQUEST, back());
    assert.deepEqual(login, {
      subject: "7",
      issuer: origin,
      credential: "token-secret",
      claims: {
        sub: "7",
        iss: origin,
        login: "ada",
        preferred_username: "ada",
        name: "Ada",
        picture: "https://a.example/a",
        email: "ada@example.com",
        email_verified: true,
        orgs: ["engines"],
        teams: ["engines/core"],
      },
    });
  });

  test("[FRONT-57] an email that isn't verified is no claim", async () => {
    faults.set(
      "/api/v3/user/emails",
      (outgoing) => answer(outgoing, [{ email: "a@b.example", primary: true, verified: false }]),
    );
    assert.equal((await make().finish(REQUEST, back())).claims.email, undefined);
  });

  test("[FRONT-57] each wrong answer fails, and an ended user has ended", async () => {
    await fails("invalid", make().finish(REQUEST, back({ state: "other" })));
    await fails("denied", make().finish(REQUEST, back({ error: "access_denied" })));
    const token = "/login/oauth/access_token";
    faults.set(token, (outgoing) => answer(outgoing, { error: "bad_verification_code" }));
    await fails("invalid", make().finish(REQUEST, back()));
    faults.set(token, (outgoing) => answer(outgoing, { error: "x" }, 502));
    await fails("unavailable", make().finish(REQUEST, back()));
    faults.clear();
    faults.set("/api/v3/user", (outgoing) => answer(outgoing, { login: "ada" }));
    await fails("invalid", make().finish(REQUEST, back()));
    faults.set("/api/v3/user", (outgoing) => answer(outgoing, {}, 401));
    assert.equal(await make().refresh?.("token-secret"), "ended");
    faults.set("/api/v3/user", (outgoing) => {
      outgoing.writeHead(403, { "x-ratelimit-remaining": "0" }).end();
    });
    await fails("unavailable", Promise.resolve(make().refresh?.("token-secret")));
  });
});

describe("[FRONT-58] presets", () => {
  const common = { clientId: "mooring", clientSecret: "the-secret" };
  const tenant = "8a5f1f0e-0000-4000-8000-000000000000";

  test("[FRONT-58] each asks the issuer of its provider", async () => {
    const asked: string[] = [];
    const fetch = async (url: string) => {
      asked.push(url);
      return new Response("{}", { status: 404 });
    };
    const all: readonly (readonly [Provider, string])[] = [
      [google({ ...common, fetch }), "https://accounts.google.com/"],
      [entra({ ...common, tenant, fetch }), `https://login.microsoftonline.com/${tenant}/v2.0/`],
      [
        entra({ ...common, tenant: "common", fetch }),
        "https://login.microsoftonline.com/common/v2.0/",
      ],
      [okta({ ...common, domain: "a.okta.com", fetch }), "https://a.okta.com/"],
      [
        okta({ ...common, domain: "a.okta.com", authorizationServer: "default", fetch }),
        "https://a.okta.com/oauth2/default/",
      ],
      [auth0({ ...common, domain: "a.eu.auth0.com", fetch }), "https://a.eu.auth0.com/"],
      [
        keycloak({ ...common, url: "https://sso.example", realm: "a b", fetch }),
        "https://sso.example/realms/a%20b/",
      ],
    ];
    for (const [provider] of all) await fails("invalid", provider.authorizationUrl(REQUEST));
    assert.deepEqual(
      asked,
      all.map(([, issuer]) => `${issuer}.well-known/openid-configuration`),
    );
  });

  test("[FRONT-58] wrong options are refused at the start", () => {
    const wrong: readonly (() => unknown)[] = [
      () => google({ ...common, hostedDomian: "a" } as never),
      () => google({ clientId: "a" } as never),
      () => google({ ...common, hostedDomain: "" }),
      () => entra({ ...common, tenant: "contoso" }),
      () => entra({ ...common, tenant, tenants: [tenant] }),
      () => okta({ ...common, domain: "https://a.okta.com" }),
      () => auth0({ ...common, domain: "a.auth0.com/" }),
      () => keycloak({ ...common, url: "http://sso.example", realm: "a" }),
      () => keycloak({ ...common, url: "https://sso.example", realm: ".." }),
      () => oidc({ issuer: "http://login.example", clientId: "a" }),
      () => oidc({ issuer: "https://login.example?x", clientId: "a" }),
      () => oidc({ issuer: "https://login.example", clientId: "a", parameters: { state: "x" } }),
      () => github({ ...common, url: "http://github.example" }),
      () => github({ ...common, scopes: [] } as never),
    ];
    for (const make of wrong) assert.throws(make, TypeError, String(make));
  });
});
