/**
 * What attackers try at an authorization server (RFC 9700), a line each.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { memoryStore } from "../../src/cluster/mod.ts";
import { KeyHolder } from "../support/key_holder.ts";
import {
  authorizePath,
  callRequest,
  challengeOf,
  ISSUER,
  redeem,
  REDIRECT,
  refresh,
  RESOURCE,
  TestBrowser,
  type Tokens,
  tokensOf,
  VERIFIER,
  World,
  type WorldOptions,
} from "./front.ts";
import { fieldsOf } from "./walk.ts";

function using(
  run: (world: World) => Promise<void>,
  options: WorldOptions = {},
): () => Promise<void> {
  return async () => {
    const world = new World(options);
    try {
      await run(world);
    } finally {
      await world.close();
    }
  };
}

/** Checks that nobody is sent anywhere. */
async function staysHere(response: Response, what: string): Promise<void> {
  assert.equal(response.headers.get("location"), null, what);
  assert.ok(response.status >= 400, what);
  const page = await response.text();
  assert.equal(page.includes("evil"), false, what);
}

describe("redirect addresses", () => {
  const SPELLINGS = [
    "https://evil.example/callback",
    "https://client.example/callback/",
    "https://client.example/callback?x=1",
    "https://client.example/callback#x",
    "https://client.example/callback/../evil",
    "https://client.example/Callback",
    "https://CLIENT.example/callback",
    "https://client.example:443/callback",
    "https://client.example:8443/callback",
    "http://client.example/callback",
    "https://client.example./callback",
    "https://client.example@evil.example/callback",
    "https://evil.example/?https://client.example/callback",
    "https://client.example%2eevil.example/callback",
    "https://client.example\\@evil.example/callback",
    "https:client.example/callback",
    "//client.example/callback",
    "/callback",
    "javascript:alert(1)//https://client.example/callback",
    "data:text/html,https://client.example/callback",
    " https://client.example/callback",
    "https://client.example/callback%00",
  ];
  test(
    `[FRONT-18] ${SPELLINGS.length} spellings of another address send nobody anywhere`,
    using(async (world) => {
      for (const redirect_uri of SPELLINGS) {
        const response = await world.send(await authorizePath({ redirect_uri }));
        await staysHere(response, redirect_uri);
      }
      await staysHere(await world.send(await authorizePath({ client_id: "evil" })), "client");
      await staysHere(await world.send(await authorizePath({ redirect_uri: undefined })), "none");
    }),
  );

  test(
    "[FRONT-18] parameters that are given twice are refused",
    using(async (world) => {
      for (const name of ["redirect_uri", "client_id", "state", "code_challenge", "resource"]) {
        const response = await world.send(
          `${await authorizePath()}&${name}=https%3A%2F%2Fevil.example`,
        );
        const { host } = new URL(response.headers.get("location") ?? "https://nowhere.example");
        assert.notEqual(host, "evil.example", name);
        assert.notEqual(host, "login.example", name);
      }
    }),
  );
});

describe("requests", () => {
  const WRONG: Readonly<Record<string, readonly [Record<string, string | undefined>, string]>> = {
    "no challenge": [{ code_challenge: undefined }, "invalid_request"],
    "a plain challenge": [{ code_challenge_method: "plain" }, "invalid_request"],
    "a challenge without a method": [{ code_challenge_method: undefined }, "invalid_request"],
    "a challenge that is no hash": [{ code_challenge: "short" }, "invalid_request"],
    "an implicit grant": [{ response_type: "token" }, "unsupported_response_type"],
    "a resource of another server": [{ resource: "https://other.example/mcp" }, "invalid_target"],
    "scopes that there aren't": [{ scope: "admin" }, "invalid_scope"],
    "a request object": [{ request: "x" }, "request_not_supported"],
    "an address of a request object": [
      { request_uri: "https://a.example" },
      "request_uri_not_supported",
    ],
    "a form post": [{ response_mode: "form_post" }, "invalid_request"],
    "no question": [{ prompt: "none" }, "interaction_required"],
  };
  for (const [what, [changes, error]] of Object.entries(WRONG)) {
    test(
      `[FRONT-18] ${what} is refused at the client's own address, with the issuer`,
      using(async (world) => {
        const response = await world.send(await authorizePath(changes));
        const back = new URL(response.headers.get("location") ?? "");
        assert.equal(back.origin + back.pathname, REDIRECT);
        assert.equal(back.searchParams.get("error"), error);
        assert.equal(back.searchParams.get("iss"), ISSUER);
        assert.equal(back.searchParams.get("state"), "state of the client");
      }),
    );
  }
});

