import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { base64url } from "jose";
import { Forbidden, Unauthorized, Unavailable } from "../../../src/auth/errors.ts";
import { introspection, type IntrospectionOptions } from "../../../src/auth/introspection.ts";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { AUDIENCE, ISSUER, withToken } from "../../auth/issuer.ts";
import { BROKEN, FakeEndpoint, hang } from "../../auth/fake_endpoint.ts";
import { FakeClock, flush } from "../../support/clock.ts";

const SECRET = "s3cr:et &+%ü";
const TOKEN = "0paque-t0ken";

function bench(more: Partial<IntrospectionOptions> = {}) {
  const clock = new FakeClock();
  const now = Math.floor(clock.now() / 1000);
  const known: Record<string, JsonObject> = {
    [TOKEN]: {
      active: true,
      sub: "ada",
      aud: AUDIENCE,
      client_id: "editor",
      scope: "a b",
      exp: now + 600,
    },
  };
  const answer: FakeEndpoint["answer"] = ({ init }) => {
    const token = new URLSearchParams(String(init.body)).get("token") ?? "";
    return Response.json(known[token] ?? { active: false });
  };
  const endpoint = new FakeEndpoint(answer);
  const authenticate = introspection({
    endpoint: `${ISSUER}/introspect`,
    clientId: "mcp server",
    clientSecret: SECRET,
    issuer: ISSUER,
    audience: AUDIENCE,
    fetch: endpoint.fetch,
    clock,
    ...more,
  });
  const check = async (token = TOKEN): Promise<unknown> => {
    return await Promise.resolve(authenticate(withToken(token))).then(({ id }) => id, (e) => e);
  };
  const says = (facts: JsonObject) => known[TOKEN] = { ...known[TOKEN], ...facts };
  return { clock, now, known, answer, endpoint, authenticate, check, says };
}

