/**
 * The client that the official conformance suite starts for its client scenarios: the official client,
 * which reaches the suite's server through a gateway. Run by `tools/conformance_gateway.ts`.
 *
 * @module
 */
import process from "node:process";
import {
  Client,
  StreamableHTTPClientTransport,
  UrlElicitationRequiredError,
} from "@modelcontextprotocol/client";
import {
  type AccountEvent,
  type Accounts,
  accounts,
  clientCredentials,
  idJag,
} from "../../src/accounts/mod.ts";
import { gateway, http } from "../../src/gateway/mod.ts";
import type { HttpAuth } from "../../src/gateway/upstreams/http_auth.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { applicationTokens, METADATA_URL } from "./conformance_provider.ts";

/** The address of the gateway's pages. */
const PAGES = "http://localhost:3000";
/** The one where servers may read the gateway's own document, and the address of that. */
const DOCUMENT_PAGES = "https://gateway.example";
const DOCUMENT = `${DOCUMENT_PAGES}/accounts/client.json`;

/** The most links that a call leads to: the second one is for a scope that lacks. */
const MOST_LINKS = 3;
/** The one tool of an upstream that says nothing before a sign-in. */
const CONNECT = "connect_account";

/** The user of all calls, and of the browser. */
const USER = { id: "user" };

/** Returns the accounts of users, with the gateway's pages at an address that nothing listens at. */
function openAccounts(scenario: string): Accounts {
  const user = { browser: () => USER, allowInsecure: true, onEvent };
  if (scenario !== "auth/basic-cimd") return accounts({ url: PAGES, ...user });
  // The suite knows one address of a document: it gets that in place of the gateway's own
  return accounts({
    ...{ url: DOCUMENT_PAGES, ...user },
    fetch: (url, init) => fetch(url, { ...init, body: withSuiteDocument(init.body) }),
  });
}

function onEvent({ step, outcome, reason, error }: AccountEvent): void {
  if (outcome !== "passed") console.error(step, outcome, reason, error);
}

function withSuiteDocument(body: RequestInit["body"]): RequestInit["body"] {
  if (typeof body !== "string") return body;
  return body.replace(encodeURIComponent(DOCUMENT), encodeURIComponent(METADATA_URL));
}

/** The browser of the user, without a window: opens a link, agrees, and signs in where it is sent. */
async function openLink(own: Accounts, link: string): Promise<void> {
  const cookies: string[] = [];
  const page = async (url: string | URL, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers);
    headers.set("cookie", cookies.join("; "));
    const response = await own.routes(new Request(url, { ...init, headers }));
    if (response === undefined) throw new Error(`The gateway has no page at ${url}`);
    cookies.push(...response.headers.getSetCookie().map((set) => set.split(";")[0] ?? ""));
    return response;
  };
  const html = await (await page(link)).text();
  const fields = [...html.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)">/g)]
    .map(([, name = "", value = ""]) => [name, value]);
  const sent = await page(new URL(/action="([^"]*)"/.exec(html)?.[1] ?? "", link), {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams([...fields, ["answer", "connect"]]).toString(),
  });
  const location = sent.headers.get("location");
  // The gateway has found a reason to send the user nowhere
  if (location === null) return;
  const login = new URL(location);
  const { searchParams: asked } = login;
  if (asked.get("client_id") === DOCUMENT) asked.set("client_id", METADATA_URL);
  const response = await fetch(login, { redirect: "manual" });
  await response.body?.cancel();
  const back = response.headers.get("location");
  if (back === null) throw new Error(`Nobody was redirected: ${response.status}`);
  await page(new URL(back, login));
}

/** Returns the issuer that an upstream names: an operator enters it together with a secret. */
async function issuerOf(upstream: string): Promise<string> {
  const { origin, pathname } = new URL(upstream);
  const response = await fetch(`${origin}/.well-known/oauth-protected-resource${pathname}`);
  const { authorization_servers: [issuer] } = await response.json();
  return issuer;
}

async function authFor(
  scenario: string,
  context: JsonObject,
  own: Accounts,
): Promise<HttpAuth | undefined> {
  if (!scenario.startsWith("auth/")) return undefined;
  if (process.argv.includes("--application")) return applicationTokens();
  const text = (key: string) => String(context[key]);
  switch (scenario) {
    case "auth/client-credentials-basic":
      return clientCredentials({
        issuer: await issuerOf(url),
        clientId: text("client_id"),
        clientSecret: text("client_secret"),
        allowInsecure: true,
      });
    case "auth/client-credentials-jwt":
      return clientCredentials({
        clientId: text("client_id"),
        privateKey: text("private_key_pem"),
        algorithm: String(context.signing_algorithm ?? "ES256"),
        allowInsecure: true,
      });
    case "auth/enterprise-managed-authorization":
      return idJag({
        issuer: await issuerOf(url),
        clientId: text("client_id"),
        clientSecret: text("client_secret"),
        identityProvider: {
          issuer: text("idp_issuer"),
          clientId: text("idp_client_id"),
          // The suite's provider checks none
          clientSecret: "a secret",
        },
        subject: () => ({
          token: text("idp_id_token"),
          type: "urn:ietf:params:oauth:token-type:id_token",
        }),
        allowInsecure: true,
      });
    case "auth/pre-registration":
      return own.auth({
        issuer: await issuerOf(url),
        clientId: text("client_id"),
        clientSecret: text("client_secret"),
      });
  }
  return own.auth();
}

