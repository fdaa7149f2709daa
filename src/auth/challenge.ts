/**
 * Bearer challenges: the values of the WWW-Authenticate header that tell a client how to get in
 * (RFC 6750 §3, RFC 9728 §5.1).
 *
 * @module
 */
import { checkScopes } from "./scopes.ts";

/** What a challenge says. Everything may be left out. */
export interface BearerChallenge {
  /** Where the metadata of the protected resource is (RFC 9728 §5.1). */
  readonly resourceMetadata?: string;
  /** Why the credentials were refused. Nothing where there were none (RFC 6750 §3.1). */
  readonly error?: "invalid_token" | "insufficient_scope";
  /** The same for people. */
  readonly description?: string;
  /** The scopes that would do. */
  readonly scopes?: readonly string[];
}

/**
 * The challenge as a header's value.
 *
 * @throws {TypeError} If a scope is none (RFC 6749 §3.3)
 */
export function bearerChallenge(challenge: BearerChallenge = {}): string {
  const { resourceMetadata, error, description, scopes = [] } = challenge;
  checkScopes("scopes", scopes);
  const given: [string, string | undefined][] = [
    ["resource_metadata", resourceMetadata],
    ["error", error],
    ["error_description", description],
    ["scope", scopes.length === 0 ? undefined : scopes.join(" ")],
  ];
  const written = given.flatMap(([name, value]) => {
    return value === undefined ? [] : [`${name}="${value.replace(/["\\]/g, encodeURIComponent)}"`];
  });
  return written.length === 0 ? "Bearer" : `Bearer ${written.join(", ")}`;
}

/**
 * What an endpoint says in every challenge, with what this one says besides. A challenge of another
 * scheme stays as it is, and the endpoint's own follows it (RFC 9110 §11.6.1).
 */
export function joinChallenges(base: string | undefined, own: string): string {
  if (base === undefined) return own;
  if (/^bearer$/i.test(own)) return base;
  const bearer = /^bearer (.*)$/i.exec(own);
  return bearer === null ? `${own}, ${base}` : `${base}, ${bearer[1]}`;
}
