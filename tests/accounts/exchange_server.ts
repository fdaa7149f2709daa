/**
 * Somebody else's authorization server (oidc-provider) that exchanges tokens by RFC 8693, over HTTP, and an
 * upstream that takes its tokens.
 *
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { exportJWK, importJWK, jwtVerify, SignJWT } from "jose";
import { Provider } from "oidc-provider";
import { McpServer } from "../../mod.ts";
import { jwt, protectedResource } from "../../src/auth/mod.ts";
import { makeKey } from "../auth/issuer.ts";
import { listen, type Listening } from "../auth/listen.ts";
import { serve } from "../runtimes/runtime.ts";
import { freePort } from "../support/redis.ts";

const TYPES = "urn:ietf:params:oauth:token-type:";
export const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
export const CLIENT_SECRET = "the-secret-at-oidc-provider";

/** What is used of the package, which has no types. */
interface OidcProvider {
  callback(): (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void>;
  registerGrantType(
    name: string,
    handler: (context: ExchangeContext) => Promise<void>,
    parameters: readonly string[],
  ): void;
}

interface ExchangeContext {
  readonly oidc: {
    readonly client: { readonly clientId: string };
    readonly params: Readonly<Record<string, string | undefined>>;
  };
  body: unknown;
  status: number;
}

/** A running server that exchanges tokens. */
export interface ExchangeServer extends Listening {
  readonly issuer: string;
  /** The parameters of exchanges, in order, and the client that oidc-provider has authenticated. */
  readonly exchanges: {
    readonly client: string;
    readonly subject: string;
    readonly resource: string;
  }[];
  /** Signs a token of a user. */
  sign(user: string, audience: string): Promise<string>;
}

/** Starts a server that exchanges tokens for the client `mooring`. */
export async function startExchangeServer(): Promise<ExchangeServer> {
  const server = createServer();
  const listening = await listen(server);
  const issuer = listening.origin;
  const { privateKey } = await makeKey("as-key");
  const jwk = { ...await exportJWK(privateKey), kid: "as-key", alg: "ES256", use: "sig" };
  const { d: _, ...publicJwk } = jwk;
  const exchanges: ExchangeServer["exchanges"] = [];
  const provider = new Provider(issuer, {
    jwks: { keys: [jwk] },
    cookies: { keys: ["cookie-secret"] },
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    clients: [{
      ...{ client_id: "mooring", client_secret: CLIENT_SECRET, grant_types: [EXCHANGE] },
      ...{ redirect_uris: [], response_types: [] },
    }],
    features: { devInteractions: { enabled: false } },
    // The package has no types
  }) as OidcProvider;
  const sign = async (user: string, audience: string) =>
    await new SignJWT({}).setProtectedHeader({ alg: "ES256", kid: "as-key", typ: "at+jwt" })
      .setIssuer(issuer).setSubject(user).setAudience(audience).setIssuedAt()
      .setExpirationTime("10m").sign(privateKey);
  provider.registerGrantType(EXCHANGE, async (context) => {
    const { client, params } = context.oidc;
    const { subject_token: token = "", resource = "" } = params;
    try {
      const { payload } = await jwtVerify(token, await importJWK(publicJwk), { issuer });
      exchanges.push({ client: client.clientId, subject: payload.sub ?? "", resource });
      context.body = {
        access_token: await sign(payload.sub ?? "", resource),
        ...{ token_type: "Bearer", expires_in: 600, issued_token_type: `${TYPES}access_token` },
      };
    } catch {
      context.status = 400;
      context.body = { error: "invalid_grant" };
    }
  }, [
    "subject_token",
    "subject_token_type",
    "requested_token_type",
    "resource",
    "audience",
    "scope",
  ]);
  const answer = provider.callback();
  server.on("request", (incoming, outgoing) => {
    answer(incoming, outgoing).catch(() => outgoing.destroy());
  });
  return { ...listening, issuer, exchanges, sign };
}

/** Starts an upstream that takes tokens of a server. */
export async function startNotes({ issuer }: ExchangeServer) {
  const port = await freePort();
  const resource = `http://127.0.0.1:${port}/mcp`;
  const server = new McpServer({ name: "notes", version: "1.0.0" });
  const tokens: string[] = [];
  server.registerTool("who", {}, (_args, ctx) => {
    tokens.push(ctx.request.headers.get("authorization") ?? "");
    return ctx.principal.id;
  });
  const running = await serve(server, {
    port,
    signals: false,
    path: "/mcp",
    authenticate: jwt({ issuer, jwksUri: `${issuer}/jwks`, audience: resource, allowHttp: true }),
    resource: protectedResource({ resource, authorizationServers: [issuer] }),
  });
  return { resource, tokens, close: () => running.close() };
}
