/**
 * The options of `jwt`, checked and made ready once.
 *
 * @module
 */
import { createLocalJWKSet } from "jose";
import type { JSONWebKeySet, JWTVerifyOptions } from "jose";
import { functionOption, integerOption } from "../internal/check.ts";
import { type Clock, systemClock } from "../internal/clock.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { textOption, textsOption } from "./check.ts";
import { type Fetch, serverUrl } from "./fetch_json.ts";
import { type FindKey, RemoteKeys } from "./remote_keys.ts";
import { checkScopes, type ImpliedScopes, impliedScopes } from "./scopes.ts";

/** A JSON Web Key Set (RFC 7517 §5). */
export interface JwkSet {
  /** Public keys. */
  readonly keys: readonly JsonObject[];
}

/** Options for {@linkcode jwt}. Either `jwks` or `jwksUri` says where the issuer's keys are. */
export interface JwtOptions {
  /** Who must have issued the tokens: exactly what their `iss` says. */
  readonly issuer: string;
  /**
   * Whom the tokens must be for: one of these in their `aud`. It is the resource that clients ask
   * tokens for (RFC 8707), so usually the URL of the endpoint.
   */
  readonly audience: string | readonly string[];
  /** The issuer's public keys. */
  readonly jwks?: JwkSet;
  /** Where the issuer's public keys are. They are fetched when the first token comes. */
  readonly jwksUri?: string | URL;
  /**
   * The algorithms that tokens may be signed with: asymmetric ones only.
   *
   * @default {["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]}
   */
  readonly algorithms?: readonly string[];
  /**
   * How far the issuer's clock may be off, in seconds. Tokens are good for as much longer.
   *
   * @default {0}
   */
  readonly clockToleranceS?: number;
  /**
   * The scopes that every token needs. Without them the answer is a 403 that names them.
   *
   * @default {[]}
   */
  readonly requiredScopes?: readonly string[];
  /** Scopes that stand for others too: `{ "notes:write": ["notes:read"] }`. */
  readonly implies?: ImpliedScopes;
  /** What the `typ` of tokens must be, such as `"at+jwt"` (RFC 9068). Anything when left out. */
  readonly typ?: string;
  /**
   * How long fetched keys are used before they are fetched again, in milliseconds. Where that fails
   * they are used six times as long. A token that names an unknown key has them fetched at once.
   *
   * @default {600000}
   */
  readonly cacheMs?: number;
  /**
   * How long fetching keys may take, in milliseconds. Then the answer is a 503.
   *
   * @default {5000}
   */
  readonly timeoutMs?: number;
  /**
   * Whether keys may be fetched over plain HTTP from elsewhere than this machine.
   *
   * @default {false}
   */
  readonly allowHttp?: boolean;
  /** Fetches keys; the global `fetch` when left out. */
  readonly fetch?: Fetch;
  /** Told when keys could not be fetched, while older ones are still used. */
  readonly onError?: (error: unknown) => void;
  /** Where the time comes from; the machine's clock when left out. */
  readonly clock?: Clock;
}

/** Everything that signs with a private key and is checked with a public one. */
const ALGORITHMS: readonly string[] = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];
const POST_QUANTUM: readonly string[] = ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"];

/** What checking tokens works with. */
export interface JwtSettings {
  readonly find: FindKey;
  readonly expected: JWTVerifyOptions;
  readonly toleranceS: number;
  readonly requiredScopes: readonly string[];
  readonly implied: ReadonlyMap<string, readonly string[]>;
  readonly clock: Clock;
}

/**
 * Checks the options.
 *
 * @throws {TypeError} If an option is missing, has the wrong type, or names a weak algorithm
 * @throws {RangeError} If a number is out of range
 */
export function jwtSettings(options: JwtOptions): JwtSettings {
  const { clock = systemClock, requiredScopes = [] } = options;
  checkScopes("requiredScopes", requiredScopes);
  const toleranceS = integerOption("clockToleranceS", options.clockToleranceS, 0, 0);
  return {
    find: keysOf(options, clock),
    expected: {
      issuer: textOption("issuer", options.issuer),
      audience: textsOption("audience", options.audience),
      algorithms: algorithmsOption(options.algorithms),
      clockTolerance: toleranceS,
      requiredClaims: ["sub", "exp"],
      ...options.typ !== undefined && { typ: textOption("typ", options.typ) },
    },
    toleranceS,
    requiredScopes,
    implied: impliedScopes(options.implies),
    clock,
  };
}

function keysOf(options: JwtOptions, clock: Clock): FindKey {
  const { jwks, jwksUri, allowHttp = false } = options;
  if ((jwks === undefined) === (jwksUri === undefined)) {
    throw new TypeError('Give either "jwks" or "jwksUri"');
  }
  if (jwks !== undefined) return localKeys(jwks);
  const { find } = new RemoteKeys({
    url: serverUrl("jwksUri", jwksUri, allowHttp),
    fetch: functionOption("fetch", options.fetch) ?? ((url, init) => fetch(url, init)),
    clock,
    cacheMs: integerOption("cacheMs", options.cacheMs, 600_000),
    timeoutMs: integerOption("timeoutMs", options.timeoutMs, 5_000),
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
    // What is no key set at all, this finds
    return createLocalJWKSet(jwks as unknown as JSONWebKeySet);
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