/** Everything that could be told of an error, its causes too. */
function toldOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.stack} ${JSON.stringify(error)} ${toldOf(error.cause)}`;
}

describe("introspection(): the question", () => {
  test("[AUTH-4] is a form, with credentials in the header or in the body", async () => {
    for (const clientAuthentication of ["basic", "post"] as const) {
      const { endpoint, check } = bench({ clientAuthentication });
      assert.equal(await check(), "ada");
      const [{ url, init } = assert.fail()] = endpoint.asked;
      assert.equal(url, `${ISSUER}/introspect`);
      assert.equal(init.method, "POST");
      assert.equal(init.redirect, "manual");
      const headers = new Headers(init.headers);
      const type = "application/x-www-form-urlencoded;charset=UTF-8";
      assert.equal(headers.get("content-type"), type);
      const form = Object.fromEntries(new URLSearchParams(String(init.body)));
      const question = { token: TOKEN, token_type_hint: "access_token" };
      if (clientAuthentication === "post") {
        assert.deepEqual(form, { ...question, client_id: "mcp server", client_secret: SECRET });
        assert.equal(headers.get("authorization"), null);
      } else {
        assert.deepEqual(form, question);
        const credentials = headers.get("authorization")?.replace("Basic ", "") ?? "";
        // RFC 6749 §2.3.1: both are encoded as in a form
        assert.equal(atob(credentials), "mcp+server:s3cr%3Aet+%26%2B%25%C3%BC");
      }
    }
  });

  test("[AUTH-4] leaves generated ids and secrets readable for servers that don't decode them", async () => {
    const { endpoint, check } = bench({ clientId: "mcp-server_1.x*", clientSecret: "a-b_c.d*" });
    assert.equal(await check(), "ada");
    const headers = new Headers(endpoint.asked[0]?.init.headers);
    assert.equal(headers.get("authorization"), `Basic ${btoa("mcp-server_1.x*:a-b_c.d*")}`);
  });

  test("[AUTH-4] goes over plain HTTP where that is allowed", async () => {
    for (const url of ["http://localhost:1/x", "http://login.example/x"]) {
      const { endpoint, check } = bench({ endpoint: url, allowHttp: !url.includes("localhost") });
      assert.equal(await check(), "ada");
      assert.equal(endpoint.asked[0]?.url, url);
    }
  });
});

describe("introspection(): the answer", () => {
  test("[AUTH-4] the principal is what the answer says", async () => {
    const { now, authenticate } = bench({ implies: { b: ["c"] } });
    const { claims, ...principal } = await authenticate(withToken(TOKEN));
    assert.deepEqual(principal, {
      id: "ada",
      issuer: ISSUER,
      clientId: "editor",
      scopes: ["a", "b", "c"],
      expiresAt: (now + 600) * 1000,
    });
    assert.equal(claims?.active, true);
  });

  test("[AUTH-4] a token without an end has none", async () => {
    const { says, authenticate } = bench();
    says({ exp: undefined });
    assert.equal((await authenticate(withToken(TOKEN))).expiresAt, undefined);
  });

  const wrong: [string, JsonObject][] = [
    ["that isn't active", { active: false }],
    ["for another audience", { aud: "https://other.example" }],
    ["for no audience", { aud: undefined }],
    ["for a list of others", { aud: ["x", `${AUDIENCE}/`] }],
    ["for an audience that only begins alike", { aud: `${AUDIENCE}.evil` }],
    ["for an empty list", { aud: [] }],
    ["of another issuer", { iss: "https://other.example" }],
    ["of an issuer that only begins alike", { iss: `${ISSUER}.evil` }],
    ["of a path below the issuer", { iss: `${ISSUER}/` }],
    ["of a list of issuers", { iss: [ISSUER] }],
    ["without sub", { sub: undefined }],
    ["with an empty sub", { sub: "" }],
    ["that has expired", { exp: 1 }],
    ["with a text as exp", { exp: "2099" }],
    ["from the future", { nbf: 9_999_999_999 }],
    ["bound to a key of the client", { cnf: { jkt: "x" }, token_type: "DPoP" }],
    ["that is for refreshing", { token_use: "refresh_token" }],
    ["that is for refreshing, in other words", { typ: "Refresh" }],
  ];
  for (const [name, facts] of wrong) {
    test(`[AUTH-4] a token ${name} → 401, and asked about every time`, async () => {
      const { endpoint, says, check } = bench();
      says(facts);
      for (let i = 1; i <= 2; i++) {
        const error = await check();
        assert.ok(error instanceof Unauthorized, String(error));
        assert.match(error.challenge, /error="invalid_token"/);
        assert.ok(!toldOf(error).includes(TOKEN));
        assert.equal(endpoint.asked.length, i);
      }
    });
  }

  test("[AUTH-4] endpoints may share it, and a token that is cached for one is no good at others", async () => {
    const { authenticate, says, endpoint } = bench({ audience: ({ url }) => url });
    const at = (url: string): Request =>
      new Request(url, { headers: { authorization: `Bearer ${TOKEN}` } });
    says({ aud: "https://api.example/one" });
    for (let call = 0; call < 2; call++) {
      assert.equal((await authenticate(at("https://api.example/one"))).id, "ada");
      await assert.rejects(async () => await authenticate(at("https://api.example/two")), {
        name: "Unauthorized",
      });
    }
    assert.equal(endpoint.asked.length, 3);
  });

  test("[AUTH-4] a list of audiences and the right issuer are good", async () => {
    const { says, check } = bench();
    says({ aud: ["x", AUDIENCE], iss: ISSUER, nbf: 1 });
    assert.equal(await check(), "ada");
  });

  test("[AUTH-4] a token is good from its nbf on, and no more at its exp", async () => {
    const { now, says, check } = bench({ cacheMs: 0 });
    says({ nbf: now });
    assert.equal(await check(), "ada");
    says({ nbf: now + 1 });
    assert.ok(await check() instanceof Unauthorized);
    says({ nbf: undefined, exp: now });
    assert.ok(await check() instanceof Unauthorized);
  });

  test("[AUTH-4] required scopes → 403, also for tokens that are remembered", async () => {
    const { check } = bench({ requiredScopes: ["z"] });
    for (let i = 0; i < 2; i++) {
      const error = await check();
      assert.ok(error instanceof Forbidden);
      assert.match(error.challenge, /scope="z a b"/);
    }
  });
});

describe("introspection(): what is remembered", () => {
  test("[AUTH-4] good tokens, for a while; then a revoked one is found out", async () => {
    const { clock, known, endpoint, check } = bench();
    assert.equal(await check(), "ada");
    delete known[TOKEN];
    await clock.advance(29_999);
    assert.equal(await check(), "ada");
    assert.equal(endpoint.asked.length, 1);
    await clock.advance(1);
    assert.ok(await check() instanceof Unauthorized);
    assert.equal(endpoint.asked.length, 2);
  });

  test("[AUTH-4] as it was found out, whatever the application does to it", async () => {
    const { authenticate } = bench();
    const principal = await authenticate(withToken(TOKEN));
    for (const change of [{ id: "root" }, { scopes: ["admin"] }, { expiresAt: Infinity }]) {
      assert.throws(() => Object.assign(principal, change), TypeError);
    }
    assert.throws(() => (principal.scopes as string[]).push("admin"), TypeError); // misuse
    assert.throws(() => Object.assign(principal.claims ?? {}, { admin: true }), TypeError);
    assert.deepEqual((await authenticate(withToken(TOKEN))).scopes, ["a", "b"]);
  });

  test("[AUTH-4] as it was found out in all its depth, for the next request too", async () => {
    const { authenticate, endpoint, says } = bench();
    says({ realm_access: { roles: ["user"] } });
    const { claims } = await authenticate(withToken(TOKEN));
    const { realm_access: access } = claims as { realm_access: { roles: string[] } }; // as it says
    assert.throws(() => access.roles.push("admin"), TypeError);
    const next = await authenticate(withToken(TOKEN));
    assert.deepEqual(next.claims?.realm_access, { roles: ["user"] });
    assert.equal(endpoint.asked.length, 1);
  });

  test("[AUTH-4] not for longer when the clock is set back", async () => {
    const { clock, known, check } = bench();
    assert.equal(await check(), "ada");
    delete known[TOKEN];
    clock.set(clock.now() - 3_600_000);
    assert.ok(await check() instanceof Unauthorized);
  });

  test("[AUTH-4] never longer than they last", async () => {
    const { clock, now, endpoint, says, check } = bench();
    says({ exp: now + 10 });
    assert.equal(await check(), "ada");
    await clock.advance(10_000);
    assert.ok(await check() instanceof Unauthorized);
    assert.equal(endpoint.asked.length, 2);
  });

  test("[AUTH-4] nothing, where that is wanted", async () => {
    const { endpoint, check } = bench({ cacheMs: 0 });
    await check();
    await check();
    assert.equal(endpoint.asked.length, 2);
  });

  test("[AUTH-4] no more than the bound, and the ones used last", async () => {
    const { known, endpoint, check } = bench({ cacheEntries: 3 });
    const facts = known[TOKEN] ?? {};
    for (const name of ["a", "b", "c", "d"]) known[name] = { ...facts, sub: name };
    for (const name of ["a", "b", "c", "a", "d"]) assert.equal(await check(name), name);
    assert.equal(endpoint.asked.length, 4);
    for (const name of ["a", "c", "d"]) await check(name);
    assert.equal(endpoint.asked.length, 4);
    await check("b");
    assert.equal(endpoint.asked.length, 5);
  });

  test("[AUTH-4] requests with one token at a time share one question", async () => {
    const { endpoint, check } = bench();
    assert.deepEqual(await Promise.all(Array(50).fill(TOKEN).map(check)), Array(50).fill("ada"));
    assert.equal(endpoint.asked.length, 1);
  });

  test("[AUTH-4] open questions are bounded, and every place is given back", async () => {
    const { clock, endpoint, answer, check } = bench();
    endpoint.answer = hang;
    const waiting = Array.from({ length: 1_000 }, (_, index) => check(`t${index}`));
    // Hashes are made elsewhere, so it takes more than a turn
    for (let i = 0; i < 2_000 && endpoint.asked.length < 1_000; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.equal(endpoint.asked.length, 1_000);
    assert.ok(await check() instanceof Unavailable);
    assert.equal(endpoint.asked.length, 1_000);
    await clock.advance(5_000);
    for (const error of await Promise.all(waiting)) assert.ok(error instanceof Unavailable);
    assert.equal(clock.pending, 0);
    endpoint.answer = answer;
    assert.equal(await check(), "ada");
  });
});

const JWT_RESPONSE = "application/token-introspection+jwt";
/** A JWT response that says the token is good (RFC 9701), signed by nobody. */
const UNSIGNED = [
  { alg: "RS256", typ: "token-introspection+jwt" },
  {
    ...{ iss: ISSUER, aud: "mcp server", iat: Math.floor(Date.now() / 1000) },
    token_introspection: { active: true, sub: "ada", aud: AUDIENCE },
  },
  {},
].map((part) => base64url.encode(JSON.stringify(part))).join(".");

describe("introspection(): failures", () => {
  const broken: typeof BROKEN = {
    ...BROKEN,
    "wrong credentials": () => Response.json({ error: "invalid_client" }, { status: 401 }),
    "wrong credentials, with a challenge": ({ init }) => {
      const headers = { "www-authenticate": 'Basic realm="0paque-t0ken"' };
      return Response.json({ error: String(init.body) }, { status: 401, headers });
    },
    "no answer in it": () => Response.json({}),
    "a text as active": () => Response.json({ active: "true", sub: "0paque-t0ken" }),
    // Nobody would verify its signature
    "a JWT": () => new Response(UNSIGNED, { headers: { "content-type": JWT_RESPONSE } }),
    "an answer that echoes": ({ init }) => new Response(String(init.body)),
  };
  for (const [name, answer] of Object.entries(broken)) {
    test(`[AUTH-4] ${name} → unavailable, with nothing told, and back by itself`, async () => {
      const bed = bench();
      bed.endpoint.answer = answer;
      const error = await bed.check();
      assert.ok(error instanceof Unavailable, String(error));
      assert.doesNotMatch(toldOf(error), /0paque|t0ken|s3cr/);
      bed.endpoint.answer = bed.answer;
      assert.equal(await bed.check(), "ada");
    });
  }

  test("[AUTH-4] an answer without an end is read no further than its limit", async () => {
    const { endpoint, check } = bench();
    let sent = 0;
    let cancelled = false;
    endpoint.answer = () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            sent += 64 * 1024;
            controller.enqueue(new Uint8Array(64 * 1024).fill(0x20));
          },
          cancel() {
            cancelled = true;
          },
        }),
      );
    assert.ok(await check() instanceof Unavailable);
    assert.ok(cancelled);
    assert.ok(sent <= 512 * 1024, `${sent}`);
  });

  test("[AUTH-4] no answer is waited for no longer than is allowed", async () => {
    const { clock, endpoint, check } = bench({ timeoutMs: 100 });
    endpoint.answer = hang;
    const waiting = check();
    while (endpoint.asked.length === 0) await flush();
    await clock.advance(100);
    assert.ok(await waiting instanceof Unavailable);
  });
});

describe("introspection(): options", () => {
  const good = {
    endpoint: `${ISSUER}/introspect`,
    clientId: "mcp",
    clientSecret: "secret",
    issuer: ISSUER,
    audience: AUDIENCE,
  };
  const misuse: [string, Record<string, unknown>, typeof TypeError | typeof RangeError][] = [
    ["no endpoint", { endpoint: undefined }, TypeError],
    ["plain HTTP", { endpoint: "http://login.example/" }, TypeError],
    ["no client", { clientId: "" }, TypeError],
    ["no secret", { clientSecret: undefined }, TypeError],
    ["a secret that is no text", { clientSecret: ["hunter2"] }, TypeError],
    ["another way to authenticate", { clientAuthentication: "tls" }, TypeError],
    ["no issuer", { issuer: undefined }, TypeError],
    ["no audience", { audience: [] }, TypeError],
    ["a scope with a space", { requiredScopes: ["a b"] }, TypeError],
    ["a negative time", { cacheMs: -1 }, RangeError],
    ["no entries", { cacheEntries: 0 }, RangeError],
    ["no time to ask", { timeoutMs: 0 }, RangeError],
    ["no function to fetch", { fetch: {} }, TypeError],
  ];
  for (const [name, options, kind] of misuse) {
    test(`[AUTH-4] ${name} is misuse`, () => {
      // The point is what happens when the type is not kept
      const wrong = { ...good, ...options } as unknown as IntrospectionOptions;
      assert.throws(() => introspection(wrong), (error) => {
        return error instanceof kind && !error.message.includes("hunter2");
      });
    });
  }
});
