/** Tokens of sign-in that are bound to a key of the client (DPoP, RFC 9449). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { decodeJwt } from "jose";
import * as oauth from "oauth4webapi";
import { memoryStore, type Store } from "../../src/cluster/mod.ts";
import { sqliteStore } from "../../src/sql/mod.ts";
import { parseConfig } from "../../src/cli/config/config.ts";
import { signInOptionsOf } from "../../src/cli/config/sign_in.ts";
import { KeyHolder } from "../support/key_holder.ts";
import {
  type Asked,
  authorizePath,
  callRequest,
  ISSUER,
  redeem,
  REDIRECT,
  refresh,
  RESOURCE,
  TestBrowser,
  type Tokens,
  tokensOf,
  World,
  type WorldOptions,
} from "./front.ts";
import { walk, wholeAnswer } from "./walk.ts";

const NONCE_KEY = "a secret that is long enough for every nonce";
const TOKEN_URL = `${ISSUER}/token`;

/** A client with a key, in a world. */
class BoundClient {
  readonly world: World;
  readonly holder: KeyHolder;

  constructor(world: World, holder: KeyHolder) {
    this.world = world;
    this.holder = holder;
  }

  /** The header with a new proof for the token endpoint. */
  async header(claims: Record<string, unknown> = {}): Promise<Record<string, string>> {
    return { dpop: await this.holder.proof(undefined, this.world.clock, claims) };
  }

  async redeem(code: string, changes = {}, node = 0): Promise<Response> {
    return await redeem(this.world, code, changes, node, await this.header());
  }

  async refresh(token: string, node = 0): Promise<Response> {
    return await refresh(this.world, token, {}, node, await this.header());
  }

  async tokens(asked: Asked = {}): Promise<Tokens> {
    const code = await new TestBrowser(this.world).code(asked);
    const response = await this.redeem(code);
    assert.equal(response.status, 200, await response.clone().text());
    return await response.json();
  }

  /** A call with a token and a proof, as it travels. */
  async request(token: string, tool = "who", claims = {}): Promise<Request> {
    const own = { htu: RESOURCE, ...claims };
    return callRequest(token, tool, await this.holder.proof(token, this.world.clock, own));
  }

  async call(token: string, node = 0): Promise<Response> {
    return await this.world.answer(await this.request(token), node);
  }
}

/** Runs a test with a world and a client that has a key. */
function using(
  run: (client: BoundClient) => Promise<void>,
  options: WorldOptions = { dpop: "accept" },
  nodes = 1,
): () => Promise<void> {
  return async () => {
    const world = new World(options, nodes);
    try {
      await run(new BoundClient(world, await KeyHolder.make(TOKEN_URL)));
    } finally {
      await world.close();
    }
  };
}

/** Checks that a call is refused as one without rights. */
async function isRefused(response: Response, what = ""): Promise<void> {
  assert.equal(response.status, 401, `${what} ${await response.clone().text()}`);
  await response.body?.cancel();
}

async function errorOf(response: Response): Promise<string> {
  assert.equal(response.status, 400, await response.clone().text());
  return (await response.json()).error;
}

