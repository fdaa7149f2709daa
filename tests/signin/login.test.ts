/**
 * Whole logins: from a client's request to a call of a tool, and what becomes of the grant.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { memoryStore, type RecordStore } from "../../src/cluster/mod.ts";
import { type Clock, signIn, type SignInOptions } from "../../src/signin/mod.ts";
import { sqliteStore } from "../../src/sql/mod.ts";
import {
  authorizePath,
  ChosenProvider,
  ISSUER,
  KEYS,
  redeem,
  refresh,
  RESOURCE,
  TestBrowser,
  type Tokens,
  tokensOf,
  World,
  type WorldOptions,
} from "./front.ts";
import { fieldsOf } from "./walk.ts";

const DAY_MS = 24 * 3600_000;

/** Runs a test with a world. */
function using(
  run: (world: World) => Promise<void>,
  options: WorldOptions = {},
  nodes = 1,
): () => Promise<void> {
  return async () => {
    const world = new World(options, nodes);
    try {
      await run(world);
    } finally {
      await world.close();
    }
  };
}

const textOf = async (response: Response) => (await response.json()).result?.content?.[0]?.text;

describe("discovery", () => {
  test(
    "[FRONT-1] the metadata is at each address that clients look at, and says what holds",
    using(async (world) => {
      for (
        const path of [
          "/.well-known/oauth-authorization-server",
          "/.well-known/openid-configuration",
          "/.well-known/oauth-authorization-server/mcp",
          "/.well-known/openid-configuration/mcp",
        ]
      ) {
        const response = await world.send(path);
        assert.equal(response.status, 200, path);
        assert.equal(response.headers.get("access-control-allow-origin"), "*");
        const body = await response.json();
        assert.equal(body.issuer, ISSUER);
        assert.deepEqual(body.code_challenge_methods_supported, ["S256"]);
        assert.deepEqual(body.token_endpoint_auth_methods_supported, ["none"]);
        assert.equal(body.authorization_response_iss_parameter_supported, true);
        assert.equal(body.client_id_metadata_document_supported, true);
      }
      const resource = await (await world.send("/.well-known/oauth-protected-resource/mcp")).json();
      assert.deepEqual(resource.authorization_servers, [ISSUER]);
      assert.equal(resource.resource, RESOURCE);
    }),
  );

  test("[FRONT-1] below a path, too", async () => {
    const world = new World({ issuer: `${ISSUER}/login` });
    for (
      const path of [
        "/.well-known/oauth-authorization-server/login",
        "/login/.well-known/openid-configuration",
      ]
    ) {
      const body = await (await world.send(path)).json();
      assert.equal(body.token_endpoint, `${ISSUER}/login/token`);
    }
    await world.close();
  });

  test(
    "[FRONT-1] the public keys have nothing private",
    using(async (world) => {
      const { keys } = await (await world.send("/jwks")).json();
      assert.equal(keys.length, 1);
      assert.equal("d" in keys[0], false);
    }),
  );
});

