/**
 * Makes the gateway a client of an authorization server by a secret or a private key.
 *
 * @module
 */
import type { JWK } from "jose";
import { installed, isObject } from "../kit.ts";
import { stringOption } from "../signin/fetch/options.ts";
import { AccountError } from "./errors.ts";
import type { MachineClient } from "./provider.ts";

const ALGORITHMS = ["ES256", "ES384", "RS256", "PS256", "EdDSA", "Ed25519"];

/** How the gateway proves itself to an authorization server. */
export interface ClientKeyOptions {
  /** The client id that the authorization server gave. */
  readonly clientId: string;
  /** The secret that belongs to `clientId`. */
  readonly clientSecret?: string | undefined;
  /** The private key of `private_key_jwt`: a JWK, or PKCS #8 as PEM. Instead of `clientSecret`. */
  readonly privateKey?: Readonly<Record<string, unknown>> | string | undefined;
  /**
   * The algorithm of the key: ES256, ES384, RS256, PS256, EdDSA or Ed25519.
   *
   * @default the `alg` of the JWK, or else ES256
   */
  readonly algorithm?: string | undefined;
}

/**
 * Checks what a client proves itself with, and returns what imports it.
 *
 * @param mayBePublic Whether neither a secret nor a key is needed
 * @throws {TypeError} If an option has the wrong type, or both or neither are given
 */
export function clientKeys(
  { clientId, clientSecret, privateKey, algorithm }: ClientKeyOptions,
  mayBePublic = false,
): () => Promise<MachineClient> {
  const id = stringOption("clientId", clientId);
  const isNeither = clientSecret === undefined && privateKey === undefined;
  const isBoth = clientSecret !== undefined && privateKey !== undefined;
  if (isBoth || isNeither && !mayBePublic) {
    throw new TypeError('Give either "clientSecret" or "privateKey"');
  }
  if (clientSecret !== undefined) stringOption("clientSecret", clientSecret);
  const alg = algorithm ?? memberOf(privateKey, "alg") ?? "ES256";
  if (!ALGORITHMS.includes(alg)) {
    throw new TypeError(`Give one of ${ALGORITHMS.join(", ")} as "algorithm"`);
  }
  if (privateKey === undefined) return () => Promise.resolve({ id, secret: clientSecret });
  checkKey(privateKey);
  const kid = memberOf(privateKey, "kid");
  return async () => {
    const key = await importKey(privateKey, alg);
    return { id, key: { key, alg, ...kid !== undefined && { kid } } };
  };
}

function checkKey(key: unknown): void {
  const isPem = typeof key === "string" && key.includes("-----BEGIN PRIVATE KEY-----");
  const isJwk = isObject(key) && typeof key.kty === "string" && typeof key.d === "string";
  if (!isPem && !isJwk) {
    throw new TypeError('Give a private JWK, or PKCS #8 as PEM, as "privateKey"');
  }
}

/** Returns a text in a JWK. */
function memberOf(key: ClientKeyOptions["privateKey"], name: "alg" | "kid"): string | undefined {
  const value = typeof key === "object" ? key[name] : undefined;
  return typeof value === "string" ? value : undefined;
}

async function importKey(
  key: Readonly<Record<string, unknown>> | string,
  alg: string,
): Promise<CryptoKey> {
  const jose = await installed("jose", import("jose"));
  try {
    const imported = typeof key === "string"
      ? await jose.importPKCS8(key, alg)
      // checkKey has seen that it is one
      : await jose.importJWK(key as JWK, alg);
    // Node's types and the web's describe the same object
    if (!(imported instanceof Uint8Array)) return imported as CryptoKey;
  } catch {
    // What the library says may quote the key
  }
  throw new AccountError("unusable-key", `The private key isn't one for ${alg}`);
}
