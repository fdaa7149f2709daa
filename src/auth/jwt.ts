/**
 * Access tokens that are JWTs, checked by the keys of their issuer (RFC 9068, RFC 8725).
 *
 * @module
 */
import { errors, jwtVerify } from "jose";
import type { JWTPayload, JWTVerifyOptions } from "jose";
import type { Principal } from "../protocol/exchange.ts";
import { type Authenticate, bearer, BOUND, invalidToken } from "./bearer.ts";
import { type JwtOptions, jwtSettings } from "./jwt_options.ts";
import type { FindKey } from "./remote_keys.ts";
import { readScopes } from "./scopes.ts";

/** How many keys are tried for a token that names none. */
const MOST_TRIES = 10;

/**
 * Makes an `authenticate` for access tokens that are signed JWTs. The principal is `sub`, issued by
 * `iss`, through the client `client_id` or `azp`, with the scopes of `scope` and `scp`, until `exp`.
 *
 * Refused with 401 are tokens that are unsigned, signed by an algorithm or a key that isn't the
 * issuer's, expired, from another issuer, for another audience, bound to a key of the client (`cnf`),
 * or without `sub` or `exp`. Where the issuer's keys can't be had the answer is a 503, so that clients
 * keep their tokens and try again.
 *
 * @example
 * ```ts
 * import { exportJWK, generateKeyPair, SignJWT } from "jose";
 * import { jwt } from "@mooring/mcp/auth";
 *
 * const { publicKey, privateKey } = await generateKeyPair("ES256");
 * const authenticate = jwt({
 *   issuer: "https://login.example",
 *   audience: "https://api.example/mcp",
 *   jwks: { keys: [{ ...await exportJWK(publicKey), kid: "1", alg: "ES256" }] },
 * });
 *
 * const token = await new SignJWT({ scope: "notes:read", client_id: "editor" })
 *   .setProtectedHeader({ alg: "ES256", kid: "1" })
 *   .setIssuer("https://login.example").setAudience("https://api.example/mcp")
 *   .setSubject("ada").setExpirationTime("5 minutes").sign(privateKey);
 *
 * const { id, clientId, scopes } = await authenticate(
 *   new Request("https://api.example/mcp", { headers: { authorization: `Bearer ${token}` } }),
 * );
 * console.assert(id === "ada" && clientId === "editor" && scopes?.[0] === "notes:read");
 * ```
 *
 * @throws {TypeError} If an option is missing, has the wrong type, or names a weak algorithm
 * @throws {RangeError} If a number is out of range
 */
export function jwt(options: JwtOptions): Authenticate {
  const { find, expected, toleranceS, requiredScopes, implied, clock } = jwtSettings(options);
  return bearer({
    requiredScopes,
    async verify(token) {
      try {
        const currentDate = new Date(clock.now());
        const claims = await claimsOf(token, find, { ...expected, currentDate });
        if (claims.cnf !== undefined) throw invalidToken(BOUND, requiredScopes);
        return principalOf(claims, readScopes(implied, claims.scope, claims.scp), toleranceS);
      } catch (error) {
        throw refusalOf(error, requiredScopes);
      }
    },
  });
}

async function claimsOf(
  token: string,
  find: FindKey,
  expected: JWTVerifyOptions,
): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, find, expected)).payload;
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
    let tries = 0;
    for await (const key of error) {
      if (++tries > MOST_TRIES) break;
      try {
        return (await jwtVerify(token, key, expected)).payload;
      } catch (wrong) {
        if (!(wrong instanceof errors.JWSSignatureVerificationFailed)) throw wrong;
      }
    }
    throw new errors.JWSSignatureVerificationFailed();
  }
}

function principalOf(
  claims: JWTPayload,
  scopes: readonly string[],
  toleranceS: number,
): Principal {
  const { sub, iss, exp = 0, client_id, azp } = claims;
  if (typeof sub !== "string" || sub === "") throw new errors.JWTInvalid();
  const clientId = typeof client_id === "string" ? client_id : azp;
  return {
    id: sub,
    issuer: iss,
    ...typeof clientId === "string" && { clientId },
    scopes,
    // The handler refuses what is past this, so what is tolerated has to be in it.
    expiresAt: (exp + toleranceS) * 1000,
    claims,
  };
}

/** What the ways in which a token can be no good are called. */
const WRONG: Readonly<Record<string, string>> = {
  ERR_JWT_EXPIRED: "Send a new token: this one has expired",
  ERR_JOSE_ALG_NOT_ALLOWED: "Send a token that is signed with an algorithm of its issuer",
  ERR_JWKS_NO_MATCHING_KEY: "Send a token that is signed with a key of its issuer",
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: "Send a token that is signed with a key of its issuer",
  ERR_JWT_CLAIM_VALIDATION_FAILED: "Send a token that says all that it has to",
  ERR_JWT_INVALID: "Send a token that is a signed JWT",
  ERR_JWS_INVALID: "Send a token that is a signed JWT",
  ERR_JOSE_NOT_SUPPORTED: "Send a token that is a signed JWT",
};
const WRONG_CLAIM: Readonly<Record<string, string>> = {
  aud: "Send a token for this server: this one is for another audience",
  iss: "Send a token of the issuer that this server trusts",
  nbf: "Send this token later: it is not valid yet",
};

/** What a failure means for the sender: only what is the token's own fault is a 401. */
function refusalOf(error: unknown, scopes: readonly string[]): unknown {
  if (!(error instanceof errors.JOSEError)) return error;
  const claim = error instanceof errors.JWTClaimValidationFailed ? WRONG_CLAIM[error.claim] : "";
  const description = claim || WRONG[error.code];
  return description === undefined ? error : invalidToken(description, scopes);
}