describe("open redirects", () => {
  test(
    "[FRONT-18] an error takes nobody to a client that anybody can register: a page has the link",
    using(async (world) => {
      const uri = "https://anybody.example/callback";
      const response = await world.send("/register", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ client_name: "a", redirect_uris: [uri] }),
      });
      const { client_id } = await response.json();
      const asked = { client_id, redirect_uri: uri };
      const wrong = [
        { scope: "admin" },
        { code_challenge_method: "plain" },
        { prompt: "none" },
        { resource: "https://other.example/mcp" },
      ];
      for (const change of wrong) {
        const page = await world.send(await authorizePath({ ...asked, ...change }));
        assert.equal(page.headers.get("location"), null);
        assert.equal(page.status, 400);
        assert.match(await page.text(), /<a href="https:\/\/anybody\.example\/callback\?/);
      }
      for (const fault of ["denied", "invalid", "unavailable"] as const) {
        world.provider.fault = fault;
        const browser = new TestBrowser(world);
        const page = await browser.get(await browser.begin(asked));
        assert.equal(page.headers.get("location"), null, fault);
        await page.text();
      }
    }),
  );
});

/** What well-known clients publish of themselves, and where they are answered. */
const PUBLISHED: Readonly<Record<string, readonly [string, object, readonly string[]]>> = {
  "ChatGPT": [
    "https://chatgpt.com/oauth/client.json",
    {
      token_endpoint_auth_method: "private_key_jwt",
      jwks_uri: "https://chatgpt.com/oauth/jwks.json",
      redirect_uris: ["https://chatgpt.com/connector_platform_oauth_redirect"],
    },
    ["https://chatgpt.com/connector_platform_oauth_redirect"],
  ],
  "Claude": [
    "https://claude.ai/oauth/mcp-oauth-client-metadata",
    {
      token_endpoint_auth_method: "none",
      grant_types: [
        "authorization_code",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
      ],
      redirect_uris: ["https://claude.ai/api/mcp/auth_callback"],
    },
    ["https://claude.ai/api/mcp/auth_callback"],
  ],
  "Claude Code": [
    "https://claude.ai/oauth/claude-code-client-metadata",
    {
      token_endpoint_auth_method: "none",
      redirect_uris: ["http://localhost/callback", "http://127.0.0.1/callback"],
    },
    ["http://localhost:54545/callback", "http://127.0.0.1:40001/callback"],
  ],
  "Visual Studio Code": [
    "https://vscode.dev/oauth/client-metadata.json",
    {
      token_endpoint_auth_method: "none",
      application_type: "native",
      grant_types: [
        "authorization_code",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
      ],
      redirect_uris: ["http://127.0.0.1:33418/", "https://vscode.dev/redirect"],
    },
    ["http://127.0.0.1:33418/", "http://127.0.0.1:50123/", "https://vscode.dev/redirect"],
  ],
};

