/**
 * Randomness and short names for secrets.
 *
 * @module
 */

const DIGITS = new TextEncoder().encode(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
);
const decoder = new TextDecoder();

/**
 * A random text of `length` characters from the URL-safe Base64 alphabet: 6 random bits each, from
 * the platform's cryptographic source.
 */
export function randomText(length: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  for (let i = 0; i < length; i++) bytes[i] = DIGITS[(bytes[i] ?? 0) & 63] ?? 0;
  // Decoded in one go: a text put together piece by piece keeps its pieces in memory.
  return decoder.decode(bytes);
}

/**
 * Eight hexadecimal digits that stand for a secret in events: the same for the same text, and too
 * short to tell anything about it (FNV-1a, 32 bits).
 */
export function shortHash(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, "0");
}
