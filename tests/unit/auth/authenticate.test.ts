import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { authenticate, type AuthSettings } from "../../../src/auth/authenticate.ts";
import { bearer } from "../../../src/auth/bearer.ts";
import { Forbidden, Unauthorized, Unavailable } from "../../../src/auth/errors.ts";
import { type HostRequest, Inbound } from "../../../src/http/inbound.ts";
import { reportRefusal, respond } from "../../../src/http/respond.ts";
import { isPromise } from "../../../src/internal/types.ts";
import type { McpEvent } from "../../../src/protocol/events.ts";
import { ANONYMOUS, type Principal } from "../../../src/protocol/exchange.ts";
import { Reporter } from "../../../src/protocol/reporter.ts";
import { FakeClock } from "../../support/clock.ts";

interface Outcome {
  readonly result: Principal | Response;
  readonly events: readonly McpEvent[];
}

const request = () =>
  new Request("http://api.example/mcp", { headers: { authorization: "Bearer t" } });

/** Asks for the principal with `authenticate` answering at once, or later. */
async function ask(
  given: AuthSettings["authenticate"],
  more: Partial<AuthSettings> = {},
): Promise<Outcome> {
  const events: McpEvent[] = [];
  const settings = { clock: new FakeClock(1_000_000), authenticate: given, ...more };
  const inbound = new Inbound(request(), "context");
  const refused = await authenticate(inbound, settings);
  if (refused === undefined) return { result: inbound.principal, events };
  reportRefusal(refused, new Reporter((event) => void events.push(event)));
  return { result: respond(refused), events };
}

/** The same function, answering at once and later. */
function bothWays(act: () => Principal): AuthSettings["authenticate"][] {
  return [act, async () => act()];
}

async function assertRefused(
  { result, events }: Outcome,
  expected: { status: number; code: number; message: string; reason: string; challenge?: string },
): Promise<void> {
  assert.ok(result instanceof Response);
  const { status, code, message, reason, challenge = null } = expected;
  assert.equal(result.status, status);
  assert.equal(result.headers.get("www-authenticate"), challenge);
  assert.equal(result.headers.get("content-type"), "application/json");
  assert.equal(result.headers.get("cache-control"), "no-store");
  assert.deepEqual(await result.json(), { jsonrpc: "2.0", id: null, error: { code, message } });
  assert.deepEqual(events.at(-1), { type: "refused", status, reason });
}

const INTERNAL = {
  status: 500,
  code: -32603,
  message: "Internal error",
  reason: "authenticate-failed",
};

