/** Somebody else's authorization server (oidc-provider), and an upstream of Mooring's own. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { exportJWK, exportPKCS8, generateKeyPair, type JWK } from "jose";
import { createMcpHandler, type McpHandler, McpServer, type Principal } from "../../mod.ts";
import { jwt, protectedResource } from "../../src/auth/mod.ts";
import {
  accounts,
  type AccountsOptions,
  clientCredentials,
  type ClientCredentialsOptions,
} from "../../src/accounts/mod.ts";
import { memoryStore } from "../../src/cluster/mod.ts";
import { gateway, http, type UserAuth } from "../../src/gateway/mod.ts";
import {
  type AuthorizationServer,
  Browser as Visitor,
  startAuthorizationServer,
  type TokenOptions,
} from "../auth/authorization_server.ts";
import { as, byToken, initialize, textOf } from "../support/wire.ts";
import { linkOf } from "./world.ts";

const GATEWAY = "https://gateway.example";
const NOTES = "https://notes.example/mcp";
const NONCE_KEY = "a secret that is long enough for every nonce";

/** An upstream whose tokens are checked by Mooring's own `jwt`, and its authorization server. */
class Upstream {
  readonly server: AuthorizationServer;
  readonly principals: Principal[] = [];
  /** The requests to the upstream, as `scheme status`. */
  readonly requests: string[] = [];
  readonly #handler: McpHandler;

  private constructor(server: AuthorizationServer, dpop: "require" | undefined) {
    this.server = server;
    const notes = new McpServer({ name: "notes", version: "1.0.0" });
    notes.registerTool("who", {}, (_args, { principal }) => {
      this.principals.push(principal);
      return principal.id;
    });
    this.#handler = createMcpHandler(notes, {
      path: "/mcp",
      authenticate: jwt({
        ...{ issuer: server.issuer, audience: NOTES, jwksUri: `${server.issuer}/jwks` },
        allowHttp: true,
        ...dpop !== undefined && { dpop: { use: dpop, nonceKeys: [NONCE_KEY] } },
      }),
      resource: protectedResource({
        ...{ resource: NOTES, authorizationServers: [server.issuer] },
        ...dpop !== undefined && { dpop },
      }),
    });
  }

  static async start(tokens: Partial<TokenOptions>, dpop?: "require"): Promise<Upstream> {
    const scope = "read";
    const given = { scope, format: "jwt", ttlS: 60, ...tokens } as const;
    return new Upstream(await startAuthorizationServer(given), dpop);
  }

  /** Sends a request: to the upstream here, or to whom it is for. */
  async fetch(url: string | URL, init: RequestInit): Promise<Response> {
    if (new URL(url).origin !== new URL(NOTES).origin) return await fetch(url, init);
    const request = new Request(url, init);
    const [scheme = ""] = (request.headers.get("authorization") ?? "none").split(" ");
    const response = await this.#handler(request);
    this.requests.push(`${scheme} ${response.status}`);
    return response;
  }

  /** A gateway in front of it. */
  gateway(auth: UserAuth) {
    const gw = gateway({
      upstreams: {
        notes: http({ url: NOTES, auth, fetch: (url, init) => this.fetch(url, init) }),
      },
      listCacheMs: 0,
    });
    const handler = createMcpHandler(gw, { path: "/mcp", authenticate: byToken });
    return {
      handler,
      close: async () => {
        await handler.close({ graceMs: 0 });
        await gw.close();
      },
    };
  }

  async close(): Promise<void> {
    await this.#handler.close({ graceMs: 0 });
    await this.server.close();
  }
}

