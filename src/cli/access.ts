/**
 * Who may use an endpoint, as the configuration says.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { type Authenticate, bearer } from "../auth/bearer.ts";
import { introspection } from "../auth/introspection.ts";
import { jwt } from "../auth/jwt.ts";
import { type ProtectedResource, protectedResource } from "../auth/protected_resource.ts";
import type { Principal } from "../protocol/exchange.ts";
import type { Config } from "./config_schema.ts";

type Auth = NonNullable<Config["auth"]>;

/** What of an endpoint's options says who may use it. */
export interface Access {
  readonly authenticate?: Authenticate;
  readonly resource?: ProtectedResource;
}

/**
 * Who may use an endpoint.
 *
 * @param url Where clients reach it: what their tokens must be for, unless the configuration names
 * another audience
 * @param onError Told when keys could not be fetched
 */
export function accessOf(
  auth: Auth | undefined,
  url: string,
  onError: (error: unknown) => void,
): Access {
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

/** Tokens that never change. They are compared by their digests, so that time tells nothing of them. */
function fixedTokens(tokens: NonNullable<Auth["tokens"]>): Authenticate {
  const known = new Map<string, Principal>(
    tokens.map(({ id, token, scopes }) => [digest(token), { id, ...scopes && { scopes } }]),
  );
  return bearer({ verify: (token) => known.get(digest(token)) });
}

function digest(token: string): string {
  return createHash("sha256").update(token).digest("base64");
}