describe("bound tokens", () => {
  for (const use of ["accept", "require"] as const) {
    test(
      `[DPOP-7] ${use}: a client that proves a key gets tokens that are bound to it`,
      using(async (client) => {
        const { world, holder } = client;
        const first = await client.tokens();
        assert.equal(first.token_type, "DPoP");
        assert.deepEqual(decodeJwt(first.access_token).cnf, { jkt: holder.thumbprint });
        assert.match(await (await client.call(first.access_token)).text(), /"ada"/);
        const response = await client.refresh(first.refresh_token);
        const second: Tokens = await response.json();
        assert.equal(second.token_type, "DPoP");
        assert.deepEqual(decodeJwt(second.access_token).cnf, { jkt: holder.thumbprint });
        assert.match(await (await client.call(second.access_token)).text(), /"ada"/);
        await isRefused(await world.call(second.access_token), "as a Bearer token");
      }, { dpop: use }),
    );
  }

  test(
    "[DPOP-7] accept: a client without a key gets Bearer tokens, and a key with a later refresh binds them",
    using(async (client) => {
      const { world } = client;
      const first = await tokensOf(world);
      assert.equal(first.token_type, "Bearer");
      assert.equal(decodeJwt(first.access_token).cnf, undefined);
      assert.equal((await world.call(first.access_token)).status, 200);
      await isRefused(await client.call(first.access_token), "with the scheme DPoP");
      const second: Tokens = await (await client.refresh(first.refresh_token)).json();
      assert.equal(second.token_type, "DPoP");
      assert.equal(await errorOf(await refresh(world, second.refresh_token)), "invalid_grant");
      // The lost answer of a moment ago: its successor is bound as well
      assert.equal(await errorOf(await refresh(world, first.refresh_token)), "invalid_grant");
      assert.equal((await client.refresh(second.refresh_token)).status, 200);
    }),
  );

  test(
    "[DPOP-7] accept: who proves a key when an answer got lost gets a bound successor, too",
    using(async (client) => {
      const { world } = client;
      const first = await tokensOf(world);
      assert.equal((await refresh(world, first.refresh_token)).status, 200);
      const again: Tokens = await (await client.refresh(first.refresh_token)).json();
      assert.equal(again.token_type, "DPoP");
      assert.equal(await errorOf(await refresh(world, again.refresh_token)), "invalid_grant");
    }),
  );

  test(
    "[DPOP-7] require: no token is issued without a proof, and a code waits for one",
    using(async (client) => {
      const { world } = client;
      const code = await new TestBrowser(world).code();
      assert.equal(await errorOf(await redeem(world, code)), "invalid_dpop_proof");
      assert.equal((await client.redeem(code)).status, 200);
    }, { dpop: "require" }),
  );

  test(
    "[DPOP-7] the metadata of the server and of the endpoint say what is needed",
    async () => {
      for (const dpop of ["accept", "require", undefined] as const) {
        const world = new World(dpop === undefined ? {} : { dpop });
        const read = async (path: string) => await (await world.send(path)).json();
        const server = await read("/.well-known/oauth-authorization-server");
        const resource = await read("/.well-known/oauth-protected-resource/mcp");
        const isOn = dpop !== undefined;
        assert.equal(
          server.dpop_signing_alg_values_supported?.includes("ES256"),
          isOn || undefined,
        );
        assert.equal(
          resource.dpop_bound_access_tokens_required,
          isOn ? dpop === "require" : undefined,
        );
        const { headers } = await world.call("unknown");
        const challenge = headers.get("www-authenticate") ?? "";
        assert.equal(challenge.includes("DPoP"), isOn, challenge);
        await world.close();
      }
    },
  );

  test("[DPOP-7] wrong options fail the start", () => {
    const wrong: readonly (readonly [WorldOptions["dpop"], RegExp])[] = [
      ["no" as never, /"accept" or "require"/],
      [{ use: "accept", maxAge: 5 } as never, /maxAge/],
      [{ use: "accept", store: memoryStore() } as never, /store/],
      [{ use: "accept", nonceKeys: ["short"] }, /32 characters/],
      [{ use: "accept", maxAgeS: 0 }, /maxAgeS/],
    ];
    for (const [dpop, message] of wrong) {
      assert.throws(() => new World({ ...dpop !== undefined && { dpop } }), message);
    }
    const clients = [{ id: "editor", redirectUris: [REDIRECT], dpopBound: true }];
    assert.throws(() => new World({ clients }), /Give "dpop"/);
  });
});