describe("clients that are well known", () => {
  for (const [name, [id, own, places]] of Object.entries(PUBLISHED)) {
    const metadata = { client_id: id, client_name: name, response_types: ["code"], ...own };
    const read: WorldOptions["fetch"] = (url) => {
      assert.equal(url.href, id);
      return Promise.resolve(Response.json(metadata));
    };
    test(
      `[FRONT-41] ${name} signs in by the document that it publishes`,
      using(async (world) => {
        for (const redirect_uri of places) {
          const code = await new TestBrowser(world).code({ client_id: id, redirect_uri });
          const first = await redeem(world, code, { client_id: id, redirect_uri });
          assert.equal(first.status, 200, await first.clone().text());
          const { refresh_token }: Tokens = await first.json();
          assert.equal((await refresh(world, refresh_token, { client_id: id })).status, 200);
        }
      }, { fetch: read }),
    );
  }

  test("[FRONT-41] one whose document can't be read may be named in the options by its address", async () => {
    const [id, , [redirect_uri]] = PUBLISHED["Claude"] ?? assert.fail();
    assert.ok(redirect_uri !== undefined);
    const challenged: WorldOptions["fetch"] = () =>
      Promise.resolve(new Response("<html>", { status: 403 }));
    const world = new World({
      fetch: challenged,
      clients: [{ id, name: "Claude", redirectUris: [redirect_uri] }],
    });
    const code = await new TestBrowser(world).code({ client_id: id, redirect_uri });
    assert.equal((await redeem(world, code, { client_id: id, redirect_uri })).status, 200);
    await world.close();
    const without = new World({ fetch: challenged });
    const page = await without.send(await authorizePath({ client_id: id, redirect_uri }));
    assert.equal(page.status, 400);
    assert.match(await page.text(), /has status 403/);
    await without.close();
  });
});

describe("documents of clients", () => {
  const INNER = [
    ...["https://127.0.0.1/c", "https://127.1/c", "https://2130706433/c", "https://0x7f000001/c"],
    ...["https://0177.0.0.1/c", "https://0/c", "https://10.0.0.1/c", "https://169.254.169.254/c"],
    ...["https://[::1]/c", "https://[::ffff:127.0.0.1]/c", "https://[::ffff:7f00:1]/c"],
    ...["https://[64:ff9b::a00:1]/c", "https://[fd00:ec2::254]/c", "https://localhost/c"],
    ...["https://metadata.google.internal/c", "http://10.0.0.1/c", "http://127.0.0.1/c"],
  ];
  for (const allowInsecure of [false, true]) {
    test(
      `[FRONT-35] ${INNER.length} spellings of inner addresses as client_id are refused ${
        allowInsecure ? "with" : "without"
      } allowInsecure, and tell nothing about them`,
      using(async (world) => {
        const answers = new Set<string>();
        for (const client_id of INNER) {
          // Over http: on loopback, a document may be read in development: nothing listens there
          if (allowInsecure && client_id === "http://127.0.0.1/c") continue;
          const response = await world.send(await authorizePath({ client_id }));
          assert.equal(response.headers.get("location"), null, client_id);
          assert.equal(response.status, 400, client_id);
          const page = await response.text();
          answers.add(
            /<p>(.*?)<\/p>/.exec(page)?.[1]?.replace(new URL(client_id).host, "HOST") ?? "",
          );
        }
        for (const answer of answers) assert.doesNotMatch(answer, /refused|ECONN|status/i);
        assert.deepEqual(world.provider.finishes, 0);
      }, { allowInsecure }),
    );
  }

  test(
    "[FRONT-35] one that redirects is not followed, and no other document is read in its place",
    async () => {
      const read: string[] = [];
      const world = new World({
        fetch: (url) => {
          read.push(url.href);
          const headers = { location: "https://10.0.0.1/c" };
          return Promise.resolve(new Response(null, { status: 302, headers }));
        },
      });
      const response = await world.send(
        await authorizePath({ client_id: "https://moved.example/client.json" }),
      );
      assert.equal(response.status, 400);
      assert.match(await response.text(), /redirects are not followed/);
      assert.deepEqual(read, ["https://moved.example/client.json"]);
      await world.close();
    },
  );
});

