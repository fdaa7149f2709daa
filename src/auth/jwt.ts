/**
 * Authenticates requests with access tokens that are JWTs (RFC 9068, RFC 8725).
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import type { JSONWebKeySet, JWTPayload, JWTVerifyOptions } from "jose";
import { functionOption, integerOption } from "../internal/check.ts";
import { type Clock, systemClock } from "../internal/clock.ts";
import type { Fetch } from "../internal/types.ts";
import type { RequestHead } from "../http/inbound.ts";
import type { Principal } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { type Authenticate, bearer, invalidToken, KEY_BOUND } from "./bearer.ts";
import { boundTokens } from "./bound_tokens.ts";
import { type DpopOptions, DpopProofs } from "./dpop.ts";
import { boundedFetch } from "./bounded_fetch.ts";
import { audienceOption, serverUrlOption, stringOption } from "./check.ts";
import { jose } from "./packages.ts";
import { type FindKey, RemoteKeys } from "./remote_keys.ts";
import { checkScopes, type ImpliedScopes, impliedScopes, readScopes } from "./scopes.ts";

/** A JSON Web Key Set (RFC 7517 §5). */
export interface JwkSet {
  /** Public keys. */
  readonly keys: readonly JsonObject[];
}

/** Options for {@linkcode jwt}. Either `jwks` or `jwksUri` gives the issuer's keys. */
export interface JwtOptions {
  /** The issuer of the tokens: the exact value of their `iss`. */
  readonly issuer: string;
  /**
   * The audience of the tokens: one of these must be in their `aud`. It is the resource that clients
   * request tokens for (RFC 8707), so usually the URL of the endpoint. A function returns that of each
   * request, for endpoints that share this `authenticate`.
   */
  readonly audience: string | readonly string[] | ((request: RequestHead) => string);
  /** The issuer's public keys. */
  readonly jwks?: JwkSet;
  /** The URL of the issuer's public keys. They are fetched for the first token. */
  readonly jwksUri?: string | URL;
  /**
   * The algorithms that tokens may be signed with: asymmetric ones only.
   *
   * @default {["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]}
   */
  readonly algorithms?: readonly string[];
  /**
   * Tolerated difference to the issuer's clock, in seconds. Tokens are valid for that much longer.
   *
   * @default {0}
   */
  readonly clockToleranceS?: number;
  /** The scopes that every token needs, if any. Without them the response is a 403 that names them. */
  readonly requiredScopes?: readonly string[];
  /** Scopes that include others: `{ "notes:write": ["notes:read"] }`. */
  readonly implies?: ImpliedScopes;
  /**
   * How tokens are taken that are bound to a key of the client (DPoP, RFC 9449): beside others (`"accept"`), or
   * they alone (`"require"`). A bound token needs the scheme DPoP and, with each request, a new proof of the
   * key. When left out, bound tokens are refused.
   */
  readonly dpop?: "accept" | "require" | DpopOptions;
  /** The required `typ` of tokens, such as `"at+jwt"` (RFC 9068). Any when left out. */
  readonly typ?: string;
  /**
   * Time for which fetched keys are used before they are fetched again, in milliseconds. If fetching
   * fails, they are used six times as long. A token with an unknown key id causes a fetch at once.
   *
   * @default {600000}
   */
  readonly cacheMs?: number;
  /**
   * Time limit for fetching keys, in milliseconds. After that the response is a 503.
   *
   * @default {5000}
   */
  readonly timeoutMs?: number;
  /**
   * Whether `jwksUri` may be on another machine and use plain HTTP.
   *
   * @default {false}
   */
  readonly allowHttp?: boolean;
  /** Fetches keys; the global `fetch` when left out. */
  readonly fetch?: Fetch;
  /** Called when fetching keys fails in the background, while older keys are used. */
  readonly onError?: (error: unknown) => void;
  /** The source of time; the system clock when left out. */
  readonly clock?: Clock;
}