describe("a login", () => {
  test(
    "[FRONT-2] consent, code, tokens, a call; without a secret in any event",
    using(async (world) => {
      const browser = new TestBrowser(world);
      const question = await browser.login();
      assert.equal(question.pathname, "/signin/consent");
      const page = await (await browser.get(question.pathname + question.search)).text();
      for (const words of ["The Editor", "client.example", "Read your notes", "ada@example.com"]) {
        assert.ok(page.includes(words), words);
      }
      const back = await browser.answer(question);
      assert.equal(back.origin + back.pathname, "https://client.example/callback");
      assert.equal(back.searchParams.get("state"), "state of the client");
      assert.equal(back.searchParams.get("iss"), ISSUER);
      const code = back.searchParams.get("code") ?? "";
      const response = await redeem(world, code);
      assert.equal(response.headers.get("cache-control"), "no-store");
      const tokens: Tokens = await response.json();
      assert.equal(tokens.scope, "notes:read");
      const call = await world.call(tokens.access_token);
      assert.equal(call.status, 200);
      assert.equal(await textOf(call), "ada");
      assert.equal(browser.cookies.size, 0);
      const told = JSON.stringify(world.events);
      for (const secret of [code, tokens.access_token, tokens.refresh_token]) {
        assert.equal(told.includes(secret), false);
      }
      assert.deepEqual(world.reasons.filter((reason) => !reason.startsWith("key")), [
        "authorize sent-to-provider",
        "login signed-in",
        "consent asked",
        "consent asked",
        "consent allowed",
        "token issued",
      ]);
    }),
  );

  test(
    "[FRONT-3] the user is asked again for other scopes, another client or redirect host, and not for the same",
    using(async (world) => {
      await tokensOf(world);
      const browser = new TestBrowser(world);
      assert.equal((await browser.login()).host, "client.example");
      assert.equal((await browser.login({ scope: "notes:write" })).pathname, "/signin/consent");
      assert.equal((await browser.login({ prompt: "consent" })).pathname, "/signin/consent");
      world.provider.user = "bob";
      assert.equal((await browser.login()).pathname, "/signin/consent");
    }),
  );

  test(
    "[FRONT-3] a no is told to the client, and remembered nowhere",
    using(async (world) => {
      const browser = new TestBrowser(world);
      const back = await browser.answer(await browser.login(), "deny");
      assert.equal(back.searchParams.get("error"), "access_denied");
      assert.equal(back.searchParams.get("iss"), ISSUER);
      assert.equal((await browser.login()).pathname, "/signin/consent");
    }),
  );

  test(
    "[FRONT-4] allow says who may enter, at the login and at each refresh",
    using(async (world) => {
      const { refresh_token } = await tokensOf(world);
      world.provider.user = "mallory";
      const browser = new TestBrowser(world);
      const refused = await browser.get(await browser.begin());
      // The client is told, because the operator knows it; another one's user reads a page.
      assert.equal(
        new URL(refused.headers.get("location") ?? "").searchParams.get("error"),
        "access_denied",
      );
      assert.ok(world.reasons.includes("login not-allowed"));
      assert.equal((await refresh(world, refresh_token)).status, 200);
    }, { allow: ({ claims }) => claims.email !== "mallory@example.com" }),
  );

  test(
    "[FRONT-5] a step up: the challenge names the scope, consent is for it alone, and both are granted",
    using(async (world) => {
      const first = await tokensOf(world);
      const refused = await world.call(first.access_token, "write");
      assert.equal(refused.status, 403);
      assert.match(
        refused.headers.get("www-authenticate") ?? "",
        /insufficient_scope.*notes:write/,
      );
      const browser = new TestBrowser(world);
      const question = await browser.login({ scope: "notes:write" });
      const page = await (await browser.get(question.pathname + question.search)).text();
      assert.match(
        page,
        /What it may do[\s\S]*Change your notes[\s\S]*allowed before[\s\S]*Read your notes/,
      );
      const code = (await browser.answer(question)).searchParams.get("code") ?? "";
      const tokens: Tokens = await (await redeem(world, code)).json();
      assert.deepEqual(tokens.scope.split(" ").sort(), ["notes:read", "notes:write"]);
      assert.equal(await textOf(await world.call(tokens.access_token, "write")), "written");
    }),
  );

  test(
    "[FRONT-2] the provider away: an honest page, and the next login works",
    using(async (world) => {
      world.provider.fault = "unavailable";
      const browser = new TestBrowser(world);
      const response = await browser.get(await browser.begin());
      assert.equal(response.status, 503);
      assert.match(await response.text(), /Try again in a moment/);
      world.provider.fault = undefined;
      await tokensOf(world);
    }),
  );
});

/** A store whose records can be away, or call a function before a write. */
function hinderedStore() {
  const store = memoryStore();
  const state = { away: false, beforePut: async (_key: string) => {} };
  const records = (clock: Clock): RecordStore => {
    const real = store.records?.(clock) ?? assert.fail();
    const check = () => {
      if (state.away) throw new Error("The store at 10.0.0.1 is away");
    };
    return {
      get: (key) => (check(), real.get(key)),
      async put(key, value, write) {
        check();
        await state.beforePut(key);
        return await real.put(key, value, write);
      },
      delete: (key, expected) => (check(), real.delete(key, expected)),
      list: (prefix, cursor) => (check(), real.list(prefix, cursor)),
    };
  };
  return { state, store: { ...store, open: store.open.bind(store), records } };
}