describe("codes", () => {
  const WRONG: Readonly<Record<string, Record<string, string>>> = {
    "another client": { client_id: "other" },
    "another redirect address": { redirect_uri: "https://client.example/other" },
    "no redirect address": { redirect_uri: "" },
    "another resource": { resource: "https://other.example/mcp" },
    "another verifier": { code_verifier: "w".repeat(43) },
    "no verifier": { code_verifier: "" },
    "the challenge as the verifier": { code_verifier: "challenge" },
  };
  for (const [what, change] of Object.entries(WRONG)) {
    test(
      `[FRONT-18] a stolen code with ${what} is refused, and used up`,
      using(async (world) => {
        const code = await new TestBrowser(world).code();
        const changes = what.startsWith("the challenge")
          ? { code_verifier: await challengeOf(VERIFIER) }
          : change;
        const response = await redeem(world, code, changes);
        assert.equal(response.status, 400);
        assert.equal((await response.json()).error, "invalid_grant");
        assert.equal((await redeem(world, code)).status, 400);
      }),
    );
  }

  test(
    "[FRONT-18] a code of one login isn't good for the verifier of another",
    using(async (world) => {
      const challenge = await challengeOf("w".repeat(43));
      const mine = await new TestBrowser(world).code({ code_challenge: challenge });
      world.provider.user = "bob";
      const theirs = await new TestBrowser(world).code();
      assert.equal((await redeem(world, theirs, { code_verifier: "w".repeat(43) })).status, 400);
      assert.equal((await redeem(world, mine, { code_verifier: "w".repeat(43) })).status, 200);
    }),
  );
});

describe("the browser", () => {
  test(
    "[FRONT-19] the provider's answer is taken from the browser that began, once",
    using(async (world) => {
      const [mine, theirs] = [new TestBrowser(world), new TestBrowser(world)];
      const callback = await mine.begin();
      await staysHere(await theirs.get(callback), "another browser");
      const own = await mine.get(callback);
      assert.equal(own.status, 303);
      await staysHere(await mine.get(callback), "twice");
    }),
  );

  test(
    "[FRONT-19] states of other logins, made up and empty ones are refused",
    using(async (world) => {
      const browser = new TestBrowser(world);
      const first = new URL(await browser.begin(), ISSUER).searchParams.get("state") ?? "";
      const second = new URL(await browser.begin(), ISSUER).searchParams.get("state") ?? "";
      const mixed = `${first.split(".")[0]}.${second.split(".")[1]}`;
      for (const state of [mixed, "", "x", `${first}x`, first.toUpperCase()]) {
        const path = `/signin/callback?state=${encodeURIComponent(state)}&code=x`;
        await staysHere(await browser.get(path), state);
        assert.equal(world.provider.finishes, 0, state);
      }
    }),
  );

  test(
    "[FRONT-19] the question is shown and answered in its own browser, with its token, once, from its own page",
    using(async (world) => {
      const [mine, theirs] = [new TestBrowser(world), new TestBrowser(world)];
      const question = await mine.login();
      const path = question.pathname + question.search;
      await staysHere(await theirs.get(path), "another browser");
      const fields = fieldsOf(await (await mine.get(path)).text(), "allow");
      await staysHere(await theirs.post(question.pathname, fields), "another browser's answer");
      await staysHere(await mine.post(question.pathname, { ...fields, token: "x" }), "no token");
      for (
        const headers of [
          { origin: "https://evil.example" },
          { "sec-fetch-site": "cross-site" },
          { "sec-fetch-site": "same-site" },
        ]
      ) {
        await staysHere(
          await mine.post(question.pathname, fields, 0, headers),
          JSON.stringify(headers),
        );
      }
      const cookies = new Map(mine.cookies);
      assert.equal((await mine.post(question.pathname, fields)).status, 303);
      for (const [name, value] of cookies) mine.cookies.set(name, value);
      await staysHere(await mine.post(question.pathname, fields), "twice");
    }),
  );

  test(
    "[FRONT-19] no page can be framed, runs a script, or is kept; cookies are the host's own",
    using(async (world) => {
      const browser = new TestBrowser(world);
      const begun = await browser.get(await authorizePath());
      for (const cookie of begun.headers.getSetCookie()) {
        assert.match(cookie, /^__Host-/);
        assert.match(cookie, /; Secure/);
        assert.match(cookie, /; HttpOnly/);
        assert.match(cookie, /; SameSite=Lax/);
      }
      const question = await browser.login();
      const pages = [
        await browser.get(question.pathname + question.search),
        await world.send(await authorizePath({ client_id: "evil" })),
      ];
      for (const { headers } of pages) {
        const policy = headers.get("content-security-policy") ?? "";
        assert.match(policy, /default-src 'none'/);
        assert.match(policy, /frame-ancestors 'none'/);
        assert.doesNotMatch(policy, /script|unsafe/);
        assert.equal(headers.get("x-frame-options"), "DENY");
        assert.equal(headers.get("referrer-policy"), "no-referrer");
        assert.equal(headers.get("cache-control"), "no-store");
      }
    }),
  );

  test(
    "[FRONT-19] a login that is left alone expires",
    using(async (world) => {
      const browser = new TestBrowser(world);
      const callback = await browser.begin();
      await world.clock.advance(600_000);
      await staysHere(await browser.get(callback), "late");
    }),
  );
});

