/**
 * `oauth.grant` in the file: what is refused, what `mooring check` says, and `mooring serve` with an
 * authorization server and an upstream of somebody else's.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConfig } from "../../src/cli/config/config.ts";
import { Secrets } from "../../src/cli/redact.ts";
import { changesBetween } from "../../src/cli/serve/reload.ts";
import { grantAuth } from "../../src/cli/serve/upstream_auth.ts";
import { runHere } from "../cli/fake_io.ts";
import { Program, withConfig } from "../cli/program.ts";
import { ModernPeer } from "../support/modern.ts";
import { freePort } from "../support/redis.ts";
import { Peer, textOf } from "../support/wire.ts";
import { CLIENT_SECRET, startExchangeServer, startNotes } from "./exchange_server.ts";

const AUTH = { jwt: { issuer: "https://login.example", jwksUri: "https://login.example/jwks" } };
const SIGN_IN = {
  provider: { type: "oidc", issuer: "https://login.example", clientId: "editor" },
  allow: "everybody",
};
const CLIENT = { issuer: "https://login.example", clientId: "mooring", clientSecret: "hush-hush" };

function problems(oauth: unknown, others: object = { auth: AUTH }): string {
  const url = "https://notes.example/mcp";
  const file = {
    publicUrl: "https://mcp.example",
    mcpServers: { notes: { url, oauth } },
    ...others,
  };
  try {
    const text = JSON.stringify(file);
    return parseConfig({ file: "mooring.json", text, env: { KEY: "secret" } }).warnings.join("\n");
  } catch (error) {
    return String(error);
  }
}

test("[UPA-53] the grants of the file: what each needs is named, and what doesn't fit is refused", () => {
  const exchange = { grant: "token_exchange", ...CLIENT };
  const jag = { ...exchange, grant: "id_jag", identityProvider: CLIENT };
  const machine = { ...exchange, grant: "client_credentials" };
  assert.equal(problems(exchange), "");
  assert.equal(problems(exchange, { signIn: SIGN_IN }), "");
  assert.equal(problems({ ...exchange, subject: "caller" }, { signIn: SIGN_IN }), "");
  assert.equal(problems(jag), "");
  assert.equal(problems(jag, { signIn: SIGN_IN }), "");
  assert.equal(problems(machine, {}), "");
  const jwk = { kty: "EC", crv: "P-256", d: "x" };
  const { clientSecret: _, ...keyless } = exchange;
  assert.equal(problems({ ...keyless, privateKey: jwk, algorithm: "ES384" }), "");
  const rows: [unknown, RegExp, object?][] = [
    [{ ...exchange, grant: "password" }, /Give "client_credentials", "token_exchange" or "id_jag"/],
    [{ ...exchange, issuer: undefined }, /Give the "issuer" that exchanges tokens/],
    [{ ...machine, clientId: undefined }, /Give a string as "clientId"/],
    [keyless, /Give either "clientSecret" or "privateKey"/],
    [{ ...exchange, privateKey: "no key" }, /either "clientSecret" or "privateKey"/],
    [{ ...keyless, privateKey: "no key" }, /PKCS #8/],
    [{ ...jag, identityProvider: undefined }, /"identityProvider"/],
    [{ ...jag, identityProvider: { ...CLIENT, issuer: undefined } }, /"identityProvider"/],
    [{ ...jag, identityProvider: { ...CLIENT, clientSecret: undefined } }, /either "clientSecret"/],
    [{ ...jag, identityProvider: { ...CLIENT, isuer: "x" } }, /Did you mean "issuer"/],
    [{ ...exchange, identityProvider: CLIENT }, /Leave it out: it is for the grant "id_jag"/],
    [{ ...machine, subject: "caller" }, /it is for the grant "token_exchange" or "id_jag"/, {}],
    [{ clientId: "a", privateKey: "x" }, /Add the "grant" that it is for/, { signIn: SIGN_IN }],
    [exchange, /Add "signIn" or "auth" to the file/, {}],
    [{ ...exchange, subject: "sign_in" }, /oauth\.subject.*Add "signIn" to the file, or give/],
    [exchange, /Give "jwt" or "introspection" as auth/, {
      auth: { tokens: [{ id: "ada", token: "t".repeat(40) }] },
    }],
    [jag, /GitHub gives no ID tokens/, {
      signIn: {
        provider: { type: "github", clientId: "a", clientSecret: "b" },
        allow: "everybody",
      },
    }],
  ];
  for (const [oauth, expected, others] of rows) {
    const found = problems(oauth, others);
    assert.match(found, expected, `${JSON.stringify(oauth)}: ${found}`);
  }
});

test("[UPA-53] secrets and keys of the grants come from variables, and are redacted", () => {
  const pem = `-----BEGIN PRIVATE KEY-----\n${"MIGHAgEAMBMG".repeat(4)}\n-----END PRIVATE KEY-----`;
  const text = JSON.stringify({
    publicUrl: "https://mcp.example",
    auth: AUTH,
    mcpServers: {
      notes: {
        url: "https://notes.example/mcp",
        oauth: {
          ...{ grant: "id_jag", issuer: CLIENT.issuer, clientId: "a", clientSecret: "${AT_NOTES}" },
          identityProvider: { issuer: CLIENT.issuer, clientId: "b", privateKey: "${KEY}" },
        },
      },
    },
  });
  const env = { AT_NOTES: "whisper-whisper", KEY: pem };
  const { secrets } = parseConfig({ file: "mooring.json", text, env });
  const known = new Secrets();
  known.add(secrets);
  assert.doesNotMatch(known.redact(`it was whisper-whisper, and ${pem}`), /whisper|MIGHAgEA/);
});

test("[UPA-53, UPA-54] mooring serve exchanges tokens of two users in two eras at an oidc-provider; mooring check says how", async () => {
  const login = await startExchangeServer();
  const notes = await startNotes(login);
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const config = {
    port,
    publicUrl: origin,
    auth: { jwt: { issuer: login.issuer, jwksUri: `${login.issuer}/jwks`, allowHttp: true } },
    mcpServers: {
      notes: {
        url: notes.resource,
        oauth: {
          ...{ grant: "token_exchange", issuer: login.issuer, clientId: "mooring" },
          clientSecret: CLIENT_SECRET,
        },
      },
    },
  };
  try {
    await withConfig(config, async (file, write) => {
      const how = `each caller's token exchanged at ${login.issuer}, as mooring`;
      const { code, out, err } = await runHere(["check", "--connect", file]);
      assert.equal(code, 0, out + err);
      assert.ok(out.includes(`notes  ${notes.resource}, ${how}`), out);
      assert.ok(out.includes(`ok     notes: ${how}`), out);
      const program = new Program(["serve", "--config", file, "--log", "json"]);
      try {
        await program.url();
        const send = async (request: Request) => await fetch(new Request(`${origin}/mcp`, request));
        for (const user of ["ada", "bob"]) {
          const token = await login.sign(user, `${origin}/mcp`);
          const headers = { authorization: `Bearer ${token}` };
          const old = new Peer(async (request) => {
            const response = await send(request);
            return response.status === 202 ? new Response(null, { status: 202 }) : response;
          }, { headers });
          await old.initialize();
          assert.equal(textOf(await old.result(await old.call(1, "notes__who"))), user);
          assert.equal(textOf(await new ModernPeer(send, { headers }).say("notes__who")), user);
          assert.ok(!notes.tokens.includes(`Bearer ${token}`));
        }
        assert.equal(notes.tokens.length, 4);
        assert.deepEqual(
          login.exchanges,
          ["ada", "bob"].map((subject) => ({
            client: "mooring",
            subject,
            resource: notes.resource,
          })),
        );
        assert.doesNotMatch(program.err, /eyJ|the-secret/);
      } finally {
        program.signal("SIGKILL");
        await program.ended;
      }
      // A server that can't do that is named before anybody calls
      const { notes: { oauth, url } } = config.mcpServers;
      const jag = { ...oauth, grant: "id_jag", identityProvider: { ...oauth, grant: undefined } };
      await write({ ...config, mcpServers: { notes: { url, oauth: jag } } });
      const checked = await runHere(["check", "--connect", file]);
      assert.equal(checked.code, 1);
      assert.match(
        checked.out,
        /FAILED notes: an ID-JAG of .* redeemed at .*: .* doesn't name the grant/,
      );
    });
  } finally {
    await notes.close();
    await login.close();
  }
});

test("[UPA-54] with signIn the ID token of the login is exchanged, unless the file says caller", async () => {
  const login = await startExchangeServer();
  const notes = await startNotes(login);
  const client = { issuer: login.issuer, clientId: "mooring", clientSecret: CLIENT_SECRET };
  const request = new Request("http://localhost/mcp", {
    headers: { authorization: `Bearer ${await login.sign("by-token", "x")}` },
  });
  const context = {
    ...{ upstream: "notes", url: notes.resource, target: notes.resource, method: "POST" },
    ...{ principal: { id: "ada" }, request, signal: undefined },
  };
  const idToken = ({ id }: { readonly id: string }) => login.sign(`${id}-by-login`, "mooring");
  try {
    for (const subject of [undefined, "sign_in", "caller"] as const) {
      const auth = grantAuth({ grant: "token_exchange", ...client, subject }, idToken);
      await auth.headers(context);
    }
    await grantAuth({ grant: "token_exchange", ...client }, undefined).headers(context);
    assert.deepEqual(login.exchanges.map(({ subject }) => subject), [
      ...["ada-by-login", "ada-by-login", "by-token", "by-token"],
    ]);
    const gone = grantAuth(
      { grant: "token_exchange", ...client },
      () => Promise.resolve(undefined),
    );
    await assert.rejects(
      async () => await gone.headers(context),
      /no token that could be exchanged/,
    );
  } finally {
    await notes.close();
    await login.close();
  }
});

test("[UPA-54] a server that wants ID tokens first after the start needs a restart; others don't", () => {
  const url = "https://notes.example/mcp";
  const of = (oauth?: object) =>
    parseConfig({
      file: "mooring.json",
      text: JSON.stringify({
        publicUrl: "https://mcp.example",
        signIn: SIGN_IN,
        mcpServers: { notes: { url, ...oauth && { oauth } } },
      }),
      env: {},
    }).config;
  const exchange = { grant: "token_exchange", ...CLIENT };
  assert.deepEqual(changesBetween(of(), of(exchange)).restart, ["signIn"]);
  assert.deepEqual(changesBetween(of(exchange), of({ ...exchange, scopes: ["a"] })).restart, []);
  assert.deepEqual(changesBetween(of(), of({ ...exchange, subject: "caller" })).restart, []);
  assert.deepEqual(changesBetween(of(exchange), of()).restart, []);
});

test("[FRONT-64] idJag of signIn in the file is checked, and its secrets are redacted", () => {
  const of = (idJag: unknown) =>
    parseConfig({
      file: "mooring.json",
      text: JSON.stringify({
        publicUrl: "https://mcp.example",
        signIn: { ...SIGN_IN, idJag },
        mcpServers: { notes: { url: "https://notes.example/mcp" } },
      }),
      env: { AGENT: "whisper-whisper" },
    });
  const clients = [{ id: "agent", secret: "${AGENT}" }, { id: "open", isPublic: true }];
  const provider = { issuer: "https://idp.example", jwksUri: "https://idp.example/jwks", clients };
  const known = new Secrets();
  known.add(of([provider]).secrets);
  assert.doesNotMatch(known.redact("it was whisper-whisper"), /whisper/);
  assert.throws(() => of([]), /at least one provider/);
  assert.throws(() => of([{ ...provider, clients: [{ id: "agent" }] }]), /one of "secret", "jwks"/);
  assert.throws(() => of([{ ...provider, jwksUri: undefined }]), /either "jwks" or "jwksUri"/);
  assert.throws(() => of([{ ...provider, client: [] }]), /Did you mean "clients"/);
});
