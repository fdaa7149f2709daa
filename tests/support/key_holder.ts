/**
 * A client with a key, whose proofs (RFC 9449) a test can make wrong.
 *
 * @module
 */
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  type GenerateKeyPairResult,
  type JWK,
  SignJWT,
} from "jose";
import type { Clock } from "../../src/internal/clock.ts";

/** A client with a key. */
export class KeyHolder {
  readonly #keys: GenerateKeyPairResult;
  readonly #htu: string;
  readonly jwk: JWK;
  readonly thumbprint: string;
  #made = 0;

  private constructor(keys: GenerateKeyPairResult, htu: string, jwk: JWK, thumbprint: string) {
    this.#keys = keys;
    this.#htu = htu;
    this.jwk = jwk;
    this.thumbprint = thumbprint;
  }

  /**
   * Makes a key.
   *
   * @param htu The URL that proofs are for unless they are told otherwise
   */
  static async make(htu: string, alg = "ES256", modulusLength = 2_048): Promise<KeyHolder> {
    const keys = await generateKeyPair(alg, { extractable: true, modulusLength });
    const jwk = await exportJWK(keys.publicKey);
    return new KeyHolder(keys, htu, jwk, await calculateJwkThumbprint(jwk, "sha256"));
  }

  /**
   * Signs a proof that is good unless it is told otherwise.
   *
   * @param token The access token that it is sent with, if it is
   */
  async proof(
    token: string | undefined,
    clock: Pick<Clock, "now">,
    claims: Record<string, unknown> = {},
    header: Record<string, unknown> = {},
  ): Promise<string> {
    const all = {
      jti: `proof-${++this.#made}`,
      htm: "POST",
      htu: this.#htu,
      iat: Math.floor(clock.now() / 1_000),
      ath: token === undefined ? undefined : await hashOf(token),
      ...claims,
    };
    // What is undefined is left out by JSON
    return await new SignJWT(JSON.parse(JSON.stringify(all)))
      .setProtectedHeader({ typ: "dpop+jwt", alg: "ES256", jwk: this.jwk, ...header })
      .sign(this.#keys.privateKey);
  }
}

async function hashOf(token: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  return btoa(String.fromCharCode(...new Uint8Array(digest))).replaceAll("+", "-")
    .replaceAll("/", "_").replaceAll("=", "");
}