describe("the confused deputy", () => {
  async function register(world: World, name: string, uri: string): Promise<string> {
    const response = await world.send("/register", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ client_name: name, redirect_uris: [uri] }),
    });
    assert.equal(response.status, 201, await response.clone().text());
    return (await response.json()).client_id;
  }

  test(
    "[FRONT-3] a registered twin of a client that the user has allowed is asked for, and shown as unverified",
    using(async (world) => {
      await tokensOf(world);
      const twin = await register(world, "The Editor", "https://evil-twin.example/callback");
      const browser = new TestBrowser(world);
      const question = await browser.login({
        client_id: twin,
        redirect_uri: "https://evil-twin.example/callback",
      });
      assert.equal(question.pathname, "/signin/consent");
      const page = await (await browser.get(question.pathname + question.search)).text();
      assert.match(page, /Not verified/);
      assert.match(page, /evil-twin\.example/);
    }),
  );

  test(
    "[FRONT-3] what a client calls itself is text, whatever is in it",
    using(async (world) => {
      const name = '<script>alert(1)</script>"\u202Eevil';
      const id = await register(world, name, "https://odd.example/callback");
      const browser = new TestBrowser(world);
      const question = await browser.login({
        client_id: id,
        redirect_uri: "https://odd.example/callback",
      });
      const page = await (await browser.get(question.pathname + question.search)).text();
      assert.doesNotMatch(page, /<script>|\u202E/);
    }),
  );

  test(
    "[FRONT-3] so is one that is reached by another spelling of the user's computer",
    using(async (world) => {
      for (
        const host of [
          "0.0.0.0",
          "[::ffff:7f00:1]",
          "app.localhost",
          "localhost.",
          "127.0.0.2",
          "[::]",
        ]
      ) {
        const redirect_uri = `https://${host}/callback`;
        const id = await register(world, "CLI", redirect_uri);
        for (let times = 0; times < 2; times++) {
          const browser = new TestBrowser(world);
          const question = await browser.login({ client_id: id, redirect_uri });
          assert.equal(question.pathname, "/signin/consent", host);
          await browser.answer(question);
        }
      }
    }),
  );

  test(
    "[FRONT-3] a program on the user's computer is asked for each time",
    using(async (world) => {
      const id = await register(world, "CLI", "http://127.0.0.1/callback");
      for (let times = 0; times < 2; times++) {
        const browser = new TestBrowser(world);
        const redirect_uri = `http://127.0.0.1:${40_000 + times}/callback`;
        const question = await browser.login({ client_id: id, redirect_uri });
        assert.equal(question.pathname, "/signin/consent");
        const back = await browser.answer(question);
        assert.equal(back.port, String(40_000 + times));
      }
    }),
  );
});

