/**
 * Writes Bearer challenges, the values of the WWW-Authenticate header (RFC 6750 §3, RFC 9728 §5.1).
 *
 * @module
 */
import { checkScopes } from "./scopes.ts";

/** The parameters of a challenge, all optional. */
export interface BearerChallenge {
  /** The URL of the protected resource's metadata (RFC 9728 §5.1). */
  readonly resourceMetadata?: string;
  /** The error code. Left out if the request had no credentials (RFC 6750 §3.1). */
  readonly error?: "invalid_token" | "insufficient_scope";
  /** A description of the error for people. */
  readonly description?: string;
  /** The scopes that the request needs. */
  readonly scopes?: readonly string[];
}

/**
 * Writes a challenge as a header value.
 *
 * @throws {TypeError} If a scope is malformed (RFC 6749 §3.3)
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
  const parameters = given.flatMap(([name, value]) => {
    return value === undefined ? [] : [`${name}="${value.replace(/["\\]/g, encodeURIComponent)}"`];
  });
  return parameters.length === 0 ? "Bearer" : `Bearer ${parameters.join(", ")}`;
}

/**
 * Adds the parameters of a Bearer challenge to those of the endpoint's own challenge. A challenge of
 * another scheme stays as it is, and the endpoint's own follows it (RFC 9110 §11.6.1).
 */
export function joinChallenges(base: string | undefined, own: string): string {
  if (base === undefined) return own;
  if (/^bearer$/i.test(own)) return base;
  const bearer = /^bearer (.*)$/i.exec(own);
  return bearer === null ? `${own}, ${base}` : `${base}, ${bearer[1]}`;
}
