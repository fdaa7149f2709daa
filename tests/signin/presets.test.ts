/**
 * The presets against the discovery documents that their providers publish, and claims as they document them.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { before, describe, test } from "node:test";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import {
  auth0,
  entra,
  google,
  keycloak,
  type LoginRequest,
  okta,
  type PresetOptions,
  type Provider,
  ProviderError,
} from "../../src/signin/mod.ts";

const TENANT = "8a5f1f0e-0000-4000-8000-000000000000";
const OTHER = "9b6a2a1f-0000-4000-8000-000000000000";
const CALLBACK = "https://mcp.example/signin/callback";
const LOGIN: LoginRequest = {
  ...{ redirectUri: CALLBACK, state: "the state", nonce: "the nonce" },
  codeVerifier: "v".repeat(43),
};

/** A preset, and what a login with it is like. */
interface Row {
  readonly fixture: string;
  readonly make: (common: PresetOptions) => Provider;
  /** What the authorization request has of this provider's own. */
  readonly asks: Readonly<Record<string, string | null>>;
  /** The same for a login that must ask anew. */
  readonly anew: string;
  readonly secretIn: "header" | "body";
  /** The issuer of the ID token. */
  readonly issuer: string;
  /** Claims of the ID token, and of UserInfo. */
  readonly idToken: Readonly<Record<string, unknown>>;
  readonly userInfo: Readonly<Record<string, unknown>>;
  /** Claims that come out, `undefined` for those that must not. */
  readonly claims: Readonly<Record<string, unknown>>;
}

const ROWS: Readonly<Record<string, Row>> = {
  "Google": {
    fixture: "google",
    make: (common) => google({ ...common, hostedDomain: "example.com" }),
    asks: {
      access_type: "offline",
      prompt: "consent",
      hd: "example.com",
      scope: "openid email profile",
    },
    anew: "select_account consent",
    secretIn: "header",
    issuer: "https://accounts.google.com",
    idToken: { email: "ada@example.com", email_verified: true, hd: "example.com" },
    userInfo: { name: "Ada", picture: "https://lh3.example/a", email: "ada@example.com" },
    claims: { email: "ada@example.com", hd: "example.com", name: "Ada" },
  },
  "Entra with one tenant": {
    fixture: "entra",
    make: (common) => entra({ ...common, tenant: TENANT }),
    asks: { scope: "openid email profile offline_access", prompt: null },
    anew: "login",
    secretIn: "body",
    issuer: `https://login.microsoftonline.com/${TENANT}/v2.0`,
    idToken: { tid: TENANT, oid: "o", preferred_username: "ada@example.com" },
    userInfo: { name: "Ada", email: "ada@example.com" },
    claims: { email: "ada@example.com", tid: TENANT, oid: "o", name: "Ada" },
  },
  "Entra with many tenants": {
    fixture: "entra_organizations",
    make: (common) => entra({ ...common, tenant: "organizations", tenants: [OTHER] }),
    asks: { scope: "openid email profile offline_access" },
    anew: "login",
    secretIn: "body",
    issuer: `https://login.microsoftonline.com/${OTHER}/v2.0`,
    idToken: { tid: OTHER, email: "boss@victim.example" },
    userInfo: { name: "Ada" },
    // Any tenant's administrator can write any address
    claims: { email: undefined, unverified_email: "boss@victim.example", tid: OTHER },
  },
  "Okta": {
    fixture: "okta",
    make: (common) => okta({ ...common, domain: "example.okta.com", scopes: ["email", "groups"] }),
    asks: { scope: "openid email groups offline_access" },
    anew: "login",
    secretIn: "header",
    issuer: "https://example.okta.com",
    idToken: { preferred_username: "ada@example.com", idp: "00o1" },
    userInfo: { email: "ada@example.com", email_verified: true, groups: ["Everyone", "Engines"] },
    claims: { email: "ada@example.com", groups: ["Everyone", "Engines"] },
  },
  "Auth0": {
    fixture: "auth0",
    make: (common) => auth0({ ...common, domain: "example.eu.auth0.com" }),
    asks: { scope: "openid email profile offline_access" },
    anew: "login",
    secretIn: "body",
    issuer: "https://example.eu.auth0.com/",
    idToken: { nickname: "ada" },
    userInfo: { email: "ada@example.com", email_verified: false, name: "Ada" },
    claims: { email: undefined, unverified_email: "ada@example.com", nickname: "ada" },
  },
  "Keycloak": {
    fixture: "keycloak",
    make: (common) => keycloak({ ...common, url: "https://sso.example", realm: "company" }),
    // Without offline_access the refresh token ends with the user's session there
    asks: { scope: "openid email profile" },
    anew: "login",
    secretIn: "header",
    issuer: "https://sso.example/realms/company",
    idToken: { preferred_username: "ada", sid: "s" },
    userInfo: { email: "ada@example.com", email_verified: true, groups: ["/engines"] },
    claims: { email: "ada@example.com", preferred_username: "ada", groups: ["/engines"] },
  },
};