describe("authenticate()", () => {
  test("[AUTH-1] is what authenticate returns, at once or later", async () => {
    const alice: Principal = {
      id: "alice",
      issuer: "https://issuer.example",
      clientId: "cli",
      scopes: ["read"],
      expiresAt: 2_000_000,
      claims: { team: "blue" },
    };
    for (const authenticate of bothWays(() => alice)) {
      const { result, events } = await ask(authenticate);
      assert.equal(result, alice);
      assert.deepEqual(events, []);
    }
  });

  test("[AUTH-1] a principal that is there at once takes no promise", () => {
    const settings = { clock: new FakeClock(), authenticate: () => ({ id: "a" }) };
    const inbound = new Inbound(request());
    assert.equal(isPromise(authenticate(inbound, settings)), false);
    assert.deepEqual(inbound.principal, { id: "a" });
  });

  test("[AUTH-1] authenticate gets the request and the host's context, on every verb", () => {
    const seen: unknown[] = [];
    const given = (...args: unknown[]) => {
      seen.push(args);
      return { id: "a" };
    };
    const context = { remote: "192.0.2.1" };
    const requests = ["POST", "GET", "DELETE"].map((method) =>
      new Request("http://a/", { method })
    );
    for (const one of requests) {
      authenticate(new Inbound(one, context), { clock: new FakeClock(), authenticate: given });
    }
    assert.deepEqual(seen, requests.map((one) => [one, context]));
  });

  test("[AUTH-1] Unauthorized may have more headers, but no other challenge", async () => {
    const headers = { "DPoP-Nonce": "7.x", "www-authenticate": "Basic" };
    const given = () => {
      throw new Unauthorized("Send a nonce", { headers });
    };
    for (const authenticate of bothWays(given)) {
      const { result } = await ask(authenticate);
      assert.ok(result instanceof Response);
      assert.equal(result.headers.get("dpop-nonce"), "7.x");
      assert.equal(result.headers.get("www-authenticate"), "Bearer");
    }
    assert.throws(() => new Unauthorized("x", { headers: { "a b": "c" } }), TypeError);
  });

  test("[AUTH-1] Unauthorized is a 401 with its challenge", async () => {
    const cases = [
      [new Unauthorized(), "Send valid credentials", "Bearer"],
      [new Unauthorized("Token revoked"), "Token revoked", "Bearer"],
      [
        new Unauthorized(undefined, { challenge: 'Basic realm="x"' }),
        "Send valid credentials",
        'Basic realm="x"',
      ],
      [new (class Expired extends Unauthorized {})("Old"), "Old", "Bearer"],
    ] as const;
    for (const [error, message, challenge] of cases) {
      const authenticates = bothWays(() => {
        throw error;
      });
      for (const authenticate of authenticates) {
        const outcome = await ask(authenticate);
        const reason = "unauthorized";
        await assertRefused(outcome, { status: 401, code: -32001, message, reason, challenge });
        assert.equal(outcome.events.length, 1);
      }
    }
  });

  test("[AUTH-1] Forbidden is a 403 that says the scope is insufficient", async () => {
    const cases = [
      [new Forbidden(), 'Bearer error="insufficient_scope"'],
      [new Forbidden(undefined, { scopes: [] }), 'Bearer error="insufficient_scope"'],
      [
        new Forbidden(undefined, { scopes: ["mcp:read", "mcp:write"] }),
        'Bearer error="insufficient_scope", scope="mcp:read mcp:write"',
      ],
      [new Forbidden(undefined, { scopes: ["x"], challenge: "DPoP" }), "DPoP"],
    ] as const;
    for (const [error, challenge] of cases) {
      const authenticates = bothWays(() => {
        throw error;
      });
      for (const authenticate of authenticates) {
        const message = "Send credentials that allow this";
        const reason = "forbidden";
        const outcome = await ask(authenticate);
        await assertRefused(outcome, { status: 403, code: -32001, message, reason, challenge });
      }
    }
  });

  test("[AUTH-1] anything else thrown is a 500 that leaks nothing, and an event that tells", async () => {
    const thrown = [new Error("redis://user:secret@host"), "secret", undefined, null, {
      status: 401,
    }];
    thrown.push(new Response("secret", { status: 401 }));
    for (const error of thrown) {
      const authenticates = bothWays(() => {
        throw error;
      });
      for (const authenticate of authenticates) {
        const outcome = await ask(authenticate);
        await assertRefused(outcome, INTERNAL);
        assert.deepEqual(outcome.events[0], { type: "error", during: "authenticate", error });
        assert.equal(outcome.events.length, 2);
      }
    }
  });

  test("[AUTH-4] Unavailable is a 503 that leaks nothing, and an event that tells", async () => {
    const error = new Unavailable(undefined, { cause: new Error("http://10.0.0.7/jwks") });
    const authenticates = bothWays(() => {
      throw error;
    });
    for (const authenticate of authenticates) {
      const outcome = await ask(authenticate);
      await assertRefused(outcome, {
        status: 503,
        code: -32603,
        message: "The server can't check credentials now: try again",
        reason: "authenticate-failed",
      });
      assert.ok(outcome.result instanceof Response);
      assert.equal(outcome.result.headers.get("retry-after"), "1");
      assert.deepEqual(outcome.events[0], { type: "error", during: "authenticate", error });
    }
  });

  test("[AUTH-1] what is no principal is a 500 and an event, never somebody", async () => {
    const nobodies: unknown[] = [
      undefined,
      null,
      true,
      "alice",
      [],
      {},
      { id: "" },
      { id: 1 },
      { id: null },
      { id: "a", issuer: {} },
      { id: "a", issuer: null },
      { id: "a", clientId: 7 },
      { id: "a", expiresAt: "2030-01-01" },
      { id: "a", expiresAt: NaN },
      { id: "a", expiresAt: null },
      // Half a scope would be found in it
      { id: "a", scopes: "notes:read notes:write" },
      new Response(null, { status: 200 }),
    ];
    for (const nobody of nobodies) {
      // JavaScript callers may return anything.
      for (const authenticate of bothWays(() => nobody as Principal)) {
        const outcome = await ask(authenticate);
        await assertRefused(outcome, INTERNAL);
        const [event] = outcome.events;
        assert.ok(event?.type === "error" && event.error instanceof TypeError);
      }
    }
  });

  test("[AUTH-2] without authenticate everybody is the same anonymous principal", async () => {
    const { result, events } = await ask(undefined);
    assert.equal(result, ANONYMOUS);
    assert.equal(ANONYMOUS.id, "anonymous");
    assert.ok(Object.isFrozen(ANONYMOUS));
    assert.deepEqual(events, []);
    const untouched = request();
    authenticate(new Inbound(untouched), { clock: new FakeClock() });
    assert.ok(untouched.headers instanceof Headers);
  });

  test("[AUTH-3] a principal past its expiry is refused, to the millisecond", async () => {
    for (const expiresAt of [1_000_001, Infinity]) {
      for (const authenticate of bothWays(() => ({ id: "a", expiresAt }))) {
        assert.deepEqual((await ask(authenticate)).result, { id: "a", expiresAt });
      }
    }
    for (const expiresAt of [1_000_000, 999_999, 0, -1, -Infinity]) {
      for (const authenticate of bothWays(() => ({ id: "a", expiresAt }))) {
        await assertRefused(await ask(authenticate), {
          status: 401,
          code: -32001,
          message: "Send new credentials: these have expired",
          reason: "credentials-expired",
          challenge: 'Bearer error="invalid_token"',
        });
      }
    }
  });

  test("[AUTH-1] every Bearer challenge says what the endpoint says in each", async () => {
    const challenge = 'Bearer resource_metadata="https://api.example/x"';
    const cases = [
      [new Unauthorized(), challenge],
      [
        new Unauthorized("x", { challenge: 'Bearer error="invalid_token"' }),
        `${challenge}, error="invalid_token"`,
      ],
      [new Forbidden(), `${challenge}, error="insufficient_scope"`],
      [new Unauthorized("x", { challenge: "Basic" }), `Basic, ${challenge}`],
    ] as const;
    for (const [error, expected] of cases) {
      const { result } = await ask(() => {
        throw error;
      }, { challenge });
      assert.ok(result instanceof Response);
      assert.equal(result.headers.get("www-authenticate"), expected);
    }
    const { result } = await ask(() => ({ id: "a", expiresAt: 0 }), { challenge });
    assert.ok(result instanceof Response);
    assert.equal(result.headers.get("www-authenticate"), `${challenge}, error="invalid_token"`);
  });
});

