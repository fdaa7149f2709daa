/**
 * Token exchange (RFC 8693) on behalf of callers: whose token each call has, when it is exchanged anew, and
 * what is refused.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { exportJWK, generateKeyPair, jwtVerify } from "jose";
import { createMcpHandler, McpServer } from "../../mod.ts";
import { tokenExchange, type TokenExchangeOptions } from "../../src/accounts/mod.ts";
import { gateway, http, local } from "../../src/gateway/mod.ts";
import { ModernPeer } from "../support/modern.ts";
import { as, byToken, initialize, textOf } from "../support/wire.ts";
import { Enterprise, GATEWAY, IDP, NOTES, SECRET, sentAs, withEnterprise } from "./enterprise.ts";

const TYPES = "urn:ietf:params:oauth:token-type:";

function exchange(world: Enterprise, options: Partial<TokenExchangeOptions> = {}) {
  const { clock, fetch } = world;
  return tokenExchange({
    ...{ issuer: IDP, clientId: "mooring", clientSecret: SECRET, fetch, clock },
    ...options,
  });
}

/** Calls `who` in both eras, by turns. */
async function callers(world: { readonly front: { readonly handler: Handler } }, token: string) {
  const headers = sentAs(token);
  const old = await initialize(world.front.handler, { headers });
  const modern = new ModernPeer(world.front.handler, { headers });
  let id = 0;
  return [
    async () => textOf(await old.result(await old.call(++id, "notes__who"))),
    async () => textOf(await modern.say("notes__who")),
  ] as const;
}
type Handler = ReturnType<typeof createMcpHandler>;

test("[UPA-46] two users in two eras: each call has a token that was exchanged for its own user's", async () => {
  await withEnterprise(exchange, async (world) => {
    const tokens = { ada: await world.callerToken("ada"), bob: await world.callerToken("bob") };
    const [ada, bob] = [await callers(world, tokens.ada), await callers(world, tokens.bob)];
    for (let round = 0; round < 3; round++) {
      const asked = [ada[0](), bob[0](), ada[1](), bob[1]()];
      assert.deepEqual(await Promise.all(asked), ["ada", "bob", "ada", "bob"]);
    }
    assert.equal(world.calls.length, 12);
    for (const { user, token } of world.calls) {
      // What the upstream got was issued for it, and for this user
      assert.equal((await world.idp.verify(token, NOTES)).sub, user);
    }
    assert.equal(world.requests.length, 2);
    for (const { origin, form, authorization } of world.requests) {
      assert.equal(origin, IDP);
      assert.equal(form.get("subject_token_type"), `${TYPES}access_token`);
      assert.equal(form.get("requested_token_type"), `${TYPES}access_token`);
      assert.equal(form.get("resource"), NOTES);
      assert.equal(authorization, `Basic ${btoa(`mooring:${SECRET.replaceAll("-", "%2D")}`)}`);
    }
    assert.deepEqual(
      world.requests.map(({ form }) => form.get("subject_token")).sort(),
      Object.values(tokens).sort(),
    );
  });
});

test("[UPA-47] the caller's token is sent to the issuer alone, and is in no event", async () => {
  await withEnterprise(exchange, async (world) => {
    const token = await world.callerToken("ada");
    const [old, modern] = await callers(world, token);
    await old();
    await modern();
    world.denied.add("ada");
    await world.clock.advance(world.ttlS * 1000);
    await assert.rejects(old);
    const reached = world.sent.filter(({ text }) => text.includes(token));
    assert.deepEqual([...new Set(reached.map(({ origin }) => origin))], [IDP]);
    const told = JSON.stringify(
      world.front.events,
      (_, value) => value instanceof Error ? String(value) : value,
    );
    for (const secret of [token, SECRET, ...world.calls.map((call) => call.token)]) {
      assert.ok(!told.includes(secret));
    }
  });
});

test("[UPA-46] a scope, an audience, a private key and another token of the caller by the options", async () => {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(privateKey);
  let idToken = "";
  const options = (world: Enterprise) =>
    exchange(world, {
      clientSecret: undefined,
      privateKey: { ...jwk },
      scopes: ["notes:read"],
      audience: NOTES,
      subject: ({ principal }) => {
        assert.equal(principal.id, "ada");
        return { token: idToken, type: `${TYPES}id_token` };
      },
    });
  await withEnterprise(options, async (world) => {
    idToken = await world.idp.sign({ sub: "ada", aud: "mooring" }, { typ: "JWT" });
    const [old] = await callers(world, await world.callerToken("ada"));
    assert.equal(await old(), "ada");
    const [{ form, authorization } = assert.fail()] = world.requests;
    assert.equal(authorization, null);
    const currentDate = new Date(world.clock.now());
    const { payload } = await jwtVerify(form.get("client_assertion") ?? "", publicKey, {
      currentDate,
    });
    assert.equal(payload.sub, "mooring");
    assert.equal(form.get("subject_token"), idToken);
    assert.equal(form.get("subject_token_type"), `${TYPES}id_token`);
    assert.equal(form.get("scope"), "notes:read");
    assert.equal(form.get("audience"), NOTES);
  });
});