let key: Awaited<ReturnType<typeof generateKeyPair>>["privateKey"];
let jwk: JWK;
before(async () => {
  const pair = await generateKeyPair("RS256");
  key = pair.privateKey;
  jwk = { ...await exportJWK(pair.publicKey), kid: "k", alg: "RS256", use: "sig" };
});

/** The metadata of a provider, as far as it is used here. */
interface Metadata {
  readonly issuer: string;
  readonly authorization_endpoint: string;
  readonly token_endpoint: string;
  readonly userinfo_endpoint: string;
  readonly jwks_uri: string;
  readonly authorization_response_iss_parameter_supported?: boolean;
}

async function setUp({ fixture, make, issuer, idToken, userInfo }: Row, change: object = {}) {
  const file = new URL(`../fixtures/signin/${fixture}.json`, import.meta.url);
  const metadata: Metadata = JSON.parse(await readFile(file, "utf8"));
  const asked: { readonly url: string; readonly headers: Headers; readonly body: string }[] = [];
  const answers: Record<string, () => unknown> = {
    [metadata.jwks_uri]: () => ({ keys: [jwk] }),
    [metadata.userinfo_endpoint]: () => ({ sub: "ada", ...userInfo }),
    [metadata.token_endpoint]: async () => {
      const now = Math.floor(Date.now() / 1000);
      const claims = {
        ...{
          iss: issuer,
          sub: "ada",
          aud: "mooring",
          nonce: LOGIN.nonce,
          iat: now,
          exp: now + 300,
        },
        ...idToken,
        ...change,
      };
      return {
        access_token: "access",
        token_type: "Bearer",
        refresh_token: "kept",
        id_token: await new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: "k" }).sign(
          key,
        ),
      };
    },
  };
  const provider = make({
    ...{ clientId: "mooring", clientSecret: "the-secret" },
    async fetch(url, init) {
      asked.push({ url, headers: new Headers(init.headers), body: String(init.body ?? "") });
      if (url.endsWith("/.well-known/openid-configuration")) return Response.json(metadata);
      const answer = answers[url] ?? assert.fail(`Asked ${url}`);
      return Response.json(await answer());
    },
  });
  const finish = () => {
    const answer = new URLSearchParams({ code: "the code", state: LOGIN.state });
    const { authorization_response_iss_parameter_supported: hasIss = false } = metadata;
    if (hasIss) answer.set("iss", metadata.issuer);
    return provider.finish(LOGIN, answer);
  };
  return { provider, metadata, asked, finish };
}

describe("presets", () => {
  for (const [name, row] of Object.entries(ROWS)) {
    test(`[FRONT-40] ${name}: a login and a refresh`, async () => {
      const { provider, metadata, asked, finish } = await setUp(row);
      const url = await provider.authorizationUrl(LOGIN);
      assert.equal(url.origin + url.pathname, metadata.authorization_endpoint);
      for (const [parameter, value] of Object.entries(row.asks)) {
        assert.equal(url.searchParams.get(parameter), value, parameter);
      }
      assert.equal(url.searchParams.get("code_challenge_method"), "S256");
      const anew = await provider.authorizationUrl({ ...LOGIN, asksAnew: true });
      assert.equal(anew.searchParams.get("prompt"), row.anew);
      const login = await finish();
      assert.equal(login.subject, "ada");
      assert.equal(login.issuer, row.issuer);
      for (const [claim, value] of Object.entries(row.claims)) {
        assert.deepEqual(login.claims[claim], value, claim);
      }
      const { headers, body } = asked.find(({ url }) => url === metadata.token_endpoint) ??
        assert.fail();
      assert.equal(headers.has("authorization"), row.secretIn === "header");
      assert.equal(new URLSearchParams(body).has("client_secret"), row.secretIn === "body");
      const renewed = await provider.refresh?.(login.credential ?? assert.fail("no refresh token"));
      assert.deepEqual(renewed, login);
    });
  }

  const REFUSED: Readonly<Record<string, readonly [string, object]>> = {
    "another hosted domain at Google": ["Google", { hd: "evil.example" }],
    "no hosted domain at Google": ["Google", { hd: undefined }],
    "another tenant at Entra": ["Entra with many tenants", { tid: TENANT }],
    "a tenant in the token that isn't its issuer's": [
      "Entra with many tenants",
      { iss: `https://login.microsoftonline.com/${TENANT}/v2.0` },
    ],
    "the template as an issuer at Entra": [
      "Entra with many tenants",
      { iss: "https://login.microsoftonline.com/{tenantid}/v2.0" },
    ],
    "Auth0's issuer without its slash": ["Auth0", { iss: "https://example.eu.auth0.com" }],
  };
  for (const [what, [name, change]] of Object.entries(REFUSED)) {
    test(`[FRONT-40] ${what} is refused`, async () => {
      const { finish } = await setUp(ROWS[name] ?? assert.fail(name), change);
      await assert.rejects(finish(), ProviderError);
    });
  }
});
