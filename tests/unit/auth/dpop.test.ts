/** Tokens that are bound to a key of the client, and the proofs of that key (RFC 9449). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { memoryStore } from "../../../src/cluster/memory/store.ts";
import { Unauthorized, Unavailable } from "../../../src/auth/errors.ts";
import { introspection } from "../../../src/auth/introspection.ts";
import { jwt, type JwtOptions } from "../../../src/auth/jwt.ts";
import { protectedResource } from "../../../src/auth/protected_resource.ts";
import { createMcpHandler } from "../../../src/handler/handler.ts";
import { McpServer } from "../../../src/server/server.ts";
import { AUDIENCE, ISSUER, Issuer, type Minting } from "../../auth/issuer.ts";
import { FakeClock } from "../../support/clock.ts";
import { KeyHolder } from "../../support/key_holder.ts";

const NONCE_KEY = "a secret that is long enough for every nonce";

async function bench(dpop: JwtOptions["dpop"] = "accept", audience = AUDIENCE) {
  const clock = new FakeClock();
  const issuer = await Issuer.make({ clock });
  const options = { issuer: ISSUER, audience, jwks: issuer.jwks, clock };
  const holder = await KeyHolder.make(AUDIENCE);
  const mint = (minting: Minting = {}) =>
    issuer.mint({
      forS: 3_600,
      ...minting,
      claims: { cnf: { jkt: holder.thumbprint }, ...minting.claims },
    });
  const authenticate = jwt({ ...options, ...dpop !== undefined && { dpop } });
  return { clock, issuer, options, holder, mint, authenticate };
}

function request(
  scheme: string,
  token: string,
  proof?: string,
  { url = AUDIENCE, method = "POST" } = {},
): Request {
  return new Request(url, {
    method,
    headers: { authorization: `${scheme} ${token}`, ...proof !== undefined && { dpop: proof } },
  });
}

/** Returns the error with which a request is refused. */
async function refused(result: unknown): Promise<Unauthorized> {
  const error = await Promise.resolve(result).then(
    () => assert.fail("the request was let in"),
    (error: unknown) => error,
  );
  assert.ok(error instanceof Unauthorized, String(error));
  return error;
}

const codeOf = ({ challenge }: Unauthorized) => /DPoP error="([^"]*)"/.exec(challenge)?.[1];

