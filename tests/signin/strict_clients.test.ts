/**
 * Strict clients of others find nothing wrong: `oauth4webapi`, which checks every answer by its RFC, and
 * `openid-client`.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as oauth from "oauth4webapi";
import * as openid from "openid-client";
import { REDIRECT, RESOURCE, World } from "./front.ts";
import { walk, wholeAnswer } from "./walk.ts";

const ISSUER = new URL("https://mcp.example");

/** Signs a user in at the address that a strict client made, and returns the answer's address. */
function answered(world: World, url: URL): Promise<URL> {
  return walk(url, {
    send: async (request) => await wholeAnswer(await world.answer(request)),
    provider: (at) => {
      const query = new URLSearchParams({ state: at.searchParams.get("state") ?? "", code: "x" });
      return new URL(`/signin/callback?${query}`, ISSUER);
    },
    isBack: (at) => at.href.startsWith(REDIRECT),
  });
}

/** Sends a client's requests to the sign-in of a test. */
function sender(world: World) {
  return (url: string, init: { readonly method?: string; readonly headers?: object }) => {
    const { pathname, search } = new URL(url);
    return world.send(pathname + search, init as RequestInit);
  };
}

test("[FRONT-29] oauth4webapi: discovery both ways, registration, a code, an access token, a refresh and a revocation", async () => {
  const world = new World();
  const options = { [oauth.customFetch]: sender(world) };
  for (const algorithm of ["oidc", "oauth2"] as const) {
    const found = await oauth.discoveryRequest(ISSUER, { algorithm, ...options });
    const server = await oauth.processDiscoveryResponse(ISSUER, found);
    assert.equal(server.authorization_response_iss_parameter_supported, true);
    const described = await oauth.resourceDiscoveryRequest(new URL(RESOURCE), options);
    const resource = await oauth.processResourceDiscoveryResponse(new URL(RESOURCE), described);
    assert.deepEqual(resource.authorization_servers, [server.issuer]);
    const registered = await oauth.dynamicClientRegistrationRequest(server, {
      client_name: "Strict",
      redirect_uris: [REDIRECT],
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
    }, options);
    const client = await oauth.processDynamicClientRegistrationResponse(registered);
    const none = oauth.None();
    const verifier = oauth.generateRandomCodeVerifier();
    const state = oauth.generateRandomState();
    const url = new URL(server.authorization_endpoint ?? assert.fail());
    url.search = new URLSearchParams({
      client_id: client.client_id,
      redirect_uri: REDIRECT,
      response_type: "code",
      scope: "notes:read",
      resource: RESOURCE,
      state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    }).toString();
    const back = await answered(world, url);
    const checked = oauth.validateAuthResponse(server, client, back, state);
    const resourced = { ...options, additionalParameters: { resource: RESOURCE } };
    const issued = await oauth.authorizationCodeGrantRequest(
      ...[server, client, none, checked, REDIRECT, verifier, resourced] as const,
    );
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, issued);
    assert.equal(tokens.token_type, "bearer");
    // RFC 9068: the profile of JWT access tokens, with the keys of the metadata.
    const claims = await oauth.validateJwtAccessToken(
      server,
      new Request(RESOURCE, { headers: { authorization: `Bearer ${tokens.access_token}` } }),
      RESOURCE,
      { ...options, [oauth.clockSkew]: Math.round((world.clock.now() - Date.now()) / 1000) },
    );
    assert.equal(claims.sub, "ada");
    assert.equal(claims.client_id, client.client_id);
    const refreshed = await oauth.refreshTokenGrantRequest(
      ...[server, client, none, tokens.refresh_token ?? assert.fail(), resourced] as const,
    );
    const next = await oauth.processRefreshTokenResponse(server, client, refreshed);
    assert.notEqual(next.refresh_token, tokens.refresh_token);
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(server, client, none, next.refresh_token ?? "", options),
    );
    const ended = await oauth.refreshTokenGrantRequest(
      ...[server, client, none, next.refresh_token ?? "", options] as const,
    );
    await assert.rejects(
      oauth.processRefreshTokenResponse(server, client, ended),
      (error) => error instanceof oauth.ResponseBodyError && error.error === "invalid_grant",
    );
  }
  await world.close();
});

test("[FRONT-29] openid-client: a login by discovery, a refresh and a revocation", async () => {
  const world = new World();
  for (const algorithm of ["oidc", "oauth2"] as const) {
    const config = await openid.discovery(ISSUER, "editor", undefined, openid.None(), {
      algorithm,
      [openid.customFetch]: sender(world) as unknown as openid.CustomFetch,
    });
    const pkceCodeVerifier = openid.randomPKCECodeVerifier();
    const expectedState = openid.randomState();
    const url = openid.buildAuthorizationUrl(config, {
      redirect_uri: REDIRECT,
      scope: "notes:read",
      resource: RESOURCE,
      state: expectedState,
      code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: "S256",
    });
    const back = await answered(world, url);
    const checks = { pkceCodeVerifier, expectedState };
    const tokens = await openid.authorizationCodeGrant(config, back, checks, {
      resource: RESOURCE,
    });
    assert.equal((await world.call(tokens.access_token)).status, 200);
    const next = await openid.refreshTokenGrant(config, tokens.refresh_token ?? assert.fail());
    await openid.tokenRevocation(config, next.refresh_token ?? assert.fail());
    await assert.rejects(
      openid.refreshTokenGrant(config, next.refresh_token ?? ""),
      /invalid_grant|error/,
    );
  }
  await world.close();
});