describe("proofs at the token endpoint", () => {
  const WRONG: Readonly<Record<string, Record<string, unknown>>> = {
    "another method": { htm: "GET" },
    "the endpoint of the resource": { htu: RESOURCE },
    "another server": { htu: "https://evil.example/token" },
    "an old time": { iat: 1 },
    "no id": { jti: "" },
  };
  for (const [what, claims] of Object.entries(WRONG)) {
    test(
      `[DPOP-8] a proof of ${what} is refused, and the code waits for a good one`,
      using(async (client) => {
        const { world } = client;
        const code = await new TestBrowser(world).code();
        const headers = await client.header(claims);
        const response = await redeem(world, code, {}, 0, headers);
        assert.equal(await errorOf(response), "invalid_dpop_proof");
        assert.equal((await client.redeem(code)).status, 200);
      }),
    );
  }

  test(
    "[DPOP-8] two proofs, and what is none, are refused",
    using(async (client) => {
      const { world } = client;
      const code = await new TestBrowser(world).code();
      const [{ dpop: one = "" }, { dpop: other = "" }] = [
        await client.header(),
        await client.header(),
      ];
      for (const dpop of [`${one}, ${other}`, "x", `${one}x`, ","]) {
        const response = await redeem(world, code, {}, 0, { dpop });
        assert.equal(await errorOf(response), "invalid_dpop_proof", dpop);
      }
    }),
  );

  test(
    "[DPOP-8] a proof under the host of another server is refused, whatever the request's host",
    using(async (client) => {
      const { world } = client;
      const code = await new TestBrowser(world).code();
      const request = new Request("https://evil.example/token", {
        method: "POST",
        headers: {
          "content-type": "application/x-www-form-urlencoded",
          ...await client.header({ htu: "https://evil.example/token" }),
        },
        body: new URLSearchParams({ grant_type: "authorization_code", client_id: "editor", code }),
      });
      assert.equal(await errorOf(await world.answer(request)), "invalid_dpop_proof");
    }),
  );

  for (
    const [name, make] of [["memory", memoryStore], [
      "SQLite",
      () => sqliteStore({ path: ":memory:" }),
    ]] as const
  ) {
    test(
      `[DPOP-8] a proof is good once at all nodes (${name})`,
      async () => {
        const world = new World({ dpop: "accept", store: make() }, 2);
        const client = new BoundClient(world, await KeyHolder.make(TOKEN_URL));
        const { refresh_token } = await client.tokens();
        const headers = await client.header();
        assert.equal((await refresh(world, refresh_token, {}, 0, headers)).status, 200);
        // The refresh token is good once more for a while, its proof is not
        for (const node of [0, 1]) {
          const response = await refresh(world, refresh_token, {}, node, headers);
          assert.equal(await errorOf(response), "invalid_dpop_proof");
        }
        assert.equal((await client.refresh(refresh_token, 1)).status, 200);
        const { access_token } = await client.tokens();
        const request = await client.request(access_token);
        assert.equal((await world.answer(request.clone(), 0)).status, 200);
        await isRefused(await world.answer(request.clone(), 0), "again");
        await isRefused(await world.answer(request.clone(), 1), "at another node");
        await world.close();
      },
    );
  }

  test("[DPOP-8] strangers' proofs, without a token of ours, are not remembered", async () => {
    const inner = memoryStore();
    let remembered = 0;
    const store: Store = {
      ...inner,
      records(clock) {
        const records = inner.records?.(clock) ?? assert.fail();
        return {
          get: (key) => records.get(key),
          put(key, value, write) {
            if (key.startsWith("dpop:")) remembered++;
            return records.put(key, value, write);
          },
          delete: (key, expected) => records.delete(key, expected),
          list: (prefix, cursor) => records.list(prefix, cursor),
        };
      },
    };
    const world = new World({ dpop: "accept", store });
    const client = new BoundClient(world, await KeyHolder.make(TOKEN_URL));
    const { access_token, refresh_token } = await client.tokens();
    assert.equal(remembered, 1);
    for (let n = 0; n < 10; n++) {
      assert.equal(await errorOf(await client.refresh(`${refresh_token}x`)), "invalid_grant");
      assert.equal(await errorOf(await client.redeem("made-up")), "invalid_grant");
      await isRefused(await client.call(`${access_token}x`));
    }
    assert.equal(remembered, 1);
    assert.equal((await client.refresh(refresh_token)).status, 200);
    assert.equal((await client.call(access_token)).status, 200);
    assert.equal(remembered, 3);
    await world.close();
  });

  test(
    "[DPOP-8] with nonceKeys the first answer has a nonce, and a code waits for a proof with it",
    using(
      async (client) => {
        const { world } = client;
        const code = await new TestBrowser(world).code();
        const first = await client.redeem(code);
        const nonce = first.headers.get("dpop-nonce") ?? assert.fail("no nonce");
        assert.match(first.headers.get("access-control-expose-headers") ?? "", /DPoP-Nonce/);
        assert.equal(await errorOf(first), "use_dpop_nonce");
        const made = await redeem(world, code, {}, 0, await client.header({ nonce: "1.made-up" }));
        assert.equal(await errorOf(made), "use_dpop_nonce");
        // Every node knows it
        const second = await redeem(world, code, {}, 1, await client.header({ nonce }));
        assert.equal(second.status, 200, await second.clone().text());
        const { access_token, refresh_token }: Tokens = await second.json();
        const call = await world.answer(await client.request(access_token, "who", { nonce }), 1);
        assert.match(await call.text(), /"ada"/);
        await world.clock.advance(3_600_000);
        const late = await refresh(world, refresh_token, {}, 0, await client.header({ nonce }));
        assert.equal(await errorOf(late), "use_dpop_nonce");
      },
      { dpop: { use: "require", nonceKeys: [NONCE_KEY] } },
      2,
    ),
  );
});

