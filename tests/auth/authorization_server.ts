/**
 * Somebody else's authorization server (oidc-provider), on a free port, with a user who says yes to
 * everything, and a browser for that user.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Provider } from "oidc-provider";
import { makeKey } from "./issuer.ts";
import { exportJWK } from "jose";
import { listen, type Listening } from "./listen.ts";

/** Where clients wait for their user to come back. */
export const CALLBACK = "http://127.0.0.1:3/callback";

/** The client that the authorization server knows: a program without a secret. */
export const CLIENT = {
  client_id: "editor",
  redirect_uris: [CALLBACK],
  token_endpoint_auth_method: "none",
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
  application_type: "native",
};

/** The program that asks the authorization server about tokens. */
export const RESOURCE_SERVER = { client_id: "mcp-server", client_secret: "resource-server-secret" };

/** What is used of the package, which has no types. */
interface OidcProvider {
  callback(): (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void>;
  on(event: string, listener: (context: OidcContext) => void): void;
  interactionDetails(incoming: IncomingMessage, outgoing: ServerResponse): Promise<Interaction>;
  interactionFinished(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    result: unknown,
    options: unknown,
  ): Promise<void>;
  readonly Grant: {
    new (init: { accountId: string; clientId: unknown }): Grant;
    find(id: string): Promise<Grant>;
  };
}

interface OidcContext {
  readonly oidc: { readonly params: Readonly<Record<string, unknown>> };
}

interface Interaction {
  readonly grantId?: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly prompt: {
    readonly details: {
      readonly missingOIDCScope?: readonly string[];
      readonly missingResourceScopes?: Readonly<Record<string, readonly string[]>>;
    };
  };
}

interface Grant {
  addOIDCScope(scope: string): void;
  addResourceScope(resource: string, scope: string): void;
  save(): Promise<string>;
}

/** How access tokens are made. */
export interface TokenOptions {
  /** What they allow at most. */
  readonly scope: string;
  readonly format: "jwt" | "opaque";
  /** How long they last, in seconds. */
  ttlS: number;
  /** Where the client may be answered besides. */
  readonly redirectUris?: readonly string[];
  /** Programs that get tokens by their own rights (RFC 6749 §4.4). */
  readonly machines?: readonly object[];
  /** How clients prove themselves. @default the package's own */
  readonly authMethods?: readonly string[];
  /** Whether proofs of keys (RFC 9449) need a nonce. */
  readonly requiresNonce?: boolean;
}

/** A running authorization server. */
export interface AuthorizationServer extends Listening {
  /** Answers a request in place of the server. Returns whether it did. */
  intercept?:
    | ((incoming: IncomingMessage, outgoing: ServerResponse) => Promise<boolean>)
    | undefined;
  /** Called when tokens were issued, before they are sent. */
  onGrant?: (() => void) | undefined;
  readonly issuer: string;
  /** The parameters of authorization requests, in order. */
  readonly authorizations: Readonly<Record<string, unknown>>[];
  /** The parameters of successful token requests, in order. */
  readonly grants: Readonly<Record<string, unknown>>[];
}

/** Starts an authorization server. */
export async function startAuthorizationServer(
  tokens: TokenOptions,
): Promise<AuthorizationServer> {
  const server = createServer();
  const listening = await listen(server);
  const issuer = listening.origin;
  const { privateKey } = await makeKey("as-key");
  const key = { ...await exportJWK(privateKey), kid: "as-key", alg: "ES256", use: "sig" };
  // The package has no types
  const provider = new Provider(issuer, configuration(key, tokens)) as OidcProvider;
  const authorizations: Readonly<Record<string, unknown>>[] = [];
  const grants: Readonly<Record<string, unknown>>[] = [];
  provider.on("authorization.accepted", ({ oidc }) => authorizations.push({ ...oidc.params }));
  const running: AuthorizationServer = { ...listening, issuer, authorizations, grants };
  provider.on("grant.success", ({ oidc }) => {
    grants.push({ ...oidc.params });
    running.onGrant?.();
  });
  const callback = provider.callback();
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    if (await running.intercept?.(incoming, outgoing) !== true) await callback(incoming, outgoing);
  };
  server.on("request", (incoming, outgoing) => {
    const interaction = incoming.url?.startsWith("/interaction/") ?? false;
    const answered = interaction
      ? consent(provider, incoming, outgoing)
      : answer(incoming, outgoing);
    answered.catch(() => outgoing.destroy());
  });
  return running;
}

function configuration(key: object, tokens: TokenOptions): object {
  const week = 7 * 24 * 3600;
  return {
    jwks: { keys: [key] },
    cookies: { keys: ["cookie-secret"] },
    scopes: ["openid", "offline_access"],
    clients: [
      { ...CLIENT, redirect_uris: [CALLBACK, ...tokens.redirectUris ?? []] },
      { ...RESOURCE_SERVER, redirect_uris: [], response_types: [], grant_types: [] },
      ...tokens.machines ?? [],
    ],
    ...tokens.authMethods !== undefined && { clientAuthMethods: tokens.authMethods },
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    findAccount: (_: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    issueRefreshToken: async () => true,
    ttl: { Interaction: week, Grant: week, Session: week, RefreshToken: week, IdToken: week },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: tokens.machines !== undefined },
      dPoP: {
        enabled: true,
        nonceSecret: Buffer.alloc(32, "the secret of all nonces"),
        requireNonce: () => tokens.requiresNonce === true,
      },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        useGrantedResource: () => true,
        getResourceServerInfo: (_: unknown, resource: string) => ({
          scope: tokens.scope,
          audience: resource,
          accessTokenFormat: tokens.format,
          accessTokenTTL: tokens.ttlS,
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
  };
}

/** The user agrees: the one that the browser names, or else ada. */
async function consent(
  provider: OidcProvider,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const { "x-user": user = "ada" } = incoming.headers;
  const { grantId: known, params, prompt } = await provider.interactionDetails(incoming, outgoing);
  const grant = known === undefined
    ? new provider.Grant({ accountId: String(user), clientId: params.client_id })
    : await provider.Grant.find(known);
  const { missingOIDCScope, missingResourceScopes } = prompt.details;
  if (missingOIDCScope !== undefined) grant.addOIDCScope(missingOIDCScope.join(" "));
  for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(" "));
  }
  const result = { login: { accountId: String(user) }, consent: { grantId: await grant.save() } };
  await provider.interactionFinished(incoming, outgoing, result, { mergeWithLastSubmission: true });
}

/** A browser without a window: follows redirects, and keeps cookies. */
export class Browser {
  readonly #cookies = new Map<string, string>();

  /** Goes where it is sent, until that is where a client waits for its user to come back. */
  async visit(url: URL, until: string): Promise<URL> {
    let next = url;
    for (let i = 0; i < 10; i++) {
      const cookie = [...this.#cookies].map((pair) => pair.join("=")).join("; ");
      const response = await fetch(next, { redirect: "manual", headers: { cookie } });
      for (const set of response.headers.getSetCookie()) this.#keep(set);
      const location = response.headers.get("location");
      const body = await response.text();
      if (location === null) throw new Error(`Stranded: ${response.status} ${body}`);
      next = new URL(location, next);
      if (next.href.startsWith(until)) return next;
    }
    throw new Error("Sent around in circles");
  }

  #keep(set: string): void {
    const [pair = ""] = set.split(";");
    const at = pair.indexOf("=");
    this.#cookies.set(pair.slice(0, at), pair.slice(at + 1));
  }
}
