import assert from "node:assert/strict";
import { test } from "node:test";
import { exportJWK, generateKeyPair, jwtVerify } from "jose";
import { createMcpHandler } from "../../mod.ts";
import {
  clientCredentials,
  type ClientCredentialsOptions,
  type UserAuthContext,
} from "../../src/accounts/mod.ts";
import { gateway, http, UpstreamError } from "../../src/gateway/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { as, byToken, initialize, textOf } from "../support/wire.ts";
import { Service } from "./world.ts";

const SECRET = "a-secret-of-the-client";

async function withService(
  options: Partial<ClientCredentialsOptions>,
  act: (world: {
    service: Service;
    clock: FakeClock;
    forms: URLSearchParams[];
    handler: ReturnType<typeof createMcpHandler>;
    auth: ReturnType<typeof clientCredentials>;
  }) => Promise<void>,
): Promise<void> {
  const clock = new FakeClock();
  const service = new Service("notes", clock);
  const forms: URLSearchParams[] = [];
  // A server without logins of users: no PKCE, no page
  service.faults.metadata = {
    code_challenge_methods_supported: [],
    token_endpoint_auth_methods_supported: ["client_secret_post"],
  };
  service.faults.token = (form) => {
    forms.push(form);
    const scopes = (form.get("scope") ?? "").split(" ");
    return service.issue({ user: "mooring", scopes, isRevoked: false, refresh: "" });
  };
  const fetch = async (url: URL, init: RequestInit) =>
    await service.fetch(url, init) ?? new Response(null, { status: 404 });
  const auth = clientCredentials({
    ...{ clientId: "mooring", fetch, clock },
    ...options.privateKey === undefined && {
      clientSecret: SECRET,
      issuer: "https://login-notes.example",
    },
    ...options,
  });
  const gw = gateway({
    upstreams: {
      notes: http({ url: service.url, auth, fetch: (url, init) => fetch(new URL(url), init) }),
    },
    listCacheMs: 0,
  });
  const handler = createMcpHandler(gw, { path: "/mcp", authenticate: byToken });
  try {
    await act({ service, clock, forms, handler, auth });
  } finally {
    await handler.close({ graceMs: 0 });
    await gw.close();
    await service.close();
  }
}

test("[UPA-41] one token by the client's secret serves all users in both eras", async () => {
  await withService({}, async ({ forms, handler }) => {
    const ada = await initialize(handler, { headers: as("ada") });
    assert.equal(textOf(await ada.result(await ada.call(1, "notes__who"))), "mooring");
    const bob = new ModernPeer(handler, { headers: as("bob") });
    assert.equal(textOf(await bob.say("notes__who")), "mooring");
    assert.equal(forms.length, 1);
    assert.equal(forms[0]?.get("grant_type"), "client_credentials");
    assert.equal(forms[0]?.get("client_secret"), SECRET);
    assert.equal(forms[0]?.get("resource"), "https://notes.example/mcp");
  });
});

test("[UPA-42] a private key signs the assertion (private_key_jwt)", async () => {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(privateKey);
  await withService({ privateKey: { ...jwk } }, async ({ forms, handler }) => {
    const ada = await initialize(handler, { headers: as("ada") });
    assert.equal(textOf(await ada.result(await ada.call(1, "notes__who"))), "mooring");
    const { payload } = await jwtVerify(forms[0]?.get("client_assertion") ?? "", publicKey, {
      currentDate: new Date(new FakeClock().now()),
    });
    assert.equal(payload.sub, "mooring");
  });
});

test("[UPA-43] a token is replaced ahead of its end", async () => {
  await withService({ scopes: ["read"] }, async ({ forms, handler, clock, service }) => {
    service.ttlS = 600;
    const ada = await initialize(handler, { headers: as("ada") });
    await ada.result(await ada.call(1, "notes__who"));
    await clock.advance(541_000);
    assert.equal(textOf(await ada.result(await ada.call(2, "notes__who"))), "mooring");
    assert.deepEqual(forms.map((form) => form.get("scope")), ["read", "read"]);
  });
});

test("[UPA-43] a refused token is got anew once, and then it is an error", async () => {
  await withService({ scopes: ["read"] }, async ({ forms, handler, clock, service }) => {
    const ada = await initialize(handler, { headers: as("ada") });
    await ada.result(await ada.call(1, "notes__who"));
    await clock.advance(60_000);
    service.revokeAllTokens();
    assert.equal(textOf(await ada.result(await ada.call(2, "notes__who"))), "mooring");
    assert.equal(forms.length, 2);
    await clock.advance(60_000);
    service.faults.refusesAll = true;
    const text = await (await ada.call(3, "notes__who")).text();
    assert.match(text, /unauthorized/);
    assert.equal(forms.length, 3);
    assert.equal(service.calls.length, 2);
  });
});