describe("the store away", () => {
  const steps: Readonly<Record<string, (world: World, away: () => void) => Promise<Response>>> = {
    "the client's request": async (world, away) => {
      const path = await authorizePath({ client_id: `registered_${"a".repeat(32)}` });
      away();
      return await world.send(path);
    },
    "the provider's answer": async (world, away) => {
      const browser = new TestBrowser(world);
      const callback = await browser.begin();
      away();
      return await browser.get(callback);
    },
    "the question": async (world, away) => {
      const browser = new TestBrowser(world);
      const { pathname, search } = await browser.login();
      away();
      return await browser.get(pathname + search);
    },
    "the answer": async (world, away) => {
      const browser = new TestBrowser(world);
      const { pathname, search } = await browser.login();
      const page = await (await browser.get(pathname + search)).text();
      away();
      return await browser.post(pathname, fieldsOf(page, "allow"));
    },
    "a code": async (world, away) => {
      const code = await new TestBrowser(world).code();
      away();
      return await redeem(world, code);
    },
    "a refresh": async (world, away) => {
      const { refresh_token } = await tokensOf(world);
      away();
      return await refresh(world, refresh_token);
    },
  };
  for (const [what, run] of Object.entries(steps)) {
    test(`[FRONT-42] at ${what}: an honest 503 without its address, and the next login works`, async () => {
      const { state, store } = hinderedStore();
      const world = new World({ store });
      const response = await run(world, () => {
        state.away = true;
      });
      assert.equal(response.status, 503);
      assert.doesNotMatch(await response.text(), /10\.0\.0\.1/);
      assert.ok(world.reasons.some((reason) => reason.endsWith("internal-error")));
      state.away = false;
      await tokensOf(world, "bob");
      await world.close();
    });
  }
});

describe("tokens", () => {
  test(
    "[FRONT-6] a refresh token gives the next one; the used one gives the same within seconds",
    using(async (world) => {
      const first = await tokensOf(world);
      const second: Tokens = await (await refresh(world, first.refresh_token)).json();
      assert.notEqual(second.refresh_token, first.refresh_token);
      await world.clock.advance(10_000);
      const again: Tokens = await (await refresh(world, first.refresh_token)).json();
      assert.equal(again.refresh_token, second.refresh_token);
      const third: Tokens = await (await refresh(world, second.refresh_token)).json();
      assert.equal((await world.call(third.access_token)).status, 200);
    }),
  );

  test(
    "[FRONT-7] a refresh token that is used later ends the grant, with its access tokens",
    using(async (world) => {
      const first = await tokensOf(world);
      const second: Tokens = await (await refresh(world, first.refresh_token)).json();
      await world.clock.advance(31_000);
      const stolen = await refresh(world, first.refresh_token);
      assert.equal((await stolen.json()).error, "invalid_grant");
      assert.equal(
        (await (await refresh(world, second.refresh_token)).json()).error,
        "invalid_grant",
      );
      assert.equal((await world.call(second.access_token)).status, 401);
      assert.deepEqual(world.ended, ["ada refresh-token-reused"]);
    }),
  );

  test(
    "[FRONT-8] a code works once; its second use ends what the first got",
    using(async (world) => {
      const code = await new TestBrowser(world).code();
      const tokens: Tokens = await (await redeem(world, code)).json();
      assert.equal((await world.call(tokens.access_token)).status, 200);
      const second = await redeem(world, code);
      assert.equal(second.status, 400);
      assert.equal((await second.json()).error, "invalid_grant");
      assert.equal((await world.call(tokens.access_token)).status, 401);
      assert.deepEqual(world.ended, ["ada code-reused"]);
    }),
  );

  test(
    "[FRONT-8] a code is good for a minute",
    using(async (world) => {
      const code = await new TestBrowser(world).code();
      await world.clock.advance(60_000);
      assert.equal((await redeem(world, code)).status, 400);
    }),
  );

  test(
    "[FRONT-9] an access token ends after five minutes, and is refreshed",
    using(async (world) => {
      const first = await tokensOf(world);
      await world.clock.advance(299_000);
      assert.equal((await world.call(first.access_token)).status, 200);
      await world.clock.advance(2_000);
      assert.equal((await world.call(first.access_token)).status, 401);
      const second: Tokens = await (await refresh(world, first.refresh_token)).json();
      assert.equal((await world.call(second.access_token)).status, 200);
    }),
  );

  test(
    "[FRONT-10] revocation ends the grant, by either token, for its own client alone",
    using(async (world) => {
      for (const which of ["access_token", "refresh_token"] as const) {
        const tokens = await tokensOf(world, which);
        const foreign = await world.form("/revoke", { token: tokens[which], client_id: "other" });
        assert.equal(foreign.status, 200);
        assert.equal((await world.call(tokens.access_token)).status, 200);
        const own = await world.form("/revoke", { token: tokens[which], client_id: "editor" });
        assert.equal(own.status, 200);
        assert.equal((await world.call(tokens.access_token)).status, 401);
      }
      assert.equal((await world.form("/revoke", { token: "x", client_id: "editor" })).status, 200);
    }),
  );

  test(
    "[FRONT-11] when the provider ends the user, the next refresh does",
    using(async (world) => {
      const { refresh_token } = await tokensOf(world);
      world.provider.ended = true;
      assert.equal((await (await refresh(world, refresh_token)).json()).error, "invalid_grant");
      assert.deepEqual(world.ended, ["ada provider-ended"]);
    }),
  );

  test(
    "[FRONT-11] while the provider is away, a refresh is told so, and nothing is lost",
    using(async (world) => {
      const { refresh_token } = await tokensOf(world);
      world.provider.fault = "unavailable";
      const away = await refresh(world, refresh_token);
      assert.equal(away.status, 503);
      assert.equal((await away.json()).error, "temporarily_unavailable");
      await world.clock.advance(3_600_000);
      assert.equal((await refresh(world, refresh_token)).status, 503);
      world.provider.fault = undefined;
      const tokens: Tokens = await (await refresh(world, refresh_token)).json();
      assert.equal((await world.call(tokens.access_token)).status, 200);
    }),
  );

  test(
    "[FRONT-12] keys rotate; tokens of the key before are good until they expire",
    using(async (world) => {
      const first = await tokensOf(world);
      let token = first.refresh_token;
      for (let day = 0; day < 40; day++) {
        await world.clock.advance(DAY_MS);
        const tokens: Tokens = await (await refresh(world, token)).json();
        token = tokens.refresh_token;
        assert.equal((await world.call(tokens.access_token)).status, 200, `day ${day}`);
      }
      assert.ok(world.reasons.filter((reason) => reason === "key key-made").length > 1);
    }),
  );

  test(
    "[FRONT-6] ten sessions of one user for thirty days: no second login",
    using(async (world) => {
      const tokens: string[] = [];
      for (let window = 0; window < 10; window++) {
        tokens.push((await tokensOf(world)).refresh_token);
      }
      for (let hour = 0; hour < 30 * 24; hour += 6) {
        await world.clock.advance(6 * 3600_000);
        for (const [at, token] of tokens.entries()) {
          const response = await refresh(world, token);
          assert.equal(response.status, 200, `session ${at}, hour ${hour}`);
          // Each third answer is lost, and its client asks again.
          const next = (hour + at) % 3 === 0 ? await refresh(world, token) : response;
          tokens[at] = (await next.json()).refresh_token;
        }
      }
      assert.deepEqual(world.ended, []);
    }),
  );
});