test("[DPOP-16] a user's account has bound tokens, with nonces at both servers, at a second node too", async () => {
  const redirectUris = [`${GATEWAY}/accounts/callback`];
  const upstream = await Upstream.start({ redirectUris, requiresNonce: true }, "require");
  const store = memoryStore();
  const options: AccountsOptions = {
    ...{ url: GATEWAY, browser: () => ({ id: "ada" }), store, allowInsecure: true },
    keys: ["the secret of all nodes in the tests"],
    fetch: (url, init) => upstream.fetch(url, init),
  };
  const nodes = [accounts(options), accounts(options)];
  const [own, other] = nodes;
  assert.ok(own && other);
  const auth = { clientId: "editor" };
  const fronts = [upstream.gateway(own.auth(auth)), upstream.gateway(other.auth(auth))];
  const [first, second] = fronts;
  assert.ok(first && second);
  try {
    const capabilities = { elicitation: { url: {} } };
    const peer = await initialize(first.handler, { headers: as("ada"), capabilities });
    const { url } = await linkOf(peer, await peer.call(1, "notes__who"));
    const cookies: string[] = [];
    const open = async (to: string | URL, init: RequestInit = {}) => {
      const headers = { cookie: cookies.join("; "), ...init.headers };
      const response = await own.routes(new Request(new URL(to, GATEWAY), { ...init, headers }));
      assert.ok(response);
      cookies.push(...response.headers.getSetCookie().map((one) => one.split(";")[0] ?? ""));
      return response;
    };
    const html = await (await open(url)).text();
    const fields = [...html.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)">/g)]
      .map(([, name = "", value = ""]) => [name, value]);
    const sent = await open("/accounts/connect", {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams([...fields, ["answer", "connect"]]).toString(),
    });
    const at = new URL(sent.headers.get("location") ?? assert.fail(await sent.text()));
    const back = await new Visitor().visit(at, `${GATEWAY}/accounts/callback`);
    const end = await open(back);
    assert.match(await end.text(), /Your account is connected/);
    assert.equal(textOf(await peer.result(await peer.call(2, "notes__who"))), "ada");
    const elsewhere = await initialize(second.handler, { headers: as("ada") });
    assert.equal(textOf(await elsewhere.result(await elsewhere.call(1, "notes__who"))), "ada");
    const [claims] = upstream.principals.map((principal) => principal.claims ?? {});
    const { jkt } = claims?.cnf as { readonly jkt: string };
    assert.equal(upstream.server.authorizations[0]?.dpop_jkt, jkt);
    assert.equal(upstream.requests.some((request) => request.startsWith("Bearer")), false);
    // What was seen of a request is of no use
    assert.ok(upstream.requests.filter((request) => request === "DPoP 401").length <= 2);
    const grants = upstream.server.grants.length;
    const [{ id } = assert.fail()] = (await own.list()).accounts;
    assert.equal(await own.disconnect(id), true);
    assert.equal(upstream.server.grants.length, grants);
  } finally {
    for (const front of fronts) await front.close();
    for (const node of nodes) node.close();
    await upstream.close();
  }
});

/** Calls a tool of an upstream with the gateway's own token, twice. */
async function called(
  upstream: Upstream,
  options: Omit<ClientCredentialsOptions, "clientId" | "fetch">,
): Promise<void> {
  const front = upstream.gateway(clientCredentials({
    ...{ clientId: "mooring", issuer: upstream.server.issuer, allowInsecure: true },
    fetch: (url, init) => upstream.fetch(url, init),
    ...options,
  }));
  try {
    const ada = await initialize(front.handler, { headers: as("ada") });
    assert.equal(textOf(await ada.result(await ada.call(1, "notes__who"))), "mooring");
    assert.equal(textOf(await ada.result(await ada.call(2, "notes__who"))), "mooring");
    assert.equal(upstream.server.grants.length, 1);
  } finally {
    await front.close();
  }
}

const MACHINE = {
  client_id: "mooring",
  redirect_uris: [],
  response_types: [],
  grant_types: ["client_credentials"],
};
// Characters that forms encode
const SECRET = "a secret: of + the % client/=";

describe("clientCredentials() at oidc-provider", () => {
  for (const method of ["client_secret_basic", "client_secret_post"] as const) {
    test(`[UPA-64] by ${method}`, async () => {
      const machine = {
        ...MACHINE,
        ...{ client_secret: SECRET, token_endpoint_auth_method: method },
      };
      const upstream = await Upstream.start({
        ...{ machines: [machine], authMethods: [method, "none"] },
      });
      try {
        await called(upstream, { clientSecret: SECRET });
      } finally {
        await upstream.close();
      }
    });
  }

  for (const alg of ["ES256", "RS256", "EdDSA"] as const) {
    for (const form of ["JWK", "PEM"] as const) {
      test(`[UPA-65] by private_key_jwt with ${alg}, a ${form}, and a bound token with a nonce`, async () => {
        const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
        const open: JWK = { ...await exportJWK(publicKey), kid: "own", alg };
        const machine = {
          ...MACHINE,
          token_endpoint_auth_method: "private_key_jwt",
          jwks: { keys: [open] },
        };
        const upstream = await Upstream.start(
          { machines: [machine], requiresNonce: true },
          "require",
        );
        try {
          // An assertion is good once: after the nonce is known, the server gets a new one
          await called(
            upstream,
            form === "JWK"
              ? { privateKey: { ...await exportJWK(privateKey), alg, kid: "own" } }
              : { privateKey: await exportPKCS8(privateKey), algorithm: alg },
          );
        } finally {
          await upstream.close();
        }
      });
    }
  }
});
