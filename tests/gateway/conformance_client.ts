/**
 * The client that the official conformance suite starts for its client scenarios: the official client,
 * which reaches the suite's server through a gateway. Run by `tools/conformance_gateway.ts`.
 *
 * @module
 */
import process from "node:process";
import {
  auth as signIn,
  Client,
  ClientCredentialsProvider,
  computeScopeUnion,
  extractWWWAuthenticateParams,
  type OAuthClientProvider,
  type OAuthTokens,
  PrivateKeyJwtProvider,
  type StoredOAuthClientInformation,
  StreamableHTTPClientTransport,
} from "@modelcontextprotocol/client";
import { gateway, http, type TokenProvider } from "../../src/gateway/mod.ts";
import type { HttpAuth } from "../../src/gateway/upstreams/http_auth.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";

const CALLBACK = "http://localhost:3000/callback";
/** The address of client metadata that the suite expects where clients needn't register. */
const METADATA_URL = "https://conformance-test.local/client-metadata.json";

/** A provider without a user: whoever is asked to sign in has done so. */
class HeadlessProvider implements OAuthClientProvider {
  readonly redirectUrl = CALLBACK;
  readonly clientMetadataUrl = METADATA_URL;
  readonly clientMetadata = { client_name: "gateway", redirect_uris: [CALLBACK] };
  /** The answer to the latest sign-in. */
  callback: URLSearchParams | undefined;
  #client: StoredOAuthClientInformation | undefined;
  #tokens: OAuthTokens | undefined;
  #verifier = "";
  /** The scopes of the latest request for a token. */
  scope: string | undefined;

  constructor(client?: StoredOAuthClientInformation) {
    this.#client = client;
  }

  clientInformation(): StoredOAuthClientInformation | undefined {
    return this.#client;
  }
  saveClientInformation(client: StoredOAuthClientInformation): void {
    this.#client = client;
  }
  tokens(): OAuthTokens | undefined {
    return this.#tokens;
  }
  saveTokens(tokens: OAuthTokens): void {
    this.#tokens = tokens;
  }
  codeVerifier(): string {
    return this.#verifier;
  }
  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }
  invalidateCredentials(what: string): void {
    if (what === "all" || what === "tokens") this.#tokens = undefined;
    if (what === "all" || what === "client") this.#client = undefined;
  }
  async redirectToAuthorization(url: URL): Promise<void> {
    this.scope = url.searchParams.get("scope") ?? undefined;
    const response = await fetch(url, { redirect: "manual" });
    await response.body?.cancel();
    const location = response.headers.get("location");
    if (location === null) throw new Error(`Nobody was redirected: ${response.status}`);
    this.callback = new URL(location, url).searchParams;
  }
}

/** Signs in for the gateway, as an application does that has a user with a browser. */
function tokensOf(provider: HeadlessProvider): TokenProvider {
  return {
    token: async () => provider.tokens()?.access_token,
    async onUnauthorized({ response, serverUrl, fetchFn }) {
      const { resourceMetadataUrl, scope: asked, error } = extractWWWAuthenticateParams(response);
      const scope = error === "insufficient_scope"
        ? computeScopeUnion(provider.scope, asked)
        : asked;
      const options = {
        serverUrl,
        fetchFn,
        ...resourceMetadataUrl !== undefined && { resourceMetadataUrl },
        ...scope !== undefined && { scope },
        ...error === "insufficient_scope" && { forceReauthorization: true },
      };
      if (await signIn(provider, options) !== "REDIRECT") return;
      const { callback } = provider;
      const code = callback?.get("code");
      if (callback === undefined || !code) throw new Error("There is no code");
      const iss = callback.get("iss");
      await signIn(provider, { ...options, authorizationCode: code, ...iss !== null && { iss } });
    },
  };
}

function authFor(scenario: string, context: JsonObject): HttpAuth | undefined {
  if (!scenario.startsWith("auth/")) return undefined;
  const text = (key: string) => String(context[key]);
  switch (scenario) {
    case "auth/client-credentials-basic":
      return new ClientCredentialsProvider({
        clientId: text("client_id"),
        clientSecret: text("client_secret"),
      });
    case "auth/client-credentials-jwt":
      return new PrivateKeyJwtProvider({
        clientId: text("client_id"),
        privateKey: text("private_key_pem"),
        algorithm: String(context.signing_algorithm ?? "ES256"),
      });
    case "auth/pre-registration":
      return tokensOf(
        new HeadlessProvider({
          client_id: text("client_id"),
          client_secret: text("client_secret"),
        }),
      );
  }
  return tokensOf(new HeadlessProvider());
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
    const listed = (await client.listTools()).tools;
    if (Array.isArray(context.toolCalls)) {
      for (const call of context.toolCalls) await client.callTool(call);
    } else if (scenario === "json-schema-2020-12-preservation") {
      const [focal, echo] = listed;
      if (focal === undefined || echo === undefined) throw new Error("Two tools are needed");
      await client.callTool({ name: echo.name, arguments: { schema: focal.inputSchema } });
    } else {
      const calls = listed.map(({ name, inputSchema }) =>
        client.callTool({ name, arguments: argumentsFor(inputSchema) })
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

const auth = authFor(scenario, context);
/** Longer than a busy machine takes, in milliseconds. */
const LONG = 100_000;
const gw = gateway({
  upstreams: { suite: http({ url, ...auth !== undefined && { auth } }) },
  ...{ openTimeoutMs: LONG, probeTimeoutMs: LONG, listTimeoutMs: LONG },
});
const handler = createMcpHandler(gw.only("suite"), {
  authenticate: () => ({ id: "user" }),
  onEvent: (event) => {
    if (event.type === "upstream-failed") console.error(event);
  },
});
const client = new Client({ name: "conformance", version: "1.0.0" }, {
  capabilities: { elicitation: { form: { applyDefaults: true } }, roots: {}, sampling: {} },
  versionNegotiation: { mode: modern ? "auto" : "legacy" },
});
client.setRequestHandler("roots/list", () => ({ roots: [] }));
client.setRequestHandler("elicitation/create", () => ({ action: "accept", content: {} }));
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
}
