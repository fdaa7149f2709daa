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
import { walk, wholeAnswer } from "./walk.ts";

/** Where the clients wait for their user. */
export const BACK = "http://127.0.0.1:9/callback";

/** What a client keeps of its login. */
export class Kept {
  readonly redirectUrl: string;
  readonly clientMetadata: Readonly<Record<string, unknown>>;
  client: unknown;
  kept: unknown;
  verifier = "";
  asked: URL | undefined;

  constructor(back = BACK) {
    this.redirectUrl = back;
    this.clientMetadata = {
      client_name: "Official",
      redirect_uris: [back],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    };
  }

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
  call(tool?: string): Promise<unknown>;
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
      call: (name = "who") => client.callTool({ name, arguments: {} }),
      close: () => client.close(),
    };
  },
  "v2": (url, kept) => officialV2(url, kept, "legacy"),
  "v2 in 2026-07-28": (url, kept) => officialV2(url, kept, { pin: "2026-07-28" }),
};

function officialV2(url: URL, kept: Kept, mode: "legacy" | { readonly pin: string }): Official {
  let transport = new StreamableHTTPClientTransport(url, { authProvider: kept as never });
  let client = new Client({ name: "official", version: "1" });
  return {
    connect: async () => {
      transport = new StreamableHTTPClientTransport(url, { authProvider: kept as never });
      client = new Client({ name: "official", version: "1" }, { versionNegotiation: { mode } });
      await client.connect(transport as never);
    },
    finishAuth: (answer) => transport.finishAuth(answer),
    call: (name = "who") => client.callTool({ name, arguments: {} }),
    close: () => client.close(),
  };
}

/** Signs a user in at the address that a client asks for, and returns where the client is answered. */
export function answered(asked: URL, provider: Browser, back = BACK): Promise<URL> {
  return walk(asked, {
    send: async (request) => await wholeAnswer(await fetch(request)),
    provider: (url) => provider.visit(url, `${asked.origin}/signin/callback`),
    isBack: (url) => url.href.startsWith(back),
  });
}

/** Signs a client in: its user logs in, and allows it. */
export async function signInWith(client: Official, kept: Kept): Promise<void> {
  await assert.rejects(client.connect());
  assert.ok(kept.asked, "the client was sent nowhere");
  await client.finishAuth((await answered(kept.asked, new Browser())).searchParams);
  await client.connect();
}
