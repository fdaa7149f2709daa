/**
 * The official clients sign in over HTTP: they find the server, register, and call; their user logs in at a
 * certified OpenID provider.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { createMcpHandler, McpServer } from "../../mod.ts";
import { oidc, signIn, type SignInEvent } from "../../src/signin/mod.ts";
import { Browser, startAuthorizationServer } from "../auth/authorization_server.ts";
import { serveAny } from "./serve_any.ts";

const BACK = "http://127.0.0.1:9/callback";

/** What a client keeps of its login. */
class Kept {
  readonly redirectUrl = BACK;
  readonly clientMetadata = {
    client_name: "Official",
    redirect_uris: [BACK],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  };
  client: unknown;
  kept: unknown;
  verifier = "";
  asked: URL | undefined;

  clientInformation() {
    return this.client as never;
  }
  saveClientInformation(client: unknown) {
    this.client = client;
  }
  tokens() {
    return this.kept as never;
  }
  saveTokens(tokens: unknown) {
    this.kept = tokens;
  }
  redirectToAuthorization(url: URL) {
    this.asked = url;
  }
  saveCodeVerifier(verifier: string) {
    this.verifier = verifier;
  }
  codeVerifier() {
    return this.verifier;
  }
}

interface Official {
  connect(): Promise<void>;
  finishAuth(answer: URLSearchParams): Promise<void>;
  call(): Promise<unknown>;
  close(): Promise<void>;
}

const CLIENTS: Readonly<Record<string, (url: URL, kept: Kept) => Official>> = {
  "v1": (url, kept) => {
    let transport = new TransportV1(url, { authProvider: kept as never });
    let client = new ClientV1({ name: "official", version: "1" });
    return {
      connect: async () => {
        transport = new TransportV1(url, { authProvider: kept as never });
        client = new ClientV1({ name: "official", version: "1" });
        await client.connect(transport as never);
      },
      finishAuth: (answer) => transport.finishAuth(answer.get("code") ?? ""),
      call: () => client.callTool({ name: "who", arguments: {} }),
      close: () => client.close(),
    };
  },
  "v2": (url, kept) => {
    let transport = new StreamableHTTPClientTransport(url, { authProvider: kept as never });
    let client = new Client({ name: "official", version: "1" });
    return {
      connect: async () => {
        transport = new StreamableHTTPClientTransport(url, { authProvider: kept as never });
        client = new Client({ name: "official", version: "1" });
        await client.connect(transport as never);
      },
      finishAuth: (answer) => transport.finishAuth(answer),
      call: () => client.callTool({ name: "who", arguments: {} }),
      close: () => client.close(),
    };
  },
};

/** Reads the page at an address with cookies, and follows redirects until `BACK`. */
async function answered(asked: URL, provider: Browser): Promise<URL> {
  const cookies = new Map<string, string>();
  let [url, init]: [URL, RequestInit] = [asked, {}];
  for (let steps = 0; steps < 10; steps++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, {
      redirect: "manual",
      ...init,
      headers: { ...init.headers as Record<string, string>, cookie },
    });
    for (const each of response.headers.getSetCookie()) {
      const [pair = ""] = each.split(";");
      const at = pair.indexOf("=");
      cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    init = {};
    const text = await response.text();
    const location = response.headers.get("location");
    if (location === null) {
      const field = (name: string) =>
        text.match(new RegExp(`name="${name}" value="([^"]*)"`))?.[1] ?? "";
      assert.match(text, /Allow/, text);
      url = new URL("/signin/consent", url);
      init = {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded", origin: url.origin },
        body: new URLSearchParams({ id: field("id"), token: field("token"), answer: "allow" })
          .toString(),
      };
      continue;
    }
    url = new URL(location, url);
    if (url.href.startsWith(BACK)) return url;
    // The provider's own pages have their own cookies.
    if (url.origin !== asked.origin) {
      url = await provider.visit(url, `${asked.origin}/signin/callback`);
    }
  }
  throw new Error("Too many steps");
}

describe("official clients", () => {
  for (const [name, make] of Object.entries(CLIENTS)) {
    test(`[FRONT-2] ${name} signs in with a certified OpenID provider, calls and refreshes`, async () => {
      const events: SignInEvent[] = [];
      await using host = await serveAny();
      const provider = await startAuthorizationServer({
        scope: "",
        format: "opaque",
        ttlS: 60,
        redirectUris: [`${host.origin}/signin/callback`],
      });
      try {
        const front = signIn({
          issuer: host.origin,
          resource: `${host.origin}/mcp`,
          provider: oidc({
            issuer: provider.issuer,
            clientId: "editor",
            scopes: [],
            allowInsecure: true,
          }),
          scopes: ["notes:read"],
          allowInsecure: true,
          onEvent: (event) => events.push(event),
        });
        const server = new McpServer({ name: "notes", version: "1.0.0" });
        server.registerTool("who", {}, (_args, ctx) => ctx.principal.id);
        await using handler = createMcpHandler(server, {
          path: "/mcp",
          authenticate: front.authenticate,
          resource: front.resource,
        });
        host.fetch = async (request, context) =>
          (await front.routes(request, context)) ?? await handler(request, context);
        const kept = new Kept();
        const client = make(new URL(`${host.origin}/mcp`), kept);
        await assert.rejects(client.connect());
        assert.ok(kept.asked, "the client was sent nowhere");
        const back = await answered(kept.asked, new Browser());
        await client.finishAuth(back.searchParams);
        await client.connect();
        assert.match(JSON.stringify(await client.call()), /"ada"/);
        await client.close();
        const before = kept.kept as { readonly refresh_token: string };
        // As after five minutes: the access token is refused, and the client refreshes by itself.
        kept.kept = { ...before, access_token: "expired" };
        await client.connect();
        assert.match(JSON.stringify(await client.call()), /"ada"/);
        await client.close();
        assert.ok(events.some(({ step, reason }) => step === "refresh" && reason === "issued"));
        await front.close();
      } finally {
        await provider.close();
      }
    });
  }
});