describe("tokens", () => {
  test(
    "[FRONT-18] of another resource, another issuer, with another type, key or algorithm are refused",
    using(async (world) => {
      const other = "https://mcp.example/other";
      const two = new World({ resource: [RESOURCE, other] });
      const code = await new TestBrowser(two).code({ resource: other });
      const issued: Tokens = await (await redeem(two, code, { resource: other })).json();
      assert.equal((await two.call(issued.access_token)).status, 401);
      await two.close();
      // Its own store, and so its own keys.
      const elsewhere = new World();
      const foreign = (await tokensOf(elsewhere)).access_token;
      assert.equal((await world.call(foreign)).status, 401);
      await elsewhere.close();
      const [head = "", body = "", signature = ""] = (await tokensOf(world)).access_token.split(
        ".",
      );
      const none = btoa('{"alg":"none","typ":"at+jwt"}').replaceAll("=", "");
      const claims = JSON.parse(atob(body.replaceAll("-", "+").replaceAll("_", "/")));
      const changed = btoa(JSON.stringify({ ...claims, sub: "root" })).replaceAll("=", "");
      for (
        const token of [
          `${none}.${body}.`,
          `${head}.${changed}.${signature}`,
          `${head}.${body}.`,
          "x",
          "a.b.c",
        ]
      ) {
        assert.equal((await world.call(token)).status, 401, token);
      }
    }),
  );

  test(
    "[FRONT-18] refresh tokens of another client, made up, or changed are refused, and end nothing",
    using(async (world) => {
      const { refresh_token } = await tokensOf(world);
      const [user = "", id = "", turn = "", proof = ""] = refresh_token.split(".");
      const made = [`${user}.${id}.${turn}.${"A".repeat(43)}`, `${user}.${id}.5.${proof}`, "x", ""];
      for (const token of made) assert.equal((await refresh(world, token)).status, 400, token);
      assert.equal((await refresh(world, refresh_token, { client_id: "other" })).status, 400);
      assert.equal((await refresh(world, refresh_token, { scope: "notes:write" })).status, 400);
      const next: Tokens = await (await refresh(world, refresh_token)).json();
      assert.equal((await world.call(next.access_token)).status, 200);
    }),
  );

  test(
    "[FRONT-18] an unknown grant, a body of another type and a large one are refused",
    using(async (world) => {
      assert.equal(
        (await world.form("/token", { grant_type: "password", client_id: "editor" })).status,
        400,
      );
      const json = await world.send("/token", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      });
      assert.equal(json.status, 400);
      const large = await world.form("/token", { grant_type: "x".repeat(20_000), client_id: "a" });
      assert.equal(large.status, 413);
      assert.equal((await world.send("/token")).status, 405);
    }),
  );
});

/** How a thief without the key uses what it has stolen, and the status that it gets. */
const THEFTS: Readonly<
  Record<
    string,
    readonly [number, (stolen: Tokens, thief: KeyHolder, world: World) => Promise<Request>]
  >
> = {
  "an access token as a Bearer token": [401, async ({ access_token }) => callRequest(access_token)],
  "an access token without a proof": [401, async ({ access_token }) => {
    const request = callRequest(access_token);
    request.headers.set("authorization", `DPoP ${access_token}`);
    return request;
  }],
  "an access token with a proof of another key": [401, async ({ access_token }, thief, world) => {
    return callRequest(access_token, "who", await thief.proof(access_token, world.clock));
  }],
  "a refresh token without a proof": [400, async ({ refresh_token }) => refreshOf(refresh_token)],
  "a refresh token with a proof of another key": [400, async ({ refresh_token }, thief, world) => {
    const dpop = await thief.proof(undefined, world.clock, { htu: `${ISSUER}/token` });
    return refreshOf(refresh_token, { dpop });
  }],
};

function refreshOf(refresh_token: string, headers: Record<string, string> = {}): Request {
  const form = { grant_type: "refresh_token", client_id: "editor", refresh_token };
  return new Request(`${ISSUER}/token`, {
    method: "POST",
    headers,
    body: new URLSearchParams(form),
  });
}

