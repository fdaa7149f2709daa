/**
 * Reads proofs of keys (RFC 9449) as a strict server does, without the code that Mooring checks them with.
 *
 * @module
 */
import assert from "node:assert/strict";
import { calculateJwkThumbprint, decodeProtectedHeader, EmbeddedJWK, jwtVerify } from "jose";
import type { Clock } from "../../src/internal/clock.ts";

/** What a proof must be for. */
export interface ExpectedProof {
  readonly method: string;
  readonly url: string;
  readonly token?: string;
}

/** Reads proofs, each once. */
export class ProofReader {
  readonly #clock: Pick<Clock, "now">;
  readonly #seen = new Set<string>();

  constructor(clock: Pick<Clock, "now">) {
    this.#clock = clock;
  }

  /** Returns the fingerprint of a proof's key, and its nonce. Fails if anything is wrong with it. */
  async read(
    proof: string,
    { method, url, token }: ExpectedProof,
  ): Promise<{ readonly jkt: string; readonly nonce: unknown }> {
    const { payload } = await jwtVerify(proof, EmbeddedJWK, { typ: "dpop+jwt" });
    const { jwk } = decodeProtectedHeader(proof);
    assert.ok(jwk);
    assert.deepEqual(Object.keys(jwk).filter((name) => !/^(kty|crv|[xyne])$/.test(name)), []);
    const { jti, htm, htu, iat, ath, nonce } = payload;
    assert.ok(typeof jti === "string" && jti.length >= 16 && !this.#seen.has(jti), "its id is new");
    this.#seen.add(jti);
    assert.equal(htm, method);
    assert.equal(htu, url);
    assert.equal(iat, Math.floor(this.#clock.now() / 1_000));
    assert.equal(ath, token === undefined ? undefined : await hashOf(token));
    return { jkt: await calculateJwkThumbprint(jwk, "sha256"), nonce };
  }
}

async function hashOf(token: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  return btoa(String.fromCharCode(...new Uint8Array(digest))).replaceAll("+", "-")
    .replaceAll("/", "_").replaceAll("=", "");
}