describe("dpop: bound tokens", () => {
  for (const use of ["accept", "require"] as const) {
    test(`[DPOP-1] ${use}: a bound token with a proof of its key is let in`, async () => {
      const { authenticate, clock, holder, mint } = await bench(use);
      const token = await mint();
      const { id } = await authenticate(request("DPoP", token, await holder.proof(token, clock)));
      assert.equal(id, "ada");
      // The scheme's name has no case (RFC 9110 §11.1).
      await authenticate(request("dpop", token, await holder.proof(token, clock)));
    });

    test(`[DPOP-1] ${use}: a bound token without the scheme DPoP is refused`, async () => {
      const { authenticate, clock, holder, mint } = await bench(use);
      const token = await mint();
      const error = await refused(
        authenticate(request("Bearer", token, await holder.proof(token, clock))),
      );
      assert.match(error.message, /scheme DPoP/);
      assert.match(error.challenge, /DPoP .*algs="ES256 /);
    });
  }

  test("[DPOP-1] accept: a token that is not bound is let in as Bearer, and not as DPoP", async () => {
    const { authenticate, clock, holder, mint } = await bench();
    const token = await mint({ claims: { cnf: undefined } });
    assert.equal((await authenticate(request("Bearer", token))).id, "ada");
    const error = await refused(
      authenticate(request("DPoP", token, await holder.proof(token, clock))),
    );
    assert.equal(codeOf(error), "invalid_token");
  });

  test("[DPOP-1] require: a token that is not bound is refused in both ways", async () => {
    const { authenticate, clock, holder, mint } = await bench("require");
    const token = await mint({ claims: { cnf: undefined } });
    for (const scheme of ["Bearer", "DPoP"]) {
      const error = await refused(
        authenticate(request(scheme, token, await holder.proof(token, clock))),
      );
      assert.match(error.challenge, /^DPoP /);
    }
  });

  test("[DPOP-1] without the option bound tokens are refused, in both ways", async () => {
    const { options, clock, holder, mint } = await bench();
    const token = await mint();
    for (const scheme of ["Bearer", "DPoP"]) {
      const proof = await holder.proof(token, clock);
      await refused((async () => await jwt(options)(request(scheme, token, proof)))());
    }
  });

  test("[DPOP-1] tokens that are bound by other means are refused: mutual TLS, two at once", async () => {
    const { authenticate, clock, holder, mint } = await bench();
    const tls = { "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" };
    for (const cnf of [tls, { ...tls, jkt: holder.thumbprint }, {}, "x", { jkt: 7 }]) {
      const token = await mint({ claims: { cnf } });
      for (const scheme of ["Bearer", "DPoP"]) {
        await refused(
          authenticate(request(scheme, token, await holder.proof(token, clock))),
        );
      }
    }
  });

  test("[DPOP-1] introspection checks proofs too, also for a cached token", async () => {
    const { clock, holder } = await bench();
    const active = { active: true, sub: "ada", aud: AUDIENCE, cnf: { jkt: holder.thumbprint } };
    const authenticate = introspection({
      endpoint: "https://login.example/introspect",
      clientId: "mcp",
      clientSecret: "8sL2nR5vXq",
      issuer: ISSUER,
      audience: AUDIENCE,
      fetch: () => Promise.resolve(Response.json(active)),
      clock,
      dpop: "accept",
    });
    await authenticate(request("DPoP", "opaque", await holder.proof("opaque", clock)));
    assert.equal(
      codeOf(await refused(authenticate(request("DPoP", "opaque")))),
      "invalid_dpop_proof",
    );
    await refused(authenticate(request("Bearer", "opaque")));
  });
});

describe("dpop: proofs", () => {
  type Change = readonly [
    string,
    Record<string, unknown>,
    Record<string, unknown>?,
  ];
  const FAULTS: readonly Change[] = [
    ["another method", { htm: "GET" }],
    ["a method in small letters", { htm: "post" }],
    ["another path", { htu: "https://api.example/other" }],
    ["another host", { htu: "https://evil.example/mcp" }],
    ["another scheme than any address", { htu: "ftp://api.example/mcp" }],
    ["a query", { htu: `${AUDIENCE}?a=1` }],
    ["a fragment", { htu: `${AUDIENCE}#a` }],
    ["a user", { htu: "https://ada@api.example/mcp" }],
    ["no address", { htu: undefined }],
    ["no text as address", { htu: 7 }],
    ["another token", { ath: "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" }],
    ["no token", { ath: undefined }],
    ["no id", { jti: undefined }],
    ["an empty id", { jti: "" }],
    ["a long id", { jti: "x".repeat(257) }],
    ["no time", { iat: undefined }],
    ["a time that is text", { iat: "now" }],
    ["no type", {}, { typ: undefined }],
    ["the type of a token", {}, { typ: "at+jwt" }],
    ["no key", {}, { jwk: undefined }],
  ];
  for (const [name, claims, header] of FAULTS) {
    test(`[DPOP-2] a proof with ${name} is refused`, async () => {
      const { authenticate, clock, holder, mint } = await bench();
      const token = await mint();
      const proof = await holder.proof(token, clock, claims, header);
      const error = await refused(authenticate(request("DPoP", token, proof)));
      assert.equal(codeOf(error), "invalid_dpop_proof");
      const told = [error.message, error.challenge, error.stack].join("\n");
      for (const part of [...proof.split("."), ...token.split(".")]) {
        assert.ok(part.length < 9 || !told.includes(part), "a part of a proof or token was told");
      }
    });
  }

  test("[DPOP-2] a proof that is none is refused: missing, twice, unsigned, forged, too long", async () => {
    const { authenticate, clock, holder, mint } = await bench();
    const token = await mint();
    const good = await holder.proof(token, clock);
    const [head = "", claims = "", signature = ""] = good.split(".");
    const none = btoa(JSON.stringify({ typ: "dpop+jwt", alg: "none", jwk: holder.jwk }));
    const mac = btoa(
      JSON.stringify({ typ: "dpop+jwt", alg: "HS256", jwk: { kty: "oct", k: "AA" } }),
    );
    const proofs = [
      undefined,
      `${good}, ${good}`,
      `${none.replaceAll("=", "")}.${claims}.`,
      `${mac.replaceAll("=", "")}.${claims}.${signature}`,
      `${head}.${claims}.${signature.slice(0, -4)}AAAA`,
      `${head}.${claims}`,
      "x",
      "x".repeat(5_000),
    ];
    for (const proof of proofs) {
      const error = await refused(authenticate(request("DPoP", token, proof)));
      assert.equal(codeOf(error), "invalid_dpop_proof", proof);
    }
  });

  test("[DPOP-2] a proof with the private key in it, or a huge RSA key, is refused", async () => {
    const { authenticate, clock, holder, mint } = await bench();
    const token = await mint();
    const keys = [
      { ...holder.jwk, d: "x".repeat(43) },
      { kty: "RSA", e: "AQAB", n: "x".repeat(1_366) },
      { kty: "RSA", e: "x".repeat(100), n: "x".repeat(342) },
    ];
    for (const jwk of keys) {
      const proof = await holder.proof(token, clock, {}, { jwk });
      assert.equal(
        codeOf(await refused(authenticate(request("DPoP", token, proof)))),
        "invalid_dpop_proof",
      );
    }
  });

  test("[DPOP-2] a good proof of an RSA key of more than 4,096 bits is refused", async () => {
    const { authenticate, clock, issuer } = await bench();
    const holder = await KeyHolder.make(AUDIENCE, "RS256", 4_224);
    const token = await issuer.mint({ claims: { cnf: { jkt: holder.thumbprint } } });
    const proof = await holder.proof(token, clock, {}, { alg: "RS256" });
    const error = await refused(authenticate(request("DPoP", token, proof)));
    assert.equal(codeOf(error), "invalid_dpop_proof");
  });

  test("[DPOP-2] a good proof of another key is refused", async () => {
    const { authenticate, clock, mint } = await bench();
    const thief = await KeyHolder.make(AUDIENCE);
    const token = await mint();
    const error = await refused(
      authenticate(request("DPoP", token, await thief.proof(token, clock))),
    );
    assert.match(error.message, /key that the token is bound to/);
  });

  test("[DPOP-2] a proof is for the public address behind a proxy too, and not for its path elsewhere", async () => {
    const { authenticate, clock, holder, mint } = await bench();
    const token = await mint();
    const url = "http://10.0.0.7:8000/mcp?session=1";
    const inside = { url };
    await authenticate(request("DPoP", token, await holder.proof(token, clock), inside));
    const own = await holder.proof(token, clock, { htu: "http://10.0.0.7:8000/mcp" });
    await authenticate(request("DPoP", token, own, inside));
    const error = await refused(
      authenticate(
        request("DPoP", token, await holder.proof(token, clock), { url: "http://10.0.0.7/other" }),
      ),
    );
    assert.match(error.message, /htu/);
  });

  test("[DPOP-2] the spelling of an address doesn't matter (RFC 3986)", async () => {
    const { authenticate, clock, holder, mint } = await bench();
    const token = await mint();
    for (const htu of ["HTTPS://API.example:443/mcp", "https://api.example/x/../mcp"]) {
      await authenticate(request("DPoP", token, await holder.proof(token, clock, { htu })));
    }
  });

  test("[DPOP-2] the time of a proof may differ by maxAgeS, and no more", async () => {
    const { authenticate, clock, holder, mint } = await bench({ use: "accept", maxAgeS: 60 });
    const token = await mint();
    const now = Math.floor(clock.now() / 1_000);
    const at = (iat: number) => holder.proof(token, clock, { iat });
    for (const iat of [now - 59, now + 60]) {
      await authenticate(request("DPoP", token, await at(iat)));
    }
    for (const iat of [now - 62, now + 62]) {
      const error = await refused(authenticate(request("DPoP", token, await at(iat))));
      assert.match(error.message, /iat/);
    }
  });

  for (const alg of ["ES256", "ES384", "PS256", "RS256", "Ed25519"]) {
    test(`[DPOP-2] a proof may be signed with ${alg}`, async () => {
      const { authenticate, clock, issuer } = await bench();
      const holder = await KeyHolder.make(AUDIENCE, alg);
      const token = await issuer.mint({ claims: { cnf: { jkt: holder.thumbprint } } });
      await authenticate(request("DPoP", token, await holder.proof(token, clock, {}, { alg })));
    });
  }
});

describe("dpop: a proof works once", () => {
  test("[DPOP-3] a proof that was used is refused, for as long as its time is right", async () => {
    const { authenticate, clock, holder, mint } = await bench({ use: "accept", maxAgeS: 60 });
    const token = await mint();
    const ahead = Math.floor(clock.now() / 1_000) + 60;
    const proof = await holder.proof(token, clock, { iat: ahead });
    await authenticate(request("DPoP", token, proof));
    for (let passedS = 0; passedS <= 120; passedS += 20) {
      // Others' proofs push nothing out
      await authenticate(request("DPoP", token, await holder.proof(token, clock)));
      const error = await refused(authenticate(request("DPoP", token, proof)));
      assert.match(error.message, /has been used/);
      await clock.advance(20_000);
    }
    assert.match((await refused(authenticate(request("DPoP", token, proof)))).message, /iat/);
  });

  test("[DPOP-3] a clock that is set back makes no used proof new", async () => {
    const { options, clock, holder, mint } = await bench();
    let back = 0;
    const moved = Object.assign(Object.create(clock), { now: () => clock.now() - back });
    const made = jwt({ ...options, clock: moved, dpop: { use: "accept", maxAgeS: 60 } });
    const authenticate = async (request: Request, backMs: number) => {
      back = backMs;
      return await made(request);
    };
    const token = await mint();
    const proof = await holder.proof(token, clock);
    await authenticate(request("DPoP", token, proof), 0);
    for (const backMs of [0, 30_000, 59_000, 0]) {
      const error = await refused(authenticate(request("DPoP", token, proof), backMs));
      assert.match(error.message, /has been used/);
    }
  });

  test("[DPOP-3] a proof that was refused is not used up", async () => {
    const { authenticate, clock, holder, mint } = await bench();
    const [token, other] = [await mint(), await mint({ claims: { jti: "other" } })];
    const proof = await holder.proof(token, clock);
    await refused(authenticate(request("DPoP", other, proof)));
    await authenticate(request("DPoP", token, proof));
  });

  test("[DPOP-3] the same id of another key is another proof", async () => {
    const { authenticate, clock, holder, issuer, mint } = await bench();
    const other = await KeyHolder.make(AUDIENCE);
    const token = await mint();
    const theirs = await issuer.mint({ claims: { cnf: { jkt: other.thumbprint } } });
    const claims = { jti: "one" };
    await authenticate(request("DPoP", token, await holder.proof(token, clock, claims)));
    await authenticate(request("DPoP", theirs, await other.proof(theirs, clock, claims)));
  });

  test("[DPOP-3] nodes that share a store take a proof once between them", async () => {
    const store = memoryStore();
    const { clock, options, holder, mint } = await bench();
    const nodes = [1, 2, 3].map(() => jwt({ ...options, dpop: { use: "accept", store } }));
    const token = await mint();
    const proof = await holder.proof(token, clock);
    const results = await Promise.allSettled(
      nodes.map((node) => node(request("DPoP", token, proof))),
    );
    assert.deepEqual(results.map(({ status }) => status).toSorted(), [
      "fulfilled",
      "rejected",
      "rejected",
    ]);
  });

  test("[DPOP-3] without room for a proof the response is a 503, until there is room", async () => {
    const { authenticate, clock, holder, mint } = await bench({
      use: "accept",
      maxAgeS: 60,
      maxProofs: 4,
    });
    const token = await mint();
    const send = async () =>
      await authenticate(request("DPoP", token, await holder.proof(token, clock)));
    await send();
    await send();
    await assert.rejects(send(), Unavailable);
    await clock.advance(120_000);
    await send();
  });

  test("[DPOP-3] a store that fails is a 503, and is well again by itself", async () => {
    let isAway = true;
    const records = {
      get: () => undefined,
      put: () => isAway ? Promise.reject(new Error("away")) : Promise.resolve("1"),
      delete: () => false,
      list: () => ({ keys: [] }),
    };
    const { authenticate, clock, holder, mint } = await bench({
      use: "accept",
      store: { records: () => records },
    });
    const token = await mint();
    const send = async () =>
      await authenticate(request("DPoP", token, await holder.proof(token, clock)));
    await assert.rejects(send(), Unavailable);
    isAway = false;
    await send();
  });
});

describe("dpop: nonces", () => {
  test("[DPOP-4] with nonceKeys a proof needs a nonce of the last minutes, of any node and key", async () => {
    const dpop = { use: "require", nonceKeys: [NONCE_KEY], maxAgeS: 120 } as const;
    const { authenticate, options, clock, holder, mint } = await bench(dpop);
    const token = await mint();
    const send = async (nonce: unknown, at = authenticate) =>
      await at(request("DPoP", token, await holder.proof(token, clock, { nonce })));
    const error = await refused(send(undefined));
    assert.equal(codeOf(error), "use_dpop_nonce");
    const nonce = error.headers["dpop-nonce"];
    assert.match(String(nonce), /^[\w.-]+$/);
    await send(nonce);
    const next = "another secret that is long enough for every nonce";
    const rotated = jwt({ ...options, dpop: { ...dpop, nonceKeys: [next, NONCE_KEY] } });
    await send(nonce, rotated);
    const stranger = jwt({ ...options, dpop: { ...dpop, nonceKeys: [next] } });
    for (const wrong of ["", "x", 7, `${nonce}x`, String(nonce).replace(/\d/, "9")]) {
      assert.equal(codeOf(await refused(send(wrong))), "use_dpop_nonce");
    }
    assert.equal(codeOf(await refused(send(nonce, stranger))), "use_dpop_nonce");
    await clock.advance(120_000);
    await send(nonce);
    await clock.advance(120_000);
    assert.equal(codeOf(await refused(send(nonce))), "use_dpop_nonce");
  });
});

describe("dpop: options and responses", () => {
  test("[DPOP-5] wrong options fail the start with what to change", () => {
    const make = (dpop: unknown) => () =>
      jwt({
        issuer: ISSUER,
        audience: AUDIENCE,
        jwks: { keys: [] },
        dpop: dpop as "accept", // wrong on purpose
      });
    const nonceKeys = ["short"];
    const TABLE: readonly (readonly [unknown, RegExp])[] = [
      ["no", /"accept" or "require"/],
      [true, /Give an object as "dpop"/],
      [{}, /"accept" or "require"/],
      [{ use: "accept", maxAge: 1 }, /did you mean "dpop.maxAgeS"/],
      [{ use: "accept", maxAgeS: 0 }, /dpop.maxAgeS/],
      [{ use: "accept", maxProofs: 0 }, /dpop.maxProofs/],
      [{ use: "accept", nonceKeys }, /32 characters/],
      [{ use: "accept", nonceKeys: [] }, /32 characters/],
      [{ use: "accept", store: {} }, /"dpop.store"/],
    ];
    for (const [dpop, message] of TABLE) assert.throws(make(dpop), message);
  });

  test("[DPOP-5] the challenge names the resource, and clients that only know Bearer find theirs first", async () => {
    const resource = protectedResource({
      resource: AUDIENCE,
      authorizationServers: [ISSUER],
    });
    for (const use of ["accept", "require"] as const) {
      const { authenticate } = await bench(use);
      const handler = createMcpHandler(new McpServer({ name: "test", version: "1.0.0" }), {
        authenticate,
        resource,
      });
      const response = await handler(new Request(AUDIENCE, { method: "DELETE" }));
      const challenge = response.headers.get("www-authenticate") ?? "";
      assert.equal(response.status, 401);
      assert.match(challenge, /resource_metadata="https:\/\/api\.example\/\.well-known\//);
      assert.match(challenge, use === "accept" ? /^Bearer .*, DPoP .*algs=/ : /^DPoP .*algs=/);
      assert.equal(challenge.includes("Bearer"), use === "accept");
      await handler.close();
    }
  });
});