describe("grants", () => {
  test(
    "[FRONT-13] are listed with user, client, scopes and times; one ends, or all of a user",
    using(async (world) => {
      const ada = await tokensOf(world, "ada");
      const bob = await tokensOf(world, "bob");
      const { grants } = await world.nodes[0]!.grants.list(); // a world has a node
      assert.deepEqual(
        grants.map(({ user, client, scopes, resource }) => [user.id, client.name, scopes, resource])
          .sort(),
        [
          ["ada", "The Editor", ["notes:read"], RESOURCE],
          ["bob", "The Editor", ["notes:read"], RESOURCE],
        ],
      );
      const of = grants.find(({ user }) => user.id === "ada");
      assert.equal(await world.nodes[0]?.grants.end(of?.id ?? ""), true);
      assert.equal(await world.nodes[0]?.grants.end(of?.id ?? ""), false);
      assert.equal((await world.call(ada.access_token)).status, 401);
      assert.equal((await world.call(bob.access_token)).status, 200);
      // The consent is forgotten with it.
      world.provider.user = "ada";
      assert.equal((await new TestBrowser(world).login()).pathname, "/signin/consent");
      await tokensOf(world, "bob");
      const user = { id: "bob", issuer: "https://login.example" };
      assert.equal(await world.nodes[0]?.grants.endUser(user), 2);
      assert.equal((await world.call(bob.access_token)).status, 401);
    }),
  );

  test(
    "[FRONT-14] a user has a bounded number; the ones unused for the longest time end",
    using(async (world) => {
      const first = await tokensOf(world);
      for (let more = 0; more < 120; more++) {
        await world.clock.advance(1_000);
        await tokensOf(world);
      }
      const found = await world.nodes[0]?.grants.list({
        user: { id: "ada", issuer: "https://login.example" },
      });
      assert.ok((found?.grants.length ?? 0) <= 100, String(found?.grants.length));
      assert.equal((await refresh(world, first.refresh_token)).status, 400);
    }),
  );
});