const attacks: Record<string, { answer: () => Response; reason: RegExp }> = {
  "a token for another audience": {
    answer: () =>
      Response.json({
        access_token: `e30.${btoa('{"aud":"https://other.example"}').replaceAll("=", "")}.x`,
        token_type: "bearer",
      }),
    reason: /is for another server/,
  },
  "a token with blanks": {
    answer: () => Response.json({ access_token: "a b", token_type: "bearer" }),
    reason: /without a bearer token/,
  },
  "a redirect": {
    answer: () =>
      new Response(null, { status: 307, headers: { location: "https://evil.example/token" } }),
    reason: /answer isn't valid/,
  },
  "an endless body": {
    answer: () =>
      new Response(
        new ReadableStream({ pull: (body) => body.enqueue(new Uint8Array(65_536).fill(32)) }),
        { headers: { "content-type": "application/json" } },
      ),
    reason: /can't be reached/,
  },
};
for (const [name, { answer, reason }] of Object.entries(attacks)) {
  test(`[UPA-44] ${name} is refused, and the error has no secret`, async () => {
    await withService({}, async ({ handler, service, auth }) => {
      service.faults.token = answer;
      const ada = await initialize(handler, { headers: as("ada") });
      const text = await (await ada.call(1, "notes__who")).text();
      assert.match(text, /can't be used now/);
      assert.ok(!text.includes(SECRET) && !text.includes("evil"), text);
      assert.deepEqual(service.calls, []);
      const context = {
        ...{ upstream: "notes", url: service.url, target: service.url, method: "POST" },
        ...{ principal: { id: "ada" }, request: new Request(service.url), signal: undefined },
      };
      const refused = new Response(null, { status: 401 });
      await assert.rejects(async () => await auth.refused(refused, {}, context), (error) => {
        assert.ok(error instanceof UpstreamError);
        assert.match(error.message, reason);
        assert.doesNotMatch(error.message, /evil|a-secret/);
        return true;
      });
    });
  });
}

test("[UPA-45] options are checked when they are given", () => {
  const client = { clientId: "mooring" };
  assert.throws(() => clientCredentials(client), /either "clientSecret" or "privateKey"/);
  assert.throws(() => clientCredentials({ ...client, clientSecret: "x" }), /"issuer" that the/);
  assert.throws(() => clientCredentials({ ...client, privateKey: "x" }), /PKCS #8/);
  assert.throws(
    () => clientCredentials({ ...client, privateKey: { kty: "EC", d: "x" }, algorithm: "none" }),
    /"algorithm"/,
  );
});

/** A request to an upstream, of whose credentials a test asks. */
function contextOf(url: string, user = "ada"): UserAuthContext {
  return {
    ...{ upstream: "notes", url, target: url, method: "POST", principal: { id: user } },
    ...{ request: new Request(url), signal: undefined },
  };
}

test("[UPA-55] a thousand calls at once make one request for a token, at the start and after its end", async () => {
  await withService({}, async ({ auth, forms, service, clock }) => {
    const all = () =>
      Promise.all(
        Array.from({ length: 1_000 }, async (_, user) => {
          const { authorization } = await auth.headers(contextOf(service.url, `user-${user}`));
          return authorization;
        }),
      );
    assert.equal(new Set(await all()).size, 1);
    assert.equal(forms.length, 1);
    await clock.advance(service.ttlS * 1_000);
    assert.equal(new Set(await all()).size, 1);
    assert.equal(forms.length, 2);
    // And a thousand refusals of the same token
    await clock.advance(60_000);
    const sent = await auth.headers(contextOf(service.url));
    const refusals = Array.from({ length: 1_000 }, () => {
      const response = new Response(null, { status: 401 });
      return auth.refused(response, sent, contextOf(service.url));
    });
    assert.deepEqual(new Set(await Promise.all(refusals)), new Set([true]));
    assert.equal(forms.length, 3);
  });
});

test("[UPA-55] a request that fails fails all that wait for it, and the next call asks again", async () => {
  await withService({}, async ({ auth, forms, service }) => {
    const { token } = service.faults;
    let failures = 0;
    service.faults.token = () => {
      failures++;
      return new Response(null, { status: 503 });
    };
    const results = await Promise.allSettled(
      Array.from({ length: 100 }, async () => await auth.headers(contextOf(service.url))),
    );
    assert.ok(results.every(({ status }) => status === "rejected"));
    assert.equal(failures, 1);
    service.faults.token = token ?? assert.fail();
    assert.match((await auth.headers(contextOf(service.url))).authorization ?? "", /^Bearer /);
    assert.equal(forms.length, 1);
  });
});

test("[UPA-66] a thousand upstreams have a token of their own; of more, the one got first is got anew", async () => {
  await withService({}, async ({ auth, forms, service }) => {
    const urlOf = (n: number) => `${service.url}/${n}`;
    const tokens = new Set<string | undefined>();
    for (let n = 0; n <= 1_000; n++) {
      tokens.add((await auth.headers(contextOf(urlOf(n)))).authorization);
    }
    assert.equal(tokens.size, 1_001);
    assert.equal(forms.length, 1_001);
    await auth.headers(contextOf(urlOf(1_000)));
    await auth.headers(contextOf(urlOf(1)));
    assert.equal(forms.length, 1_001);
    await auth.headers(contextOf(urlOf(0)));
    assert.equal(forms.length, 1_002);
  });
});