describe("Unauthorized and Forbidden", () => {
  test("[AUTH-1] are errors by name, with a cause if there is one", () => {
    const cause = new Error("signature");
    const unauthorized = new Unauthorized("No", { cause });
    assert.ok(unauthorized instanceof Error);
    assert.equal(unauthorized.name, "Unauthorized");
    assert.equal(unauthorized.cause, cause);
    assert.equal(unauthorized.challenge, "Bearer");
    const forbidden = new Forbidden("No", { cause });
    assert.ok(forbidden instanceof Error);
    assert.equal(forbidden.name, "Forbidden");
    assert.equal(forbidden.cause, cause);
  });

  test("[AUTH-1] a challenge that can't stand in a header is misuse", () => {
    for (const challenge of ["", " ", "Bearer\r\nx: y", "Bearer \u0000", "Bearer é", " Bearer"]) {
      assert.throws(() => new Unauthorized("x", { challenge }), TypeError, challenge);
      assert.throws(() => new Forbidden("x", { challenge }), TypeError, challenge);
    }
    for (const scope of ["", "a b", 'a"', "a\\", "é", "a\n"]) {
      assert.throws(() => new Forbidden("x", { scopes: [scope] }), TypeError, scope);
    }
  });
});

describe("authenticate() with a host's request", () => {
  const headers = new Headers({ "authorization": "Bearer t", "x_user": "forged", "x-user": "ada" });

  function hostRequest(): HostRequest & { readonly made: number } {
    const source = new Request("http://api.example/mcp", { headers });
    let made = 0;
    return {
      method: "POST",
      url: source.url,
      headers: source.headers,
      body: null,
      signal: source.signal,
      text: () => source.text(),
      toRequest() {
        made++;
        return source;
      },
      get made() {
        return made;
      },
    };
  }

  test("[GATE-11] bearer() reads the head, without hidden headers, and no Request is made", async () => {
    const source = hostRequest();
    const inbound = new Inbound(source, "context");
    const given = bearer({
      verify(token, { method, url, headers }, context) {
        const hidden = [headers.get("x_user"), headers.has("X_User")];
        assert.deepEqual([method, url, context], ["POST", "http://api.example/mcp", "context"]);
        assert.deepEqual([...hidden, headers.get("x-user"), headers.has("x-user")], [
          null,
          false,
          "ada",
          true,
        ]);
        return { id: token };
      },
    });
    const refused = await authenticate(inbound, { clock: new FakeClock(0), authenticate: given });
    assert.equal(refused, undefined);
    assert.equal(inbound.principal.id, "t");
    assert.equal(source.made, 0);
  });

  test("[AUTH-1] any other function gets a Request", async () => {
    const source = hostRequest();
    const inbound = new Inbound(source);
    const check = bearer({ verify: (token) => ({ id: token }) });
    await authenticate(inbound, {
      clock: new FakeClock(0),
      authenticate(request, context) {
        assert.ok(request instanceof Request);
        return check(request, context);
      },
    });
    assert.equal(inbound.principal.id, "t");
    assert.equal(source.made, 1);
  });
});