describe("clients that are gone", () => {
  const metadata = { client_name: "a", redirect_uris: ["https://client.example/callback"] };
  const register = async (world: World): Promise<string> => {
    const response = await world.send("/register", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(metadata),
    });
    return (await response.json()).client_id;
  };

  test(
    "[FRONT-32] a registered client stays for as long as its refresh tokens are used, and after that is told to register again",
    using(async (world) => {
      const client_id = await register(world);
      let { refresh_token } = await tokensOf(world, "ada", { client_id }, { client_id });
      for (let weeks = 0; weeks < 12; weeks++) {
        await world.clock.advance(7 * DAY_MS);
        const next = await refresh(world, refresh_token, { client_id });
        assert.equal(next.status, 200, await next.clone().text());
        refresh_token = (await next.json()).refresh_token;
      }
      // A login long after the registration, because of the uses in between.
      await world.clock.advance(20 * DAY_MS);
      assert.ok((await new TestBrowser(world).login({ client_id })).searchParams.get("code"));
      await world.clock.advance(100 * DAY_MS);
      const gone = await refresh(world, refresh_token, { client_id });
      assert.equal(gone.status, 401);
      assert.equal((await gone.json()).error, "invalid_client");
      assert.ok(world.reasons.includes("token client-unknown"));
    }),
  );

  test("[FRONT-32] a client that the operator has removed gets no tokens", async () => {
    const world = new World();
    const code = await new TestBrowser(world).code();
    const { refresh_token } = await tokensOf(world);
    const without = new World({ clients: [], store: world.store, clock: world.clock });
    for (const answer of [await refresh(without, refresh_token), await redeem(without, code)]) {
      assert.equal(answer.status, 401);
      assert.equal((await answer.json()).error, "invalid_client");
    }
    // Nothing has ended: the client may come back.
    assert.equal((await refresh(world, refresh_token)).status, 200);
    await world.close();
    await without.close();
  });
});

describe("all of a user", () => {
  const ada = { id: "ada", issuer: "https://login.example" };

  test(
    "[FRONT-33] ends codes and questions that are under way, and what was allowed is asked anew",
    using(async (world) => {
      await tokensOf(world);
      const code = await new TestBrowser(world).code();
      const asked = new TestBrowser(world);
      const question = await asked.login({ scope: "notes:write" });
      await world.nodes[0]?.grants.endUser(ada);
      const late = await redeem(world, code);
      assert.equal((await late.json()).error, "invalid_grant");
      assert.ok(world.reasons.includes("token consent-forgotten"));
      const page = await asked.get(question.pathname + question.search);
      assert.equal(page.status, 400);
      await page.text();
      assert.deepEqual((await world.nodes[0]?.grants.list())?.grants, []);
      await world.clock.advance(1);
      assert.equal((await new TestBrowser(world).login()).pathname, "/signin/consent");
      assert.equal((await world.call((await tokensOf(world)).access_token)).status, 200);
    }),
  );

  test("[FRONT-33] also if they are ended in the middle of an answer: no consent is left", async () => {
    const { state, store } = hinderedStore();
    const world = new World({ store });
    const browser = new TestBrowser(world);
    const { pathname, search } = await browser.login();
    const page = await (await browser.get(pathname + search)).text();
    state.beforePut = async (key) => {
      if (!key.includes("consent:")) return;
      state.beforePut = async () => {};
      await world.nodes[0]?.grants.endUser(ada);
    };
    const late = await browser.post(pathname, fieldsOf(page, "allow"));
    assert.equal(late.status, 400);
    await late.text();
    await world.clock.advance(1);
    assert.equal((await new TestBrowser(world).login()).pathname, "/signin/consent");
    await world.close();
  });
});

