/**
 * Writes Bearer and DPoP challenges, the values of the WWW-Authenticate header (RFC 6750 §3, RFC 9449 §7.1,
 * RFC 9728 §5.1).
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
  return written("Bearer", [
    ["resource_metadata", resourceMetadata],
    ["error", error],
    ["error_description", description],
    ["scope", scopes.length === 0 ? undefined : scopes.join(" ")],
  ]);
}

/** The parameters of a DPoP challenge. */
export interface DpopChallenge {
  /** The algorithms that proofs may be signed with. */
  readonly algorithms: readonly string[];
  /** The error code. Left out if the request had no credentials. */
  readonly error?: BearerChallenge["error"] | "invalid_dpop_proof" | "use_dpop_nonce" | undefined;
  /** A description of the error for people. */
  readonly description?: string | undefined;
  /** The scopes that the request needs. */
  readonly scopes?: readonly string[];
}

/** Writes a challenge of the scheme DPoP (RFC 9449 §7.1) as a header value. */
export function dpopChallenge(challenge: DpopChallenge): string {
  const { algorithms, error, description, scopes = [] } = challenge;
  return written("DPoP", [
    ["error", error],
    ["error_description", description],
    ["scope", scopes.length === 0 ? undefined : scopes.join(" ")],
    ["algs", algorithms.join(" ")],
  ]);
}

function written(
  scheme: string,
  given: readonly (readonly [string, string | undefined])[],
): string {
  const parameters = given.flatMap(([name, value]) => {
    return value === undefined ? [] : [`${name}="${value.replace(/["\\]/g, encodeURIComponent)}"`];
  });
  return parameters.length === 0 ? scheme : `${scheme} ${parameters.join(", ")}`;
}

/**
 * Adds the parameters of a Bearer or DPoP challenge to those of the endpoint's own challenge. A challenge of
 * another scheme stays as it is, and the endpoint's own follows it (RFC 9110 §11.6.1).
 */
export function joinChallenges(base: string | undefined, own: string): string {
  if (base === undefined) return own;
  if (/^bearer$/i.test(own)) return base;
  if (/^dpop /i.test(own)) {
    const parameters = /^bearer (.*)$/i.exec(base)?.[1];
    return parameters === undefined ? own : `${own}, ${parameters}`;
  }
  const bearer = /^bearer(?:,? )(.*)$/i.exec(own);
  return bearer === null ? `${own}, ${base}` : `${base}, ${bearer[1]}`;
}
