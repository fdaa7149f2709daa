/**
 * `mooring serve` with `signIn` in its file: whole logins of official clients, what is refused, and what is
 * written of each step.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { parseConfig } from "../../src/cli/config/config.ts";
import { allowOf } from "../../src/cli/config/sign_in.ts";
import { startAuthorizationServer } from "../auth/authorization_server.ts";
import { runHere } from "../cli/fake_io.ts";
import { withConfig } from "../cli/program.ts";
import { freePort } from "../support/redis.ts";
import { CLIENTS, Kept, signInWith } from "./official_clients.ts";
import { servingSignIn, startProvider } from "./serving_sign_in.ts";

const v2 = CLIENTS["v2"] ?? assert.fail();

const HELLO = {
  method: "POST",
  headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
  body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
};

describe("mooring serve", () => {
  test("[FRONT-21] an official client signs in at all servers together and at one; tokens are for one URL", () =>
    servingSignIn(async ({ origin, program }) => {
      const tokens = new Map<string, string>();
      for (const path of ["/mcp", "/servers/one"]) {
        const kept = new Kept();
        const client = v2(new URL(path, origin), kept);
        await signInWith(client, kept);
        await client.close();
        const { access_token: token } = kept.kept as { readonly access_token: string };
        tokens.set(path, token);
      }
      for (const [path, token] of tokens) {
        for (const at of ["/mcp", "/servers/one", "/servers/two", "/servers/none"]) {
          const headers = { ...HELLO.headers, authorization: `Bearer ${token}` };
          const response = await fetch(new URL(at, origin), { ...HELLO, headers });
          await response.body?.cancel();
          assert.equal(
            response.status === 401,
            at !== path,
            `${path} at ${at}: ${response.status}`,
          );
        }
      }
      // Who has no token can't tell which servers there are.
      const texts: string[] = [];
      for (const name of ["one", "none"]) {
        const response = await fetch(new URL(`/servers/${name}`, origin), HELLO);
        const metadata = await fetch(
          new URL(`/.well-known/oauth-protected-resource/servers/${name}`, origin),
        );
        const texts1 = [
          response.status,
          response.headers.get("www-authenticate"),
          await response.text(),
          await metadata.text(),
        ].join("\n");
        texts.push(texts1.replaceAll(`servers/${name}`, "servers/NAME"));
      }
      assert.equal(texts[0], texts[1]);
      assert.match(program.err, /"event":"sign-in","step":"token","outcome":"passed"/);
      for (const token of tokens.values()) assert.ok(!program.err.includes(token));
    }));

  test("[FRONT-34] a login goes on after a restart, with a secret and without one", async () => {
    const data = await mkdtemp(join(tmpdir(), "signin-data-"));
    const port = await freePort();
    const provider = await startProvider(`http://127.0.0.1:${port}`);
    const kept = new Kept();
    const client = v2(new URL("/mcp", `http://127.0.0.1:${port}`), kept);
    try {
      await servingSignIn(async () => {
        await signInWith(client, kept);
        await client.close();
      }, { data, port, provider });
      // Then with keys for the first time: what the folder's own key has sealed is still opened.
      for (const keys of [undefined, ["the secret of the operator, with 40 chars"]]) {
        const signIn = keys === undefined ? {} : { keys };
        await servingSignIn(async () => {
          kept.kept = { ...kept.kept as object, access_token: "expired" };
          await client.connect();
          await client.close();
          const { access_token: token } = kept.kept as { readonly access_token: string };
          assert.notEqual(token, "expired");
        }, { data, port, provider, signIn });
      }
    } finally {
      await provider.close();
      await rm(data, { recursive: true });
    }
  });

  test("[FRONT-21] rates and host names hold at the paths of sign-in", () =>
    servingSignIn(async ({ origin }) => {
      const statuses: number[] = [];
      for (let asked = 0; asked < 4; asked++) {
        const response = await fetch(new URL("/jwks", origin));
        statuses.push(response.status);
        await response.body?.cancel();
      }
      assert.deepEqual(statuses, [200, 200, 200, 429]);
      const { promise, resolve } = Promise.withResolvers<number | undefined>();
      const { request } = await import("node:http");
      request(new URL("/jwks", origin), { headers: { host: "evil.example" } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).end();
      assert.equal(await promise, 403);
    }, { rateLimit: { perSecond: 0.000_1, burst: 3 } }));

  test("[FRONT-23] each step is a line of the log and of the audit trail, and counted", () =>
    withConfig({}, async (file) => {
      const audit = join(dirname(file), "audit.log");
      const metrics = `127.0.0.1:${await freePort()}`;
      let secret = "";
      await servingSignIn(async ({ origin }) => {
        const kept = new Kept();
        const client = v2(new URL("/mcp", origin), kept);
        await signInWith(client, kept);
        await client.close();
        secret = (kept.kept as { readonly refresh_token: string }).refresh_token;
        const text = await (await fetch(`http://${metrics}/metrics`)).text();
        for (const [step, reason] of [["login", "signed-in"], ["token", "issued"]]) {
          const line =
            `mooring_sign_in_steps_total{step="${step}",outcome="passed",reason="${reason}"} 1`;
          assert.ok(text.includes(line), text);
        }
      }, { audit, metrics });
      const lines = (await readFile(audit, "utf8")).trim().split("\n").map((line) =>
        JSON.parse(line)
      );
      const steps = lines.filter(({ act }) => act === "sign-in").map(({ step }) => step);
      for (const step of ["register", "authorize", "login", "consent", "token"]) {
        assert.ok(steps.includes(step), `${step} of ${steps}`);
      }
      const { user } = lines.find(({ step }) => step === "token");
      assert.equal(user, "ada");
      assert.ok(secret !== "" && !JSON.stringify(lines).includes(secret));
    }));
});

const PROVIDER = { type: "oidc", issuer: "https://login.example", clientId: "mooring" };

/** The complaint about a configuration with this sign-in. */
function complaint(signIn: object, more: object = {}): string {
  const text = JSON.stringify({
    mcpServers: {},
    publicUrl: "https://mcp.example",
    signIn,
    ...more,
  });
  try {
    parseConfig({ file: "m.json", text, env: {} });
    return "";
  } catch (error) {
    assert.ok(error instanceof Error);
    assert.doesNotMatch(error.message, /s3cret/);
    return error.message.replaceAll(/m\.json:\d+:\d+: /g, "");
  }
}