/** Calls a tool. Opens the links that an error of 2025-11-25 has, and calls it again. */
async function called(client: Client, call: Parameters<Client["callTool"]>[0]): Promise<void> {
  for (let turns = 0;; turns++) {
    try {
      return void await client.callTool(call);
    } catch (error) {
      if (!(error instanceof UrlElicitationRequiredError) || turns >= MOST_LINKS) throw error;
      for (const { url } of error.elicitations) await openLink(own, url);
    }
  }
}

/** Arguments that fit the required properties of a schema. */
function argumentsFor({ properties, required }: JsonObject): JsonObject {
  const names = Array.isArray(required) ? required : [];
  return Object.fromEntries(names.map((name) => {
    const property = isObject(properties) ? properties[name] : undefined;
    const { type } = isObject(property) ? property : {};
    if (type === "number" || type === "integer") return [name, 1];
    return [name, type === "boolean" ? true : type === "object" ? {} : "text"];
  }));
}

/** Uses everything that the server has. */
async function use(client: Client, scenario: string, context: JsonObject): Promise<void> {
  const { tools, prompts, resources } = client.getServerCapabilities() ?? {};
  if (tools !== undefined) {
    let listed = (await client.listTools()).tools;
    for (let turns = 0; listed[0]?.name === CONNECT && turns < MOST_LINKS; turns++) {
      await called(client, { name: CONNECT });
      listed = (await client.listTools()).tools;
    }
    if (Array.isArray(context.toolCalls)) {
      for (const call of context.toolCalls) await called(client, call);
    } else if (scenario === "json-schema-2020-12-preservation") {
      const [focal, echo] = listed;
      if (focal === undefined || echo === undefined) throw new Error("Two tools are needed");
      await called(client, { name: echo.name, arguments: { schema: focal.inputSchema } });
    } else {
      const calls = listed.map(({ name, inputSchema }) =>
        called(client, { name, arguments: argumentsFor(inputSchema) })
      );
      for (const outcome of await Promise.allSettled(calls)) {
        if (outcome.status === "rejected") console.error(outcome.reason);
      }
    }
  }
  if (prompts !== undefined) {
    for (const { name } of (await client.listPrompts()).prompts) await client.getPrompt({ name });
  }
  if (resources !== undefined) {
    for (const { uri } of (await client.listResources()).resources) {
      await client.readResource({ uri });
    }
  }
}

const url = process.argv.at(-1) ?? "";
const scenario = process.env["MCP_CONFORMANCE_SCENARIO"] ?? "";
const given: unknown = JSON.parse(process.env["MCP_CONFORMANCE_CONTEXT"] ?? "{}");
const context = isObject(given) ? given : {};
const modern = process.env["MCP_CONFORMANCE_PROTOCOL_VERSION"] === "2026-07-28";

const own = openAccounts(scenario);
const auth = await authFor(scenario, context, own);
/** Longer than a busy machine takes, in milliseconds. */
const LONG = 100_000;
const gw = gateway({
  upstreams: { suite: http({ url, ...auth !== undefined && { auth } }) },
  ...{ openTimeoutMs: LONG, probeTimeoutMs: LONG, listTimeoutMs: LONG },
});
const handler = createMcpHandler(gw.only("suite"), {
  authenticate: () => USER,
  onEvent: (event) => {
    if (event.type === "upstream-failed") console.error(event);
  },
});
const client = new Client({ name: "conformance", version: "1.0.0" }, {
  capabilities: {
    elicitation: { form: { applyDefaults: true }, url: {} },
    roots: {},
    sampling: {},
  },
  versionNegotiation: { mode: modern ? "auto" : "legacy" },
});
client.setRequestHandler("roots/list", () => ({ roots: [] }));
client.setRequestHandler("elicitation/create", async ({ params }) => {
  if (params.mode !== "url") return { action: "accept", content: {} };
  await openLink(own, params.url);
  return { action: "accept" };
});
const transport = new StreamableHTTPClientTransport(new URL("http://localhost/mcp"), {
  fetch: async (to, init) => await handler.fetch(new Request(to, init)),
});
try {
  await client.connect(transport);
  await use(client, scenario, context);
} finally {
  await transport.terminateSession().catch(() => {});
  await client.close();
  await handler.close();
  await gw.close();
  own.close();
}
