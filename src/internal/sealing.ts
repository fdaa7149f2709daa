/**
 * Derives keys from secrets, each for one purpose, and seals texts with them.
 *
 * @module
 */
import { fromBase64Url, toBase64, toBase64Url } from "./base64.ts";

const IV_BYTES = 12;
const encoder = new TextEncoder();

/** The use of a derived key. */
export interface KeyUse {
  /** The purpose, so that a secret may be used for others too. */
  readonly purpose: string;
  /** Separates the keys of one purpose; empty when left out. */
  readonly salt?: string;
  readonly algorithm: "AES-GCM" | "HMAC";
}

/** Derives a key of 256 bits for one use only (HKDF, RFC 5869). */
export async function deriveKey(
  secret: string | Uint8Array,
  { purpose, salt = "", algorithm }: KeyUse,
): Promise<CryptoKey> {
  const bytes = typeof secret === "string" ? encoder.encode(secret) : secret.slice();
  const base = await crypto.subtle.importKey("raw", bytes, "HKDF", false, ["deriveKey"]);
  return await crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt: encoder.encode(salt), info: encoder.encode(purpose) },
    base,
    { name: algorithm, hash: "SHA-256", length: 256 },
    false,
    algorithm === "HMAC" ? ["sign", "verify"] : ["encrypt", "decrypt"],
  );
}

/** Encrypts a text with AES-256-GCM, bound to a head that stays readable. Returns it as Base64. */
export async function encrypt(
  key: CryptoKey,
  iv: Uint8Array<ArrayBuffer>,
  head: string,
  text: string,
): Promise<string> {
  return toBase64(await encryptBytes(key, iv, head, text));
}

/**
 * Seals texts with AES-256-GCM and random nonces, for what is sealed so seldom that those don't repeat.
 * Each text is bound to what it is about: it can't be opened as anything else.
 */
export class TextSealer {
  readonly #secrets: readonly (string | Uint8Array)[];
  readonly #purpose: string;
  /** The derived keys. On some hosts, a request may not wait for what another one has begun. */
  #derived: readonly CryptoKey[] | undefined;

  /**
   * Creates a sealer; keys are derived at the first use.
   *
   * @param secrets Secrets of 32 bytes or more: the first seals, all open
   * @param purpose The purpose of the keys
   */
  constructor(secrets: readonly (string | Uint8Array)[], purpose: string) {
    this.#secrets = secrets;
    this.#purpose = purpose;
  }

  /**
   * Seals a text.
   *
   * @returns Base64 for URLs
   * @throws {TypeError} If there is no secret
   */
  async seal(about: string, text: string): Promise<string> {
    const [key] = await this.#keys();
    if (key === undefined) throw new TypeError("Give a key to seal with");
    const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
    const sealed = await encryptBytes(key, iv, about, text);
    const bytes = new Uint8Array(IV_BYTES + sealed.length);
    bytes.set(iv);
    bytes.set(sealed, IV_BYTES);
    return toBase64Url(bytes);
  }

  /** Opens a text. Returns `undefined` if it was sealed with another key, or about something else. */
  async open(about: string, sealed: string): Promise<string | undefined> {
    const bytes = fromBase64Url(sealed);
    if (bytes === undefined || bytes.length <= IV_BYTES) return undefined;
    const [iv, rest] = [bytes.subarray(0, IV_BYTES), bytes.subarray(IV_BYTES)];
    for (const key of await this.#keys()) {
      const text = await decrypt(key, iv, about, rest);
      if (text !== undefined) return text;
    }
    return undefined;
  }

  async #keys(): Promise<readonly CryptoKey[]> {
    const use = { purpose: this.#purpose, algorithm: "AES-GCM" } as const;
    return this.#derived ??= await Promise.all(
      this.#secrets.map((secret) => deriveKey(secret, use)),
    );
  }
}

async function encryptBytes(
  key: CryptoKey,
  iv: Uint8Array<ArrayBuffer>,
  head: string,
  text: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const algorithm = { name: "AES-GCM", iv, additionalData: encoder.encode(head) };
  return new Uint8Array(await crypto.subtle.encrypt(algorithm, key, encoder.encode(text)));
}

/** Decrypts what {@linkcode encrypt} has encrypted. Returns `undefined` if anything differs. */
export async function decrypt(
  key: CryptoKey,
  iv: Uint8Array<ArrayBuffer>,
  head: string,
  sealed: Uint8Array<ArrayBuffer>,
): Promise<string | undefined> {
  const algorithm = { name: "AES-GCM", iv, additionalData: encoder.encode(head) };
  try {
    return new TextDecoder("utf-8", { ignoreBOM: true })
      .decode(await crypto.subtle.decrypt(algorithm, key, sealed));
  } catch {
    return undefined;
  }
}
