/**
 * Reads authorization requests (RFC 6749 §4.1.1, RFC 7636, RFC 8707).
 *
 * @module
 */
import { isThumbprint } from "../../kit.ts";
import { redirectAllowed } from "../clients/redirects.ts";
import { ClientError, type Clients, type SignInClient } from "../clients/types.ts";
import { OAuthError, parameter, required } from "../http.ts";
import type { SignInSettings } from "../settings.ts";

/** A client, and the address that it is answered at. */
export interface Asker {
  readonly client: SignInClient;
  readonly redirectUri: string;
  readonly state?: string | undefined;
}

/** What a client asks for. */
export interface AuthorizationRequest {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly state?: string | undefined;
  readonly scopes: readonly string[];
  readonly resource: string;
  readonly challenge: string;
  /** The fingerprint of the key that the code is for (RFC 9449 §10). */
  readonly jkt?: string | undefined;
  /** Whether the user must be asked, whatever they have allowed. */
  readonly asksConsent: boolean;
  /** Whether the provider must ask the user anew. */
  readonly asksLogin: boolean;
}

/**
 * Finds who asks. Until this has returned, nobody may be sent anywhere.
 *
 * @throws {OAuthError} If the client is unknown, or the address isn't one of its own
 */
export async function askerOf(query: URLSearchParams, clients: Clients): Promise<Asker> {
  const id = required(query, "client_id");
  const redirectUri = required(query, "redirect_uri");
  let client: SignInClient | undefined;
  try {
    client = await clients.find(id);
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    throw new OAuthError(error.code, error.message, error.status);
  }
  if (client === undefined) {
    throw new OAuthError("invalid_client", "The application is unknown here: register it again");
  }
  if (!redirectAllowed(client, redirectUri)) {
    throw new OAuthError(
      "invalid_redirect_uri",
      "The application asks to be answered at an address that it has not registered",
    );
  }
  return { client, redirectUri, state: parameter(query, "state", 1_024) };
}

/**
 * Reads what is asked.
 *
 * @throws {OAuthError} If anything is missing or not allowed
 */
export function requestOf(
  query: URLSearchParams,
  { client, redirectUri, state }: Asker,
  { resources, resourceNamed, descriptions, firstScopes, proofs }: SignInSettings,
): AuthorizationRequest {
  if (required(query, "response_type") !== "code") {
    throw new OAuthError("unsupported_response_type", 'Send "code" as "response_type"');
  }
  if (query.has("request") || query.has("request_uri")) {
    const code = query.has("request") ? "request_not_supported" : "request_uri_not_supported";
    throw new OAuthError(code, "Send the parameters in the query");
  }
  if ((parameter(query, "response_mode") ?? "query") !== "query") {
    throw new OAuthError("invalid_request", 'Send "query" as "response_mode"');
  }
  const challenge = required(query, "code_challenge");
  // Without a method it would be "plain" (RFC 7636 §4.3)
  if (parameter(query, "code_challenge_method") !== "S256") {
    throw new OAuthError("invalid_request", 'Send "S256" as "code_challenge_method"');
  }
  if (!/^[\w-]{43}$/.test(challenge)) {
    throw new OAuthError("invalid_request", 'Send a SHA-256 in Base64 as "code_challenge"');
  }
  const jkt = proofs === undefined ? undefined : parameter(query, "dpop_jkt");
  if (jkt !== undefined && !isThumbprint(jkt)) {
    throw new OAuthError("invalid_request", 'Send the fingerprint of a key as "dpop_jkt"');
  }
  const named = parameter(query, "resource");
  const resource = named === undefined
    ? resources.length === 1 ? resources[0] : undefined
    : resourceNamed(named);
  if (resource === undefined) {
    throw new OAuthError("invalid_target", "Name a resource that this server issues tokens for");
  }
  const asked = parameter(query, "scope")?.split(" ") ?? firstScopes;
  const scopes = [...new Set(asked)].filter((scope) => descriptions.has(scope));
  if (scopes.length === 0) {
    throw new OAuthError("invalid_scope", "Ask for scopes that this server has");
  }
  const prompt = parameter(query, "prompt")?.split(" ") ?? [];
  if (prompt.includes("none")) {
    throw new OAuthError("interaction_required", 'Send no "none" as "prompt": the user is asked');
  }
  return {
    ...{ clientId: client.id, redirectUri, scopes, resource, challenge },
    ...state !== undefined && { state },
    ...jkt !== undefined && { jkt },
    asksConsent: prompt.includes("consent"),
    asksLogin: prompt.includes("login") || prompt.includes("select_account"),
  };
}

/** Returns the address that takes an answer to the client, with this issuer (RFC 9207). */
export function answerUrl(
  { redirectUri, state }: Pick<AuthorizationRequest, "redirectUri" | "state">,
  issuer: string,
  parameters: Readonly<Record<string, string>>,
): string {
  const query = new URLSearchParams({
    ...parameters,
    ...state !== undefined && { state },
    iss: issuer,
  });
  // As registered, but for the query: no parser may change what was compared
  return `${redirectUri}${redirectUri.includes("?") ? "&" : "?"}${query}`;
}

/** Hosts that are the user's own computer: also by the unspecified address, mapped ones, and RFC 6761's names. */
const LOCAL =
  /^((.+\.)?localhost\.?|127(\.\d+){3}|0\.0\.0\.0|\[::(1|ffff:(7f[0-9a-f]{2}|0):[0-9a-f]{1,4})?\])$/;

/** Where the answer goes, for people, and what a consent is bound to. */
export interface Destination {
  /** The scheme and the host; of an application's own scheme, the scheme. */
  readonly place: string;
  /** What kind of place that is. */
  readonly kind: "site" | "this computer" | "application";
}

/** Returns where an answer goes. */
export function destinationOf(redirectUri: string): Destination {
  const { protocol, host, hostname } = new URL(redirectUri);
  if (protocol !== "https:" && protocol !== "http:") {
    return { place: protocol, kind: "application" };
  }
  if (LOCAL.test(hostname)) return { place: hostname, kind: "this computer" };
  return { place: host, kind: "site" };
}
