/**
 * Makes and checks the nonces of DPoP proofs (RFC 9449 §8, §9).
 *
 * @module
 */
import { fromBase64Url, toBase64Url } from "../internal/base64.ts";
import type { Clock } from "../internal/clock.ts";
import { deriveKey } from "../internal/sealing.ts";

/** The time in which all nonces are the same, in milliseconds. */
const NONCE_MS = 60_000;
const MIN_KEY = 32;

const encoder = new TextEncoder();

/** Makes and checks nonces, which need no memory: each is the number of its minute, authenticated. */
export class DpopNonces {
  readonly #secrets: readonly string[];
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  /** The derived keys. On some hosts, a request may not wait for what another one has begun. */
  #keys: readonly CryptoKey[] | undefined;

  constructor(secrets: readonly string[], clock: Clock, maxAgeMs: number) {
    const isGood = (secret: unknown) => typeof secret === "string" && secret.length >= MIN_KEY;
    if (!Array.isArray(secrets) || secrets.length === 0 || !secrets.every(isGood)) {
      throw new TypeError(
        `Give an array of secrets of ${MIN_KEY} characters or more as "dpop.nonceKeys"`,
      );
    }
    this.#secrets = [...secrets];
    this.#clock = clock;
    this.#maxAgeMs = maxAgeMs;
  }

  /** Returns the nonce of this minute. */
  async make(): Promise<string> {
    const [key] = await this.#derived();
    const minute = String(Math.floor(this.#clock.now() / NONCE_MS));
    if (key === undefined) throw new TypeError("Nonces need a key");
    const code = await crypto.subtle.sign("HMAC", key, encoder.encode(minute));
    return `${minute}.${toBase64Url(new Uint8Array(code))}`;
  }

  /** Whether a proof has a nonce that is not too old. */
  async isValid(nonce: unknown): Promise<boolean> {
    if (typeof nonce !== "string") return false;
    const [, minute = "", written = ""] = /^(\d{1,12})\.([A-Za-z0-9_-]{43})$/.exec(nonce) ?? [];
    const age = this.#clock.now() - Number(minute) * NONCE_MS;
    if (minute === "" || age < -NONCE_MS || age > this.#maxAgeMs + NONCE_MS) return false;
    const code = fromBase64Url(written);
    if (code === undefined) return false;
    for (const key of await this.#derived()) {
      if (await crypto.subtle.verify("HMAC", key, code, encoder.encode(minute))) return true;
    }
    return false;
  }

  async #derived(): Promise<readonly CryptoKey[]> {
    return this.#keys ??= await Promise.all(this.#secrets.map((secret) => {
      return deriveKey(secret, { purpose: "mooring dpop nonce", algorithm: "HMAC" });
    }));
  }
}
