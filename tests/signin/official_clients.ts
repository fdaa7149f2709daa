/**
 * The official clients, their user's browser without a window, and what they keep of a login.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Browser } from "../auth/authorization_server.ts";

/** Where the clients wait for their user. */
export const BACK = "http://127.0.0.1:9/callback";

/** What a client keeps of its login. */
export class Kept {
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

/** An official client. */
export interface Official {
  connect(): Promise<void>;
  finishAuth(answer: URLSearchParams): Promise<void>;
  call(): Promise<unknown>;
  close(): Promise<void>;
}

/** The official clients, by their versions. */
export const CLIENTS: Readonly<Record<string, (url: URL, kept: Kept) => Official>> = {
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
export async function answered(asked: URL, provider: Browser): Promise<URL> {
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

/** Signs a client in: its user logs in, and allows it. */
export async function signInWith(client: Official, kept: Kept): Promise<void> {
  await assert.rejects(client.connect());
  assert.ok(kept.asked, "the client was sent nowhere");
  await client.finishAuth((await answered(kept.asked, new Browser())).searchParams);
  await client.connect();
}
