/**
 * Derives the keys of nodes from their secrets, and encrypts texts with them.
 *
 * @module
 */

/** The number of bytes that are encoded at a time: all at once they don't fit into one call. */
const CHUNK = 0x8000;
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

/** Encrypts a text with AES-256-GCM, bound to a head that stays readable. Returns it as base64. */
export async function encrypt(
  key: CryptoKey,
  iv: Uint8Array<ArrayBuffer>,
  head: string,
  text: string,
): Promise<string> {
  const algorithm = { name: "AES-GCM", iv, additionalData: encoder.encode(head) };
  return encode(new Uint8Array(await crypto.subtle.encrypt(algorithm, key, encoder.encode(text))));
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

/** Writes bytes as base64. */
export function encode(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  }
  return btoa(binary);
}

/** Reads base64. Returns `undefined` if it is something else. */
export function decode(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    const binary = atob(base64);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  } catch {
    return undefined;
  }
}