test("[UPA-48] calls at the same time share one exchange; another token of the same user has its own", async () => {
  await withEnterprise(exchange, async (world) => {
    const [first, second] = [await world.callerToken("ada"), await world.callerToken("ada", 900)];
    const [old, modern] = await callers(world, first);
    await Promise.all([old(), modern(), old(), modern(), old()]);
    assert.equal(world.requests.length, 1);
    const [again] = await callers(world, second);
    assert.equal(await again(), "ada");
    assert.equal(world.requests.length, 2);
    assert.equal(new Set(world.calls.map(({ token }) => token)).size, 2);
  });
});

test("[UPA-48] tokens are replaced ahead of their end, and one that is refused is got anew once", async () => {
  await withEnterprise(exchange, async (world) => {
    const [old] = await callers(world, await world.callerToken("ada"));
    await old();
    await world.clock.advance(539_000);
    await old();
    assert.equal(world.requests.length, 1);
    await world.clock.advance(2_000);
    await old();
    assert.equal(world.requests.length, 2);
    await world.clock.advance(60_000);
    world.faults.refusesAll = true;
    await assert.rejects(old, /can't be used now \(unauthorized\)/);
    assert.equal(world.requests.length, 3);
    world.faults.refusesAll = false;
    assert.equal(await old(), "ada");
    assert.equal(world.requests.length, 3);
  });
});

test("[UPA-48] while the server is away a token is used as long as it holds, and calls work again with it", async () => {
  await withEnterprise(exchange, async (world) => {
    const [old] = await callers(world, await world.callerToken("ada"));
    await old();
    world.faults.idp = () => Promise.reject(new Error("away"));
    await world.clock.advance(541_000);
    assert.equal(await old(), "ada");
    assert.equal(await old(), "ada");
    // The second didn't wait for the server again
    assert.equal(world.requests.length, 2);
    await world.clock.advance(59_000);
    await assert.rejects(
      old,
      /"notes\\?" can't be used for you: idp\.example can't be reached.*Call again/,
    );
    delete world.faults.idp;
    assert.equal(await old(), "ada");
    assert.equal(world.calls.length, 4);
  });
});

test("[UPA-49] a refused exchange is an error that says what to do; other users and upstreams work", async () => {
  const free = new McpServer({ name: "free", version: "1.0.0" });
  free.registerTool("hello", {}, () => "hello");
  await withEnterprise(exchange, async (world) => {
    world.denied.add("bob");
    const [tokenA, tokenB] = [await world.callerToken("ada"), await world.callerToken("bob")];
    const [oldA] = await callers(world, tokenA);
    const [oldB, modernB] = await callers(world, tokenB);
    const words =
      /"notes\\?" can't be used for you: The server refused: invalid_grant\. Sign in again; if/;
    await assert.rejects(oldB, words);
    await assert.rejects(modernB, words);
    assert.equal(await oldA(), "ada");
    const peer = await initialize(world.front.handler, { headers: sentAs(tokenB) });
    assert.equal(textOf(await peer.result(await peer.call(1, "free__hello"))), "hello");
    assert.match(await (await peer.request(2, "tools/list")).text(), /free__hello/);
    world.denied.delete("bob");
    assert.equal(await oldB(), "bob");
    assert.deepEqual(world.calls.map(({ user }) => user), ["ada", "bob"]);
  }, { free: local(free) });
});

test("[UPA-49] nobody in particular has no token to exchange", async () => {
  const world = await Enterprise.create();
  const auth = exchange(world);
  const gw = gateway({ upstreams: { notes: http({ url: NOTES, auth, fetch: world.fetch }) } });
  const open = createMcpHandler(gw, { path: "/mcp" });
  const custom = createMcpHandler(gw, { path: "/mcp", authenticate: () => ({ id: "ada" }) });
  try {
    for (const handler of [open, custom]) {
      const peer = new ModernPeer(handler);
      await assert.rejects(() => peer.say("notes__who"), /no token that could be exchanged/);
    }
    assert.deepEqual(world.requests, []);
  } finally {
    await open.close({ graceMs: 0 });
    await custom.close({ graceMs: 0 });
    await gw.close();
    await world.close();
  }
});

/** What an authorization server may answer, and why it is refused. */
const attacks: Record<
  string,
  {
    readonly answer: (world: Enterprise, form: URLSearchParams) => Response | Promise<Response>;
    readonly reason: RegExp;
  }
> = {
  "a token for another audience": {
    answer: async (world) =>
      issued(await world.idp.sign({ sub: "ada", aud: "https://other.example" })),
    reason: /is for another server/,
  },
  "the caller's own token": {
    answer: (_, form) => issued(form.get("subject_token") ?? ""),
    reason: /caller's own token|is for another server/,
  },
  "another issued_token_type": {
    answer: () => issued("opaque", { issued_token_type: `${TYPES}id-jag` }),
    reason: /token of another type/,
  },
  "no issued_token_type": {
    answer: () => Response.json({ access_token: "opaque", token_type: "Bearer" }),
    reason: /token of another type/,
  },
  "the token_type N_A": {
    answer: () => issued("opaque", { token_type: "N_A" }),
    reason: /without a bearer token/,
  },
  "the token_type DPoP": {
    answer: () => issued("opaque", { token_type: "DPoP" }),
    reason: /without a bearer token/,
  },
  "a token with blanks": {
    answer: () => issued("a b"),
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

function issued(token: string, more: Record<string, unknown> = {}): Response {
  return Response.json({
    ...{ access_token: token, token_type: "Bearer", issued_token_type: `${TYPES}access_token` },
    ...more,
  });
}

for (const [name, { answer, reason }] of Object.entries(attacks)) {
  test(`[UPA-50] ${name} in the answer is refused, and the error has no secret`, async () => {
    await withEnterprise(exchange, async (world) => {
      world.faults.idp = (form) => answer(world, form);
      const token = await world.callerToken("ada");
      const [old, modern] = await callers(world, token);
      for (const call of [old, modern]) {
        await assert.rejects(call, (error) => {
          assert.match(String(error), reason);
          for (const secret of [token, SECRET, "evil", "opaque"]) {
            assert.ok(!String(error).includes(secret), String(error));
          }
          return true;
        });
      }
      assert.deepEqual(world.calls, []);
      assert.ok(world.sent.every(({ origin }) => origin !== "https://evil.example"));
    });
  });
}

test("[UPA-50] an upstream that names another issuer gets no token, and its issuer none of the caller", async () => {
  await withEnterprise(
    (world) => exchange(world, { issuer: "https://elsewhere.example" }),
    async (world) => {
      const [old] = await callers(world, await world.callerToken("ada"));
      await assert.rejects(old, /doesn't name the issuer/);
      assert.deepEqual(world.requests, []);
    },
  );
});

test("[UPA-50] one caller's token is never another's, though both have the same name at different issuers", async () => {
  const world = await Enterprise.create();
  const auth = exchange(world, {
    subject: ({ principal }) =>
      world.callerToken(`${principal.issuer}`).then((token) => ({ token })),
  });
  const request = new Request(GATEWAY, { headers: as("same") });
  const context = {
    upstream: "notes",
    url: NOTES,
    target: NOTES,
    method: "POST",
    request,
    signal: undefined,
  };
  try {
    const got = [];
    for (const issuer of ["one", "two", "one"]) {
      const { authorization = "" } = await auth.headers({
        ...context,
        principal: { id: "ada", issuer },
      });
      got.push((await world.idp.verify(authorization.slice(7), NOTES)).sub);
    }
    assert.deepEqual(got, ["one", "two", "one"]);
    assert.equal(world.requests.length, 2);
    assert.equal(byToken(request).id, "same");
  } finally {
    await world.close();
  }
});

test("[UPA-48] a caller keeps 50 tokens at most, and pushes out nobody else's", async () => {
  const world = await Enterprise.create();
  const auth = exchange(world, {
    subject: async ({ principal }) => ({ token: await world.callerToken(principal.id) }),
  });
  const headersOf = (id: string, token: string) =>
    auth.headers({
      ...{ upstream: "notes", url: NOTES, target: NOTES, method: "POST", signal: undefined },
      ...{ principal: { id }, request: new Request(GATEWAY, { headers: as(token) }) },
    });
  try {
    await headersOf("bob", "his");
    for (let nr = 0; nr <= 50; nr++) await headersOf("ada", `token${nr}`);
    assert.equal(world.requests.length, 52);
    await headersOf("ada", "token50");
    await headersOf("bob", "his");
    assert.equal(world.requests.length, 52);
    await headersOf("ada", "token0");
    assert.equal(world.requests.length, 53);
  } finally {
    await world.close();
  }
});

test("[UPA-50] options are checked when they are given", () => {
  const client = { issuer: IDP, clientId: "mooring" };
  assert.throws(() => tokenExchange(client), /either "clientSecret" or "privateKey"/);
  const { issuer: _, ...nowhere } = { ...client, clientSecret: "x" };
  // deno-lint-ignore no-explicit-any -- what a program without types may give
  assert.throws(() => tokenExchange(nowhere as any), /Give the "issuer"/);
  assert.throws(() => tokenExchange({ ...client, clientSecret: "x", issuer: "no" }), /Give a URL/);
  const wrong = { ...client, clientSecret: "x", audiences: "y" };
  assert.throws(() => tokenExchange(wrong), /audience/);
});