/** All algorithms that sign with a private key and verify with a public one. */
const ALGORITHMS: readonly string[] = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];
const POST_QUANTUM: readonly string[] = ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"];
/** The maximum number of keys that are tried for a token without a key id. */
const MAX_TRIES = 10;

/**
 * Creates an `authenticate` for access tokens that are signed JWTs. The principal is `sub` of the issuer
 * `iss`, with the client `client_id` or `azp` and the scopes of `scope` and `scp`, until `exp`.
 *
 * Tokens are refused with 401 if they are unsigned, signed with another algorithm or another key than
 * the issuer's, expired, from another issuer, for another audience, bound to a key of the client
 * (`cnf`) without `dpop` or without a proof of it, or without `sub` or `exp`. If the issuer's keys can't be fetched, the response is a 503, so
 * that clients keep their tokens and try again.
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
 * @throws {Error} If the package `jose` is not installed
 */
export function jwt(options: JwtOptions): Authenticate {
  // Where it is missing, this says so before the first request.
  jose();
  checkNames("jwt()", options, {
    issuer: true,
    audience: true,
    jwks: true,
    jwksUri: true,
    algorithms: true,
    clockToleranceS: true,
    requiredScopes: true,
    implies: true,
    dpop: true,
    typ: true,
    cacheMs: true,
    timeoutMs: true,
    allowHttp: true,
    fetch: true,
    onError: true,
    clock: true,
  });
  const { clock = systemClock, requiredScopes = [], typ } = options;
  checkScopes("requiredScopes", requiredScopes);
  const implied = impliedScopes(options.implies);
  const toleranceS = integerOption("clockToleranceS", options.clockToleranceS, 0, 0);
  const find = keysOption(options, clock);
  const audienceOf = audienceOption(options.audience);
  const expected: JWTVerifyOptions = {
    issuer: stringOption("issuer", options.issuer),
    algorithms: algorithmsOption(options.algorithms),
    clockTolerance: toleranceS,
    requiredClaims: ["sub", "exp"],
    ...typ !== undefined && { typ: stringOption("typ", typ) },
  };
  const proofs = options.dpop === undefined
    ? undefined
    : new DpopProofs("jwt()", options.dpop, clock);
  const verify = async (token: string, request: RequestHead): Promise<Principal> => {
    const audience = audienceOf(request);
    try {
      const currentDate = new Date(clock.now());
      const claims = await verifyToken(token, find, { ...expected, audience, currentDate });
      if (claims.cnf !== undefined && proofs === undefined) {
        throw invalidToken(KEY_BOUND, requiredScopes);
      }
      return principalOf(claims, readScopes(implied, claims.scope, claims.scp), toleranceS);
    } catch (error) {
      throw refusalOf(error, requiredScopes);
    }
  };
  if (proofs !== undefined) {
    // Behind a proxy that ends TLS, the request's own address is not the public one.
    const addressesOf = (request: RequestHead) => [request.url, ...audienceOf(request)];
    return boundTokens({ requiredScopes, verify, proofs, addressesOf });
  }
  return bearer({ requiredScopes, verify });
}

function keysOption(options: JwtOptions, clock: Clock): FindKey {
  const { jwks, jwksUri, allowHttp = false } = options;
  if ((jwks === undefined) === (jwksUri === undefined)) {
    throw new TypeError('Give either "jwks" or "jwksUri"');
  }
  if (jwks !== undefined) return localKeys(jwks);
  const { find } = new RemoteKeys({
    url: serverUrlOption("jwksUri", jwksUri, allowHttp),
    fetch: boundedFetch(options, clock),
    clock,
    cacheMs: integerOption("cacheMs", options.cacheMs, 600_000),
    onError: functionOption("onError", options.onError) ?? (() => {}),
  });
  return find;
}