describe("the key signIn", () => {
  const token = { tokens: [{ id: "ada", token: "0123456789abcdef" }] };
  const google = { type: "google", clientId: "a", clientSecret: "s3cret-0123456789" };
  const refused: [object, object, RegExp][] = [
    [{ provider: PROVIDER }, { auth: token }, /^signIn: Give either signIn or auth/],
    [{ provider: PROVIDER }, { publicUrl: undefined }, /^publicUrl: Give the https URL/],
    [
      { provider: PROVIDER },
      { publicUrl: "http://mcp.example" },
      /^signIn: Use https for "issuer"/,
    ],
    [
      { provider: PROVIDER, allowInsecure: true },
      { publicUrl: "http://mcp.example" },
      /^signIn: Use https for "issuer"/,
    ],
    [
      { provider: PROVIDER, allowInsecure: true },
      { publicUrl: undefined, host: "0.0.0.0" },
      /^publicUrl: Give the https URL/,
    ],
    [
      { provider: PROVIDER, allowInsecure: true },
      { publicUrl: undefined, port: 0 },
      /^port: Give a port/,
    ],
    [{ provider: PROVIDER }, { publicUrl: "https://mcp.example/a" }, /^publicUrl: Leave the path/],
    [{ provider: PROVIDER }, { path: "/token" }, /^path: .* sign-in is at \/token/],
    [{ provider: google }, {}, /^signIn\.allow: .*everybody at Google could/],
    [{ provider: { ...google, type: "github" } }, {}, /^signIn\.allow: .*GitHub/],
    [
      { provider: { ...google, type: "entra", tenant: "common" } },
      {},
      /^signIn\.allow: .*Microsoft/,
    ],
    [{ provider: { ...google, type: "gogle" } }, {}, /^signIn\.provider\.type: Give one of oidc/],
    [
      { provider: { ...google, domain: "x" }, allow: "everybody" },
      {},
      /^signIn\.provider: Unknown/,
    ],
    [{ provider: { ...PROVIDER, fetch: "x" } }, {}, /^signIn\.provider: Leave "fetch" out/],
    [{ provider: PROVIDER, allow: {} }, {}, /^signIn\.allow: Give emails/],
    [{ provider: PROVIDER, scopes: ["a b"] }, {}, /^signIn: Give scopes without spaces/],
    [{ provider: PROVIDER, alow: "everybody" }, {}, /^signIn\.alow: .*"allow"/],
    [
      { provider: PROVIDER, clients: [{ id: "a", redirectUris: ["javascript:x"] }] },
      {},
      /^signIn: /,
    ],
    [{ provider: PROVIDER, keys: ["s3cret-short"] }, {}, /^signIn\.keys\[0\]: Give keys of 32/],
  ];
  test("[FRONT-22] what can't hold is refused by name", () => {
    for (const [signIn, more, message] of refused) {
      assert.match(complaint(signIn, more), message, JSON.stringify([signIn, more]));
    }
    for (const allow of ["everybody", { domains: ["example.com"] }]) {
      assert.equal(complaint({ provider: google, allow }), "");
    }
    assert.equal(complaint({ provider: { ...google, hostedDomain: "example.com" } }), "");
    assert.equal(
      complaint({
        provider: PROVIDER,
        scopes: { mcp: "Use it" },
        extraScopes: ["more"],
        clients: [{ id: "editor", redirectUris: ["https://client.example/back"] }],
        registration: false,
        documents: true,
        keys: ["the secret of all nodes in the tests"],
        lifetimes: { accessMs: "60000" },
      }),
      "",
    );
  });

  test("[FRONT-22] allow: emails, domains and groups let in whom they name, and nobody else", async () => {
    const may = (allow: object, claims: object, type = "oidc") => {
      const { config } = parseConfig({
        file: "m.json",
        text: JSON.stringify({
          mcpServers: {},
          publicUrl: "https://mcp.example",
          signIn: { provider: { ...type === "oidc" ? PROVIDER : google, type }, allow },
        }),
        env: {},
      });
      const rule = config.signIn && allowOf(config.signIn);
      const login = { claims: { ...claims }, subject: "1", issuer: "https://login.example" };
      return rule?.(login);
    };
    const lists = { emails: ["Ada@example.com"], domains: ["example.org"], groups: ["admins"] };
    assert.equal(await may(lists, { email: "ada@EXAMPLE.com" }), true);
    assert.equal(await may(lists, { email: "bob@example.org" }), true);
    assert.equal(await may(lists, { groups: ["admins"] }), true);
    for (
      const claims of [
        {},
        { email: "bob@example.com" },
        { email: "ada@example.com@evil.example" },
        { email: "bob@sub.example.org" },
        { email: "bob@evilexample.org" },
        { email: "@example.org" },
        { unverified_email: "ada@example.com" },
        { email: ["ada@example.com"] },
        { groups: ["Admins", ["admins"]] },
        { teams: ["admins"] },
      ]
    ) assert.equal(await may(lists, claims), false, JSON.stringify(claims));
    assert.equal(await may({ groups: ["acme/ops"] }, { teams: ["acme/ops"] }, "github"), true);
    assert.equal(await may({ groups: ["acme"] }, { orgs: ["acme"] }, "github"), true);
    assert.equal(await may({ groups: ["acme"] }, { groups: ["acme"] }, "github"), false);
  });

  test("[FRONT-22] check says whether the provider answers", async () => {
    const provider = await startAuthorizationServer({ scope: "", format: "opaque", ttlS: 60 });
    const signIn = {
      provider: { type: "oidc", issuer: provider.issuer, clientId: "editor" },
      allowInsecure: true,
    };
    await withConfig({ mcpServers: {}, signIn }, async (file) => {
      const there = await runHere(["check", file, "--connect"]);
      assert.match(there.out, /Auth {5}users sign in with 127\.0\.0\.1/);
      assert.match(there.out, /^ok {4} signIn: 127\.0\.0\.1:\d+: answers$/m);
      assert.equal(there.code, 0);
      await provider.close();
      const away = await runHere(["check", file, "--connect"]);
      assert.match(away.out, /^FAILED signIn: .*Users can't sign in while the provider is away/m);
      assert.equal(away.code, 1);
    });
  });
});