describe("tokens that are bound to a key", () => {
  for (const [what, [status, steal]] of Object.entries(THEFTS)) {
    test(`[DPOP-9] ${what} is refused: here, at another node, after a restart, and without the option`, async () => {
      const store = memoryStore();
      const world = new World({ dpop: "accept", store }, 2);
      const without = new World({ clock: world.clock, store });
      const holder = await KeyHolder.make(`${ISSUER}/token`);
      const thief = await KeyHolder.make(RESOURCE);
      try {
        const proof = () => holder.proof(undefined, world.clock);
        const code = await new TestBrowser(world).code();
        const response = await redeem(world, code, {}, 0, { dpop: await proof() });
        assert.equal(response.status, 200, await response.clone().text());
        const stolen: Tokens = await response.json();
        world.add();
        const places = [[world, 0], [world, 1], [world, 2], [without, 0]] as const;
        for (const [place, node] of places) {
          const refused = await place.answer(await steal(stolen, thief, world), node);
          assert.equal(refused.status, status, `${node}: ${await refused.clone().text()}`);
          const text = await refused.text();
          assert.equal(text.includes(stolen.access_token), false);
          assert.equal(text.includes(stolen.refresh_token), false);
        }
        // Its owner's login goes on
        const token = stolen.access_token;
        const own = await holder.proof(token, world.clock, { htu: RESOURCE });
        const call = await world.answer(callRequest(token, "who", own), 2);
        assert.match(await call.text(), /"ada"/);
        const { refresh_token } = stolen;
        const next = await refresh(world, refresh_token, {}, 1, { dpop: await proof() });
        assert.equal(next.status, 200, await next.clone().text());
        assert.equal(JSON.stringify(world.events).includes(refresh_token), false);
      } finally {
        await world.close();
        await without.close();
      }
    });
  }
});

describe("slow senders", () => {
  test(
    "[FRONT-19] a body that doesn't arrive is given up in time, on every route that reads one",
    using(async (world) => {
      for (
        const [path, type] of [
          ["/token", "application/x-www-form-urlencoded"],
          ["/revoke", "application/x-www-form-urlencoded"],
          ["/register", "application/json"],
          ["/signin/consent", "application/x-www-form-urlencoded"],
        ] as const
      ) {
        const body = new ReadableStream<Uint8Array>({
          start: (controller) => controller.enqueue(new TextEncoder().encode("a")),
        });
        const init = { method: "POST", headers: { "content-type": type }, body, duplex: "half" };
        const pending = world.send(path, init as RequestInit);
        // The timer is there once the body is being read.
        for (let turns = 0; turns < 50; turns++) await world.clock.advance(500);
        const response = await pending;
        assert.equal(response.status, 408, path);
        await response.text();
      }
    }),
  );
});

describe("floods", () => {
  test(
    "[FRONT-53] of registrations get 429, and leave what is registered",
    using(async (world) => {
      const statuses: number[] = [];
      for (let times = 0; times < 30; times++) {
        const response = await world.send("/register", {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ client_name: "a", redirect_uris: ["https://a.example/cb"] }),
        });
        statuses.push(response.status);
        await response.text();
      }
      assert.equal(statuses[0], 201);
      assert.equal(statuses.at(-1), 429);
      await tokensOf(world);
    }),
  );

  test(
    "[FRONT-19] of half logins are kept in no store, and a browser keeps three at most",
    using(async (world) => {
      const browser = new TestBrowser(world);
      for (let times = 0; times < 10; times++) await browser.begin();
      assert.ok(browser.cookies.size <= 3, String(browser.cookies.size));
      const { keys } = await world.store.records!(world.clock).list(""); // this store has records
      assert.deepEqual(keys.filter((key) => /question|login/.test(key)), []);
    }),
  );

  test(
    "[FRONT-19] of questions push out a user's oldest",
    using(async (world) => {
      for (let times = 0; times < 30; times++) await new TestBrowser(world).login();
      const { keys } = await world.store.records!(world.clock).list(""); // this store has records
      assert.ok(keys.filter((key) => key.includes("question:")).length <= 20);
    }),
  );
});
