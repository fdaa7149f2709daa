/**
 * Creates the authentication of an endpoint from a configuration.
 *
 * @module
 */
import { createHash } from "node:crypto";
import {
  type Authenticate,
  bearer,
  introspection,
  jwt,
  type Principal,
  type ProtectedResource,
  protectedResource,
} from "../auth/mod.ts";
import type { Config } from "./config_schema.ts";

type AuthConfig = NonNullable<Config["auth"]>;

/** The options of an endpoint that authenticate its callers. */
export interface AuthOptions {
  readonly authenticate?: Authenticate;
  readonly resource?: ProtectedResource;
}

/**
 * Creates the authentication of an endpoint.
 *
 * @param url Where clients reach the endpoint: the audience of their tokens, unless the configuration
 * names another one
 * @param onError Called when keys could not be fetched
 */
export function authOptions(
  auth: AuthConfig | undefined,
  url: string,
  onError: (error: unknown) => void,
): AuthOptions {
  if (auth?.tokens !== undefined) return { authenticate: fixedTokens(auth.tokens) };
  const server = auth?.jwt ?? auth?.introspection;
  if (auth === undefined || server === undefined) return {};
  const { issuer, requiredScopes, audience = url } = server;
  const authenticate = auth.jwt === undefined
    ? auth.introspection && introspection({ ...auth.introspection, audience })
    : jwt({ ...auth.jwt, audience, onError });
  const resource = protectedResource({
    resource: url,
    authorizationServers: [issuer],
    ...requiredScopes !== undefined && { scopes: requiredScopes },
  });
  return { ...authenticate && { authenticate }, resource };
}

/** Accepts the configured tokens. Looks them up by digest, so that the time reveals nothing of them. */
function fixedTokens(tokens: NonNullable<AuthConfig["tokens"]>): Authenticate {
  const known = new Map<string, Principal>(
    tokens.map(({ id, token, scopes }) => [digest(token), { id, ...scopes && { scopes } }]),
  );
  return bearer({ verify: (token) => known.get(digest(token)) });
}

function digest(token: string): string {
  return createHash("sha256").update(token).digest("base64");
}
