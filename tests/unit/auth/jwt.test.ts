import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CompactSign, exportSPKI, importJWK, type JWK, SignJWT } from "jose";
import { jwt, type JwtOptions } from "../../../src/auth/jwt.ts";
import { Forbidden, Unauthorized } from "../../../src/auth/errors.ts";
import { AUDIENCE, ISSUER, Issuer, makeKey, type Minting, withToken } from "../../auth/issuer.ts";
import { FakeClock } from "../../support/clock.ts";

interface Bench {
  readonly issuer: Issuer;
  readonly clock: FakeClock;
  readonly options: JwtOptions;
}

async function bench(alg?: string): Promise<Bench> {
  const clock = new FakeClock();
  const issuer = new Issuer({ clock });
  await issuer.rotate(alg);
  const options = { issuer: ISSUER, audience: AUDIENCE, jwks: issuer.jwks, clock };
  return { issuer, clock, options };
}

/** Checks that a token is refused as no good, and that nothing of it is told. */
async function assertRefused(
  options: JwtOptions,
  token: string,
  what = /./,
): Promise<void> {
  const error = await Promise.resolve(jwt(options)(withToken(token))).then(
    () => assert.fail("the token was taken"),
    (error: unknown) => error,
  );
  assert.ok(error instanceof Unauthorized, String(error));
  assert.match(error.challenge, /^Bearer error="invalid_token", error_description="/);
  assert.match(error.message, what);
  const told = [error.message, error.challenge, error.stack, JSON.stringify(error)].join("\n");
  for (const part of token.split(".")) {
    if (part.length > 8) assert.ok(!told.includes(part), "a part of the token was told");
  }
  assert.equal(error.cause, undefined);
}

function part(value: unknown): string {
  return btoa(JSON.stringify(value)).replaceAll("=", "").replaceAll("+", "-").replaceAll("/", "_");
}

describe("jwt(): good tokens", () => {
  test("[AUTH-4] the principal is what the token says", async () => {
    const { issuer, clock, options } = await bench();
    const token = await issuer.mint({
      claims: { client_id: "editor", azp: "other", scope: "a b", scp: ["c"], team: "blue" },
    });
    const { claims, ...principal } = await jwt(options)(withToken(token));
    const exp = Math.floor(clock.now() / 1000) + 300;
    assert.deepEqual(principal, {
      id: "ada",
      issuer: ISSUER,
      clientId: "editor",
      scopes: ["a", "b", "c"],
      expiresAt: exp * 1000,
    });
    assert.equal(claims?.team, "blue");
  });

  const clients: [string, Minting["claims"], string | undefined][] = [
    ["azp", { azp: "app" }, "app"],
    ["neither", {}, undefined],
    ["no text", { client_id: 7 as unknown as string }, undefined],
  ];
  for (const [name, claims, expected] of clients) {
    test(`[AUTH-4] the client is told by ${name}`, async () => {
      const { issuer, options } = await bench();
      const principal = await jwt(options)(withToken(await issuer.mint({ claims })));
      assert.equal(principal.clientId, expected);
      assert.equal("clientId" in principal, expected !== undefined);
    });
  }

  const scopes: [string, Minting["claims"], readonly string[]][] = [
    ["scope as a text", { scope: "a b" }, ["a", "b"]],
    ["scope as a list", { scope: ["a", "b"] }, ["a", "b"]],
    ["scp as a text", { scp: "a b" }, ["a", "b"]],
    ["nothing", {}, []],
  ];
  for (const [name, claims, expected] of scopes) {
    test(`[AUTH-4] scopes are read from ${name}`, async () => {
      const { issuer, options } = await bench();
      const principal = await jwt(options)(withToken(await issuer.mint({ claims })));
      assert.deepEqual(principal.scopes, expected);
    });
  }

  for (const alg of ["RS256", "PS384", "ES256", "ES512", "EdDSA"]) {
    test(`[AUTH-4] ${alg} is taken`, async () => {
      const { issuer, options } = await bench(alg);
      assert.equal((await jwt(options)(withToken(await issuer.mint()))).id, "ada");
    });
  }

  test("[AUTH-4] one of several audiences is enough, on either side", async () => {
    const { issuer, options } = await bench();
    const audience = ["https://old.example", AUDIENCE];
    const many = await issuer.mint({ claims: { aud: ["x", AUDIENCE] } });
    await jwt(options)(withToken(many));
    await jwt({ ...options, audience })(withToken(await issuer.mint()));
    await jwt({ ...options, audience })(withToken(many));
  });

  test("[AUTH-4] endpoints may share it, each with an audience of its own", async () => {
    const { issuer, options } = await bench();
    const authenticate = jwt({ ...options, audience: ({ url }) => url });
    const token = await issuer.mint({ claims: { aud: "https://api.example/one" } });
    const at = (url: string): Request =>
      new Request(url, { headers: { authorization: `Bearer ${token}` } });
    assert.equal((await authenticate(at("https://api.example/one"))).id, "ada");
    await assert.rejects(async () => await authenticate(at("https://api.example/two")), /audience/);
  });

  test("[AUTH-4] a token that names no key is tried with all of them", async () => {
    const { issuer, options } = await bench();
    issuer.keys.push(await makeKey("other"));
    const jwks = { keys: issuer.jwks.keys.toReversed().map(({ kid: _, ...jwk }) => jwk) };
    const token = await issuer.mint({ header: { kid: undefined } });
    assert.equal((await jwt({ ...options, jwks })(withToken(token))).id, "ada");
    const [stranger] = (await bench()).issuer.keys;
    assert.ok(stranger);
    issuer.keys = [stranger];
    const foreign = await issuer.mint({ header: { kid: undefined } });
    await assertRefused({ ...options, jwks }, foreign, /key of its issuer/);
  });
});

describe("jwt(): tokens that name no key", () => {
  for (const [position, good] of [[10, true], [11, false]] as const) {
    test(`[AUTH-4] are tried with the first ten keys: the key number ${position}`, async () => {
      const { issuer, options } = await bench();
      const token = await issuer.mint({ header: { kid: undefined } });
      const [own] = issuer.jwks.keys;
      const others = await Promise.all(
        Array.from({ length: position - 1 }, (_, n) => makeKey(`other-${n}`)),
      );
      const keys = [...others.map(({ jwk }) => jwk), own].map((jwk) => ({
        ...jwk,
        kid: undefined,
      }));
      const jwks = { keys: keys.map((jwk) => JSON.parse(JSON.stringify(jwk))) };
      if (good) assert.equal((await jwt({ ...options, jwks })(withToken(token))).id, "ada");
      else await assertRefused({ ...options, jwks }, token, /key of its issuer/);
    });
  }
});

describe("jwt(): tokens that are no good", () => {
  const wrong: [string, Minting, RegExp][] = [
    ["for another audience", { claims: { aud: "https://other.example/mcp" } }, /audience/],
    ["for a path below", { claims: { aud: `${AUDIENCE}/` } }, /audience/],
    ["for nobody", { claims: { aud: undefined } }, /audience/],
    ["for an audience that only begins alike", { claims: { aud: `${AUDIENCE}.evil` } }, /audience/],
    ["of another issuer", { claims: { iss: `${ISSUER}/` } }, /issuer/],
    ["of an issuer that only begins alike", { claims: { iss: `${ISSUER}.evil` } }, /issuer/],
    ["of no issuer", { claims: { iss: undefined } }, /issuer/],
    ["without exp", { claims: { exp: undefined } }, /all required claims/],
    ["with a text as exp", { claims: { exp: "2099" as unknown as number } }, /./],
    ["without sub", { claims: { sub: undefined } }, /all required claims/],
    ["with an empty sub", { claims: { sub: "" } }, /./],
    ["with a number as sub", { claims: { sub: 7 as unknown as string } }, /./],
    ["that has expired", { forS: -1 }, /expired/],
    ["that expires now", { forS: 0 }, /expired/],
    ["from the future", { claims: { nbf: 9_999_999_999 } }, /not valid yet/],
    ["with a critical header", { header: { crit: ["x"], x: 1 } }, /./],
    ["bound to a key of the client", { claims: { cnf: { jkt: "x" } } }, /not bound to a key/],
    ["of a key that isn't there", { header: { kid: "other" } }, /key of its issuer/],
  ];
  for (const [name, minting, what] of wrong) {
    test(`[AUTH-4] a token ${name} → 401`, async () => {
      const { issuer, options } = await bench();
      // The signature is made by hand where the library would not
      const token = minting.header?.crit === undefined
        ? await issuer.mint(minting)
        : await critical(issuer);
      await assertRefused(options, token, what);
    });
  }

  test("[AUTH-4] none is refused, however it is written", async () => {
    const { issuer, options } = await bench();
    const [, payload = ""] = (await issuer.mint()).split(".");
    for (const alg of ["none", "None", "NONE", "nOnE", "", null, undefined, ["ES256"]]) {
      for (const signature of ["", "AAAA"]) {
        const header = { alg, kid: "key-1" };
        await assertRefused(options, `${part(header)}.${payload}.${signature}`);
      }
    }
  });

  test("[AUTH-4] a public key is no secret: HMAC with it is refused", async () => {
    for (const alg of ["RS256", "ES256"]) {
      const { issuer, options } = await bench(alg);
      const [key] = issuer.keys;
      assert.ok(key);
      const now = Math.floor(issuer.clock.now() / 1000);
      const claims = { iss: ISSUER, aud: AUDIENCE, sub: "ada", exp: now + 300 };
      const publicKey = await importJWK(key.jwk as JWK, alg);
      assert.ok(!(publicKey instanceof Uint8Array));
      const secrets = [
        await exportSPKI(publicKey),
        (await exportSPKI(publicKey)).trim(),
        JSON.stringify(key.jwk),
        String(key.jwk.n ?? key.jwk.x),
      ];
      for (const secret of secrets) {
        const token = await new SignJWT(claims)
          .setProtectedHeader({ alg: "HS256", kid: key.kid })
          .sign(new TextEncoder().encode(secret));
        await assertRefused(options, token, /algorithm/);
      }
    }
  });

  test("[AUTH-4] a token brings no key of its own, by value or by address", async () => {
    const { options } = await bench();
    const thief = new Issuer({ clock: options.clock });
    thief.keys = [await makeKey("key-1")];
    const [key] = thief.keys;
    assert.ok(key);
    const fetch = globalThis.fetch;
    globalThis.fetch = () => assert.fail("a token had something fetched");
    try {
      const headers = [{ jwk: key.jwk }, { jku: "https://thief.example/jwks" }, {
        x5u: "https://thief.example/",
      }, {}];
      for (const header of headers) {
        await assertRefused(options, await thief.mint({ header }), /key of its issuer/);
      }
    } finally {
      globalThis.fetch = fetch;
    }
  });

  test("[AUTH-4] an algorithm outside the list is refused, though its key is published", async () => {
    const { issuer, options } = await bench("RS256");
    await assertRefused({ ...options, algorithms: ["ES256"] }, await issuer.mint(), /algorithm/);
  });

  test("[AUTH-4] a changed token is refused", async () => {
    const { issuer, options } = await bench();
    const [header, payload = "", signature] = (await issuer.mint()).split(".");
    const claims = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
    const forged = `${header}.${part({ ...claims, sub: "root" })}.${signature}`;
    await assertRefused(options, forged, /key of its issuer/);
  });

  test("[AUTH-4] what is no JWT is refused", async () => {
    const { options } = await bench();
    const junk = ["a", "a.b", "a.b.c", "..", "a.b.c.d.e", part({ alg: "ES256" }), "e30.e30.e30"];
    for (const token of junk) await assertRefused(options, token);
  });

  test("[AUTH-4] with typ, tokens of another type are refused", async () => {
    const { issuer, options } = await bench();
    const typed = { ...options, typ: "at+jwt" };
    await assertRefused(typed, await issuer.mint({ header: { typ: "JWT" } }));
    await assertRefused(typed, await issuer.mint());
    await jwt(typed)(withToken(await issuer.mint({ header: { typ: "at+jwt" } })));
  });
});

async function critical(issuer: Issuer): Promise<string> {
  const [key] = issuer.keys;
  assert.ok(key);
  const [, payload = ""] = (await issuer.mint()).split(".");
  return await new CompactSign(new TextEncoder().encode(atob(payload)))
    .setProtectedHeader({ alg: "ES256", kid: key.kid, crit: ["x"], x: 1 })
    .sign(key.privateKey, { crit: { x: true } });
}

describe("jwt(): time and scopes", () => {
  test("[AUTH-4] a token ends to the second", async () => {
    const { issuer, clock, options } = await bench();
    const token = await issuer.mint({ forS: 60 });
    await clock.advance(59_000);
    await jwt(options)(withToken(token));
    await clock.advance(1_000);
    await assertRefused(options, token, /expired/);
  });

  test("[AUTH-4] clocks may be off as far as is tolerated, and the principal lasts as long", async () => {
    const { issuer, clock, options } = await bench();
    const tolerant = { ...options, clockToleranceS: 30 };
    const now = Math.floor(clock.now() / 1000);
    const token = await issuer.mint({ claims: { nbf: now + 30, exp: now + 60 } });
    const { expiresAt } = await jwt(tolerant)(withToken(token));
    assert.equal(expiresAt, (now + 90) * 1000);
    await clock.advance(89_000);
    await jwt(tolerant)(withToken(token));
    await clock.advance(1_000);
    await assertRefused(tolerant, token, /expired/);
    await assertRefused(tolerant, await issuer.mint({ claims: { nbf: now + 130 } }), /not valid/);
  });

  test("[AUTH-4] required scopes → 403 that names them; refusals by 401 name them too", async () => {
    const { issuer, options } = await bench();
    const authenticate = jwt({
      ...options,
      requiredScopes: ["notes:read"],
      implies: { "notes:admin": ["notes:read"] },
    });
    const get = async (scope: string) =>
      await authenticate(withToken(
        await issuer.mint({
          claims: { scope },
        }),
      ));
    assert.deepEqual((await get("notes:read x")).scopes, ["notes:read", "x"]);
    assert.deepEqual((await get("notes:admin")).scopes, ["notes:admin", "notes:read"]);
    await assert.rejects(get("notes:readx other"), (error) => {
      assert.ok(error instanceof Forbidden);
      assert.equal(
        error.challenge,
        'Bearer error="insufficient_scope", scope="notes:read notes:readx other"',
      );
      return true;
    });
    await assert.rejects(async () => await authenticate(withToken("x")), /JWT/);
    await assert.rejects(async () => await authenticate(withToken("x")), (error) => {
      return error instanceof Unauthorized && error.challenge.endsWith('scope="notes:read"');
    });
  });
});

describe("jwt(): options", () => {
  const good = { issuer: ISSUER, audience: AUDIENCE, jwksUri: `${ISSUER}/jwks` };
  const misuse: [string, Record<string, unknown>, typeof TypeError | typeof RangeError][] = [
    ["no issuer", { issuer: undefined }, TypeError],
    ["an empty issuer", { issuer: "" }, TypeError],
    ["no audience", { audience: undefined }, TypeError],
    ["an empty audience", { audience: "" }, TypeError],
    ["an empty list of audiences", { audience: [] }, TypeError],
    ["no keys", { jwksUri: undefined }, TypeError],
    ["both kinds of keys", { jwks: { keys: [] } }, TypeError],
    ["no URL", { jwksUri: "jwks" }, TypeError],
    ["a URL of a file", { jwksUri: "file:///jwks" }, TypeError],
    ["plain HTTP", { jwksUri: "http://login.example/jwks" }, TypeError],
    ["a name that only looks like this machine", { jwksUri: "http://127.0.0.1.x/" }, TypeError],
    ["a name that ends like this machine's", { jwksUri: "http://evillocalhost/" }, TypeError],
    ["a name that the network may resolve", { jwksUri: "http://a.localhost/" }, TypeError],
    ["a URL with a password", { jwksUri: "https://a:b@login.example/jwks" }, TypeError],
    ["a URL with a password alone", { jwksUri: "https://:b@login.example/jwks" }, TypeError],
    ["no key set", { jwksUri: undefined, jwks: {} }, TypeError],
    ["a private key", { jwksUri: undefined, jwks: { keys: [{ kty: "EC", d: "x" }] } }, TypeError],
    ["a secret", { jwksUri: undefined, jwks: { keys: [{ kty: "oct", k: "x" }] } }, TypeError],
    ["the algorithm none", { algorithms: ["none"] }, TypeError],
    ["a symmetric algorithm", { algorithms: ["RS256", "HS256"] }, TypeError],
    ["an unknown algorithm", { algorithms: ["X"] }, TypeError],
    ["no algorithm", { algorithms: [] }, TypeError],
    ["a text of algorithms", { algorithms: "RS256" }, TypeError],
    ["a negative tolerance", { clockToleranceS: -1 }, RangeError],
    ["a text as tolerance", { clockToleranceS: "1" }, TypeError],
    ["a text of scopes", { requiredScopes: "a b" }, TypeError],
    ["a scope with a space", { requiredScopes: ["a b"] }, TypeError],
    ["no time to fetch", { timeoutMs: 0 }, RangeError],
    ["no time to cache", { cacheMs: 0 }, RangeError],
    ["no function to fetch", { fetch: 1 }, TypeError],
    ["an empty typ", { typ: "" }, TypeError],
  ];
  for (const [name, options, kind] of misuse) {
    test(`[AUTH-4] ${name} is misuse`, () => {
      // The point is what happens when the type is not kept
      assert.throws(() => jwt({ ...good, ...options } as unknown as JwtOptions), kind);
    });
  }

  test("[AUTH-4] HTTPS, this machine, and HTTP where it is allowed are good", () => {
    jwt(good);
    for (const host of ["localhost:1", "127.0.0.1:1", "[::1]:1"]) {
      jwt({ ...good, jwksUri: new URL(`http://${host}/jwks`) });
    }
    jwt({ ...good, jwksUri: "http://keys/jwks", allowHttp: true });
    jwt({ ...good, algorithms: ["ML-DSA-65", "Ed25519"] });
  });
});
