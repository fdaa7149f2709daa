import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { bearer, type BearerOptions } from "../../../src/auth/bearer.ts";
import { bearerChallenge, joinChallenges } from "../../../src/auth/challenge.ts";
import { Forbidden, Unauthorized, Unavailable } from "../../../src/auth/errors.ts";
import { hasScopes } from "../../../src/protocol/route.ts";
import { impliedScopes, readScopes, scopesToAskFor } from "../../../src/auth/scopes.ts";
import type { Principal } from "../../../src/protocol/exchange.ts";

const URL = "https://api.example/mcp";
const ADA: Principal = { id: "ada", scopes: ["notes:read", "offline_access"] };

function request(authorization?: string): Request {
  return new Request(URL, authorization === undefined ? {} : { headers: { authorization } });
}

/** What is thrown for a header. */
async function thrown(options: BearerOptions, authorization?: string): Promise<unknown> {
  try {
    await bearer(options)(request(authorization));
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

const never = (): never => {
  throw new Error("asked about a token that isn't there");
};

describe("bearer()", () => {
  test("[AUTH-4] hands the token, the request and the context to verify", async () => {
    const seen: unknown[] = [];
    const authenticate = bearer({
      verify: (...args) => {
        seen.push(args);
        return ADA;
      },
    });
    const asked = request("Bearer a.b-c_d~e+f/g==");
    assert.equal(await authenticate(asked, "context"), ADA);
    assert.deepEqual(seen, [["a.b-c_d~e+f/g==", asked, "context"]]);
  });

  test("[AUTH-4] answers at once where verify does", () => {
    assert.equal(bearer({ verify: () => ADA })(request("Bearer t")), ADA);
  });

  for (const header of ["Bearer t", "bearer t", "BEARER   t", "Bearer t  "]) {
    test(`[AUTH-4] finds the token in "${header}"`, async () => {
      const verify = (token: string) => ({ id: token });
      assert.deepEqual(await bearer({ verify })(request(header)), { id: "t" });
    });
  }

  for (const header of [undefined, "Basic dDp0", "Bearerx t", "DPoP t", "t"]) {
    test(`[AUTH-4] no token in ${header} → 401 that names no error`, async () => {
      const error = await thrown({ verify: never, requiredScopes: ["notes"] }, header);
      assert.ok(error instanceof Unauthorized);
      assert.equal(error.challenge, 'Bearer scope="notes"');
    });
  }

  const malformed = ["Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Bearer a, Bearer b"];
  malformed.push(
    'Bearer "t"',
    "Bearer é",
    "Bearer a=b",
    "Bearer ä",
    `Bearer ${"a".repeat(17_000)}`,
  );
  for (const header of malformed) {
    test(`[AUTH-4] a malformed token in ${header.slice(0, 20)} → 401, unseen`, async () => {
      const error = await thrown({ verify: never }, header);
      assert.ok(error instanceof Unauthorized);
      assert.match(error.challenge, /^Bearer( error="invalid_token"|$)/);
    });
  }

  for (const nobody of [undefined, null]) {
    test(`[AUTH-4] ${nobody} from verify → 401 invalid_token`, async () => {
      for (const verify of [() => nobody, async () => nobody]) {
        const error = await thrown({ verify, requiredScopes: ["notes"] }, "Bearer t0ken");
        assert.ok(error instanceof Unauthorized);
        assert.match(error.challenge, /^Bearer error="invalid_token".*, scope="notes"$/);
        assert.doesNotMatch(`${error.message} ${error.challenge} ${error.stack}`, /t0ken/);
      }
    });
  }

  test("[AUTH-4] what verify throws is thrown", async () => {
    for (const error of [new Unauthorized("Revoked"), new Unavailable(), new TypeError("x")]) {
      const verify = () => {
        throw error;
      };
      assert.equal(await thrown({ verify }, "Bearer t"), error);
      assert.equal(await thrown({ verify: () => Promise.reject(error) }, "Bearer t"), error);
    }
  });

  test("[AUTH-4] missing scopes → 403 that names them, and those that would be lost", async () => {
    for (const verify of [() => ADA, async () => ADA]) {
      const requiredScopes = ["notes:write", "notes:list"];
      const error = await thrown({ verify, requiredScopes }, "Bearer t");
      assert.ok(error instanceof Forbidden);
      assert.equal(
        error.challenge,
        'Bearer error="insufficient_scope", scope="notes:write notes:list notes:read"',
      );
    }
    const authenticate = bearer({ verify: () => ADA, requiredScopes: ["notes:read"] });
    assert.equal(await authenticate(request("Bearer t")), ADA);
  });

  test("[AUTH-4] scopes that are a text instead of a list are no scopes", async () => {
    // JavaScript callers may return anything
    const verify = () => ({ id: "ada", scopes: "notes:write" }) as unknown as Principal;
    await assert.rejects(async () => {
      await bearer({ verify, requiredScopes: ["notes"] })(request("Bearer t"));
    });
  });

  test("[AUTH-4] misuse is found at construction", () => {
    const misuse: unknown[] = [{}, { verify: "x" }, { verify: never, requiredScopes: "notes" }];
    misuse.push({ verify: never, requiredScopes: ["a b"] }, { verify: never, requiredScopes: [1] });
    for (const options of misuse) {
      // The point is what happens when the type is not kept
      assert.throws(() => bearer(options as BearerOptions), TypeError);
    }
  });
});

describe("challenges", () => {
  test("[AUTH-4] say what is given, and can't be broken out of", () => {
    assert.equal(bearerChallenge(), "Bearer");
    const resourceMetadata = 'https://api.example/x?a="b\\';
    assert.equal(
      bearerChallenge({ resourceMetadata, error: "invalid_token", scopes: ["a", "b"] }),
      'Bearer resource_metadata="https://api.example/x?a=%22b%5C", error="invalid_token", scope="a b"',
    );
    for (const scope of ["", "a b", 'a"', "a\\", "é"]) {
      assert.throws(() => bearerChallenge({ scopes: [scope] }), TypeError);
    }
  });

  test("[AUTH-4] the endpoint's own is part of every one", () => {
    const base = 'Bearer resource_metadata="x"';
    const joined = [
      ["Bearer", base],
      ['bearer error="e"', `${base}, error="e"`],
      ['Basic realm="r"', `Basic realm="r", ${base}`],
    ] as const;
    for (const [own, expected] of joined) assert.equal(joinChallenges(base, own), expected);
    assert.equal(joinChallenges(undefined, "Basic"), "Basic");
  });
});

describe("scopes", () => {
  test("[AUTH-4] are read from texts and lists, each once, with what they stand for", () => {
    const implied = impliedScopes({ admin: ["write", "read"], write: ["read", "admin"] });
    const cases: [unknown[], string[]][] = [
      [["a b  a"], ["a", "b"]],
      [[["a", 1, "", "b"]], ["a", "b"]],
      [["a", ["b"]], ["a", "b"]],
      [[undefined, null, 7, {}], []],
      [["write"], ["write", "read", "admin"]],
      [["constructor"], ["constructor"]],
    ];
    for (const [claims, expected] of cases) {
      assert.deepEqual(readScopes(implied, ...claims), expected);
    }
    const chain = impliedScopes({ a: ["b"], b: ["c"], c: ["d"] });
    assert.deepEqual(readScopes(chain, "a"), ["a", "b", "c", "d"]);
    assert.throws(() => impliedScopes({ a: ["b c"] }), TypeError);
  });

  test("[AUTH-4] a principal has a scope only as a whole", () => {
    assert.ok(hasScopes(ADA, ["notes:read"]));
    assert.ok(hasScopes({ id: "a" }, []));
    for (const scope of ["notes", "read", "notes:read offline_access", ""]) {
      assert.ok(!hasScopes(ADA, [scope]), scope);
    }
    assert.ok(!hasScopes({ id: "a" }, ["a"]));
  });

  test("[AUTH-4] what a client is told to ask for is bounded, and fits a header", () => {
    const granted = [...Array(1_000).keys()].map(String);
    assert.equal(scopesToAskFor(["a"], granted).length, 51);
    assert.deepEqual(scopesToAskFor(["a"], ['"', "é", "offline_access", "a", "b"]), ["a", "b"]);
  });
});