function localKeys(jwks: JwkSet): FindKey {
  const secret = Array.isArray(jwks?.keys) && jwks.keys.some((key) => {
    return isObject(key) && (key.kty === "oct" || key.d !== undefined || key.priv !== undefined);
  });
  if (secret) throw new TypeError('Give public keys alone as "jwks"');
  try {
    // jose checks the shape
    return jose().createLocalJWKSet(jwks as unknown as JSONWebKeySet);
  } catch (cause) {
    throw new TypeError('Give a JSON Web Key Set as "jwks"', { cause });
  }
}

function algorithmsOption(given: readonly string[] = ALGORITHMS): string[] {
  if (!Array.isArray(given) || given.length === 0) {
    throw new TypeError('Name at least one algorithm as "algorithms", or leave it out');
  }
  for (const name of given) {
    if (ALGORITHMS.includes(name) || POST_QUANTUM.includes(name)) continue;
    throw new TypeError(`Name asymmetric algorithms as "algorithms": ${String(name)}`);
  }
  return [...given];
}

/** Verifies a token and returns its claims. Without a key id, all keys that fit are tried. */
async function verifyToken(
  token: string,
  find: FindKey,
  expected: JWTVerifyOptions,
): Promise<JWTPayload> {
  try {
    return (await jose().jwtVerify(token, find, expected)).payload;
  } catch (error) {
    if (!(error instanceof jose().errors.JWKSMultipleMatchingKeys)) throw error;
    let tries = 0;
    for await (const key of error) {
      if (++tries > MAX_TRIES) break;
      try {
        return (await jose().jwtVerify(token, key, expected)).payload;
      } catch (failure) {
        if (!(failure instanceof jose().errors.JWSSignatureVerificationFailed)) throw failure;
      }
    }
    throw new (jose().errors.JWSSignatureVerificationFailed)();
  }
}

function principalOf(
  claims: JWTPayload,
  scopes: readonly string[],
  toleranceS: number,
): Principal {
  const { sub, iss, exp = 0, client_id, azp } = claims;
  if (typeof sub !== "string" || sub === "") throw new (jose().errors.JWTInvalid)();
  const clientId = typeof client_id === "string" ? client_id : azp;
  return {
    id: sub,
    issuer: iss,
    ...typeof clientId === "string" && { clientId },
    scopes,
    // The handler refuses requests after this time, so it includes the tolerance.
    expiresAt: (exp + toleranceS) * 1000,
    claims,
  };
}

/** The descriptions for clients, by the code of jose's error. */
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  ERR_JWT_EXPIRED: "Send a new token: this one has expired",
  ERR_JOSE_ALG_NOT_ALLOWED: "Send a token signed with an allowed algorithm",
  ERR_JWKS_NO_MATCHING_KEY: "Send a token signed with a key of its issuer",
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: "Send a token signed with a key of its issuer",
  ERR_JWT_CLAIM_VALIDATION_FAILED: "Send a token with all required claims",
  ERR_JWT_INVALID: "Send a token that is a signed JWT",
  ERR_JWS_INVALID: "Send a token that is a signed JWT",
  ERR_JOSE_NOT_SUPPORTED: "Send a token that is a signed JWT",
};
/** The descriptions for clients if a claim has the wrong value. */
const CLAIM_DESCRIPTIONS: Readonly<Record<string, string>> = {
  aud: "Send a token for this server: this one is for another audience",
  iss: "Send a token of the issuer that this server trusts",
  nbf: "Send this token later: it is not valid yet",
};

/** Turns jose's error about a token into the error for a 401. Returns other errors unchanged. */
function refusalOf(error: unknown, scopes: readonly string[]): unknown {
  if (!(error instanceof jose().errors.JOSEError)) return error;
  const claim = error instanceof jose().errors.JWTClaimValidationFailed
    ? CLAIM_DESCRIPTIONS[error.claim]
    : undefined;
  const description = claim ?? DESCRIPTIONS[error.code];
  return description === undefined ? error : invalidToken(description, scopes);
}