describe("clients", () => {
  test(
    "[DPOP-10] a code for a key (dpop_jkt) is of no use with another, or without one",
    using(async (client) => {
      const { world, holder } = client;
      const thief = new BoundClient(world, await KeyHolder.make(TOKEN_URL));
      const code = () => new TestBrowser(world).code({ dpop_jkt: holder.thumbprint });
      assert.equal(await errorOf(await redeem(world, await code())), "invalid_grant");
      assert.equal(await errorOf(await thief.redeem(await code())), "invalid_grant");
      assert.ok(world.reasons.includes("token key-differs"));
      assert.equal((await client.redeem(await code())).status, 200);
      const wrong = await world.send(await authorizePath({ dpop_jkt: "short" }));
      const back = new URL(wrong.headers.get("location") ?? "");
      assert.equal(back.searchParams.get("error"), "invalid_request");
    }),
  );

  test(
    "[DPOP-10] the key of a code outlives a change of the user on the page of the question",
    using(async (client) => {
      const { world, holder } = client;
      const browser = new TestBrowser(world);
      const question = await browser.login({ dpop_jkt: holder.thumbprint });
      const page = await (await browser.get(question.pathname + question.search)).text();
      assert.ok(page.includes(`dpop_jkt=${holder.thumbprint}`), page);
    }),
  );

  test(
    "[DPOP-10] a client that says dpop_bound_access_tokens of itself gets no other tokens",
    using(async (client) => {
      const { world } = client;
      const register = (own: object) =>
        world.send("/register", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ redirect_uris: [REDIRECT], ...own }),
        });
      const registered = await (await register({ dpop_bound_access_tokens: true })).json();
      assert.equal(registered.dpop_bound_access_tokens, true);
      const wrong = await register({ dpop_bound_access_tokens: "yes" });
      assert.equal(await errorOf(wrong), "invalid_client_metadata");
      const other = await (await register({ dpop_bound_access_tokens: false })).json();
      assert.equal(other.dpop_bound_access_tokens, undefined);
      for (const client_id of [registered.client_id, DOCUMENT, "bound"]) {
        const code = await new TestBrowser(world).code({ client_id });
        assert.equal(await errorOf(await redeem(world, code, { client_id })), "invalid_grant");
        const again = await new TestBrowser(world).code({ client_id });
        assert.equal((await client.redeem(again, { client_id })).status, 200);
      }
      assert.ok(world.reasons.includes("token key-missing"));
    }, {
      dpop: "accept",
      clients: [{ id: "bound", redirectUris: [REDIRECT], dpopBound: true }],
      fetch: () =>
        Promise.resolve(Response.json({
          ...{ client_id: DOCUMENT, redirect_uris: [REDIRECT], dpop_bound_access_tokens: true },
        })),
    }),
  );

  test("[DPOP-10] without the option a client isn't told that its tokens are bound", async () => {
    const world = new World();
    const response = await world.send("/register", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ redirect_uris: [REDIRECT], dpop_bound_access_tokens: true }),
    });
    const { client_id, dpop_bound_access_tokens } = await response.json();
    assert.equal(dpop_bound_access_tokens, undefined);
    const code = await new TestBrowser(world).code({ client_id, dpop_jkt: "x" });
    assert.equal((await redeem(world, code, { client_id })).status, 200);
    await world.close();
  });

  test("[DPOP-11] oauth4webapi signs a user in with a nonce, calls, refreshes and revokes", async () => {
    const world = new World({ dpop: { use: "require", nonceKeys: [NONCE_KEY] } });
    try {
      const options = {
        [oauth.customFetch]: (url: string, init: object) =>
          world.send(new URL(url).pathname, init as RequestInit),
      };
      const found = await oauth.discoveryRequest(new URL(ISSUER), {
        algorithm: "oauth2",
        ...options,
      });
      const server = await oauth.processDiscoveryResponse(new URL(ISSUER), found);
      assert.ok(server.dpop_signing_alg_values_supported?.includes("ES256"));
      const client = {
        client_id: "editor",
        [oauth.clockSkew]: Math.round((world.clock.now() - Date.now()) / 1_000),
      };
      const keys = await oauth.generateKeyPair("ES256");
      const dpop = oauth.DPoP(client, keys);
      const verifier = oauth.generateRandomCodeVerifier();
      const url = new URL(server.authorization_endpoint ?? assert.fail());
      url.search = new URLSearchParams({
        ...{ client_id: "editor", redirect_uri: REDIRECT, response_type: "code", state: "s" },
        ...{ scope: "notes:read", resource: RESOURCE, code_challenge_method: "S256" },
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        dpop_jkt: await dpop.calculateThumbprint(),
      }).toString();
      const back = await walk(url, {
        send: async (request) => await wholeAnswer(await world.answer(request)),
        provider: (at) => {
          const query = { state: at.searchParams.get("state") ?? "", code: "x" };
          return new URL(`/signin/callback?${new URLSearchParams(query)}`, ISSUER);
        },
        isBack: (at) => at.href.startsWith(REDIRECT),
      });
      const checked = oauth.validateAuthResponse(server, client, back, "s");
      const redeemed = async () =>
        await oauth.processAuthorizationCodeResponse(
          server,
          client,
          await oauth.authorizationCodeGrantRequest(
            server,
            client,
            oauth.None(),
            checked,
            REDIRECT,
            verifier,
            { DPoP: dpop, additionalParameters: { resource: RESOURCE }, ...options },
          ),
        );
      const error = await redeemed().then(
        () => assert.fail("no nonce was needed"),
        (error) => error,
      );
      assert.ok(oauth.isDPoPNonceError(error), String(error));
      const first = await redeemed();
      assert.equal(first.token_type, "dpop");
      const call = async (token: string) => {
        const request = callRequest(token);
        request.headers.delete("authorization");
        const response = await oauth.protectedResourceRequest(
          token,
          "POST",
          new URL(RESOURCE),
          request.headers,
          await request.text(),
          { DPoP: dpop, ...options },
        );
        assert.match(await response.text(), /"ada"/);
      };
      await call(first.access_token);
      const refreshed = await oauth.processRefreshTokenResponse(
        server,
        client,
        await oauth.refreshTokenGrantRequest(
          server,
          client,
          oauth.None(),
          first.refresh_token ?? "",
          { DPoP: dpop, ...options },
        ),
      );
      await call(refreshed.access_token);
      const revoked = await oauth.revocationRequest(
        server,
        client,
        oauth.None(),
        refreshed.refresh_token ?? "",
        options,
      );
      assert.equal(revoked.status, 200);
    } finally {
      await world.close();
    }
  });

  test(
    "[DPOP-11] a page of another origin may send proofs to the token endpoint",
    using(async ({ world }) => {
      const asked = await world.send("/token", { method: "OPTIONS" });
      assert.match(asked.headers.get("access-control-allow-headers") ?? "", /\bdpop\b/);
    }),
  );

  test("[DPOP-11] the command takes dpop of signIn in its file, and keeps the nonces' keys out of texts", () => {
    const file = (own: object) => ({
      mcpServers: { one: { url: "http://127.0.0.1:9/mcp" } },
      publicUrl: "https://mcp.example",
      signIn: {
        provider: { type: "github", clientId: "x", clientSecret: "a secret of the client" },
        allow: "everybody",
        ...own,
      },
    });
    const read = (own: object) =>
      parseConfig({ file: "mooring.json", text: JSON.stringify(file(own)), env: {} });
    const dpop = { use: "require", nonceKeys: [NONCE_KEY] };
    const clients = [{ id: "editor", redirectUris: [REDIRECT], dpopBound: true }];
    const { config, secrets } = read({ dpop, clients });
    assert.ok(config.signIn);
    assert.deepEqual(signInOptionsOf(config.signIn, config).dpop, dpop);
    assert.ok(secrets.includes(NONCE_KEY));
    assert.throws(() => read({ dpop: "no" }), /accept/);
    assert.throws(() => read({ dpop: { use: "require", store: "x" } }), /store/);
    assert.throws(() => read({ clients }), /Give "dpop"/);
  });
});

const DOCUMENT = "https://app.example/client.json";