describe("several nodes", () => {
  const STORES = { memory: memoryStore, sqlite: () => sqliteStore({ path: ":memory:" }) };
  for (const [name, makeStore] of Object.entries(STORES)) {
    test(`[FRONT-15] on ${name}: each step at another node, and a node that is new`, async () => {
      const world = new World({ store: makeStore() }, 3);
      const browser = new TestBrowser(world);
      const callback = await browser.begin({}, 0);
      const at = await browser.get(callback, 1);
      const back = await browser.answer(new URL(at.headers.get("location") ?? ""), "allow", 2);
      const code = back.searchParams.get("code") ?? "";
      const tokens: Tokens = await (await redeem(world, code, {}, 1)).json();
      world.add();
      assert.equal((await world.call(tokens.access_token, "who", 3)).status, 200);
      const next: Tokens = await (await refresh(world, tokens.refresh_token, {}, 3)).json();
      assert.equal((await world.call(next.access_token, "who", 0)).status, 200);
      await world.close();
    });

    test(`[FRONT-15] on ${name}: of many uses of a code at once one wins, and all of them end it`, async () => {
      const world = new World({ store: makeStore() }, 3);
      const code = await new TestBrowser(world).code();
      const all = await Promise.all(
        [0, 1, 2, 0, 1, 2].map((node) => redeem(world, code, {}, node)),
      );
      assert.ok(all.filter(({ status }) => status === 200).length <= 1);
      const { grants } = await world.nodes[0]!.grants.list(); // a world has nodes
      assert.deepEqual(grants, []);
      await world.close();
    });

    test(`[FRONT-15] on ${name}: uses of a refresh token at once give the same successor`, async () => {
      const world = new World({ store: makeStore() }, 3);
      const { refresh_token } = await tokensOf(world);
      const all = await Promise.all(
        [0, 1, 2, 0, 1, 2].map((node) => refresh(world, refresh_token, {}, node)),
      );
      const given = new Set<string>();
      for (const response of all) {
        assert.equal(response.status, 200, await response.clone().text());
        given.add((await response.json()).refresh_token);
      }
      assert.equal(given.size, 1);
      await world.close();
    });
  }

  test("[FRONT-16] a grant that another node has ended is refused within seconds", async () => {
    const world = new World({}, 2);
    const { access_token } = await tokensOf(world);
    assert.equal((await world.call(access_token, "who", 1)).status, 200);
    await world.nodes[0]?.grants.endUser({ id: "ada", issuer: "https://login.example" });
    assert.equal((await world.call(access_token, "who", 0)).status, 401);
    await world.clock.advance(5_000);
    assert.equal((await world.call(access_token, "who", 1)).status, 401);
    await world.close();
  });
});

describe("options", () => {
  const right = (): SignInOptions => ({
    issuer: ISSUER,
    resource: RESOURCE,
    provider: new ChosenProvider(),
    scopes: ["notes:read"],
  });
  const WRONG: Readonly<Record<string, readonly [object, RegExp]>> = {
    "an unknown name": [{ scope: [] }, /did you mean "scopes"/],
    "an unknown lifetime": [{ lifetimes: { acessMs: 1 } }, /did you mean "lifetimes.accessMs"/],
    "http elsewhere": [{ issuer: "http://mcp.example" }, /Use https for "issuer"/],
    "http on loopback": [{ issuer: "http://localhost:1" }, /allowInsecure/],
    "a query": [{ issuer: `${ISSUER}/?a` }, /Leave the query/],
    "no resource": [{ resource: [] }, /one URL or more/],
    "no provider": [{ provider: {} }, /what oidc\(\) or a preset returns/],
    "no scopes": [{ scopes: [] }, /one scope or more/],
    "a scope with a space": [{ scopes: ["a b"] }, /without spaces/],
    "a short key": [{ keys: ["short"] }, /32 bytes/],
    "allow that is no function": [{ allow: true }, /Give a function as "allow"/],
    "a lifetime of a century": [{ lifetimes: { grantMs: 1e13 } }, /ten years/],
    "a shared store without keys": [
      { store: { shared: true, records: () => ({}) } },
      /Give "keys"/,
    ],
  };
  test("[FRONT-34] a store that outlives the process is refused without keys", async () => {
    const folder = await mkdtemp(join(tmpdir(), "signin-store-"));
    const store = sqliteStore({ path: join(folder, "front.db") });
    try {
      assert.throws(() => signIn({ ...right(), store }), /Give "keys": random ones/);
      await signIn({ ...right(), store, keys: KEYS }).close();
    } finally {
      store.close();
      await rm(folder, { recursive: true });
    }
  });

  for (const [what, [change, expected]] of Object.entries(WRONG)) {
    test(`[FRONT-17] ${what} is refused with what to do`, () => {
      assert.throws(() => signIn({ ...right(), ...change } as SignInOptions), expected);
    });
  }
});
