/**
 * Hashes without waiting: Web Crypto's are asynchronous.
 *
 * @module
 */
import { optional } from "./installed.ts";

const hashes = await optional(
  "@noble/hashes",
  Promise.all([
    import("@noble/hashes/sha2.js"),
    import("@noble/hashes/hmac.js"),
    import("@noble/hashes/utils.js"),
  ]),
);

/** Returns the SHA-256 of bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  const [{ sha256 }] = hashes();
  return sha256(bytes);
}

/** Returns the HMAC-SHA-256 of bytes. */
export function hmacSha256(key: Uint8Array, bytes: Uint8Array): Uint8Array {
  const [{ sha256 }, { hmac }] = hashes();
  return hmac(sha256, key, bytes);
}

/** Writes bytes in hexadecimal digits. */
export function toHex(bytes: Uint8Array): string {
  const [, , { bytesToHex }] = hashes();
  return bytesToHex(bytes);
}
