/**
 * Randomness and short names for secrets.
 *
 * @module
 */

const DIGITS = new TextEncoder().encode(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
);
const decoder = new TextDecoder();

/** Random bytes, fetched many at a time: one call for each text would cost ten times as much. */
const bytes = new Uint8Array(4096);
let used = bytes.length;

/**
 * Where texts of each length are put together. A view of the random bytes would be one more object
 * for each text, which takes twice as long as all the rest on Bun.
 */
const drafts: Uint8Array[] = [];

/**
 * A random text of `length` characters from the URL-safe Base64 alphabet: 6 random bits each, from
 * the platform's cryptographic source.
 */
export function randomText(length: number): string {
  const draft = drafts[length] ??= new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    if (used === bytes.length) {
      crypto.getRandomValues(bytes);
      used = 0;
    }
    draft[i] = DIGITS[(bytes[used] ?? 0) & 63] ?? 0;
    // Nothing is left of them to be used again.
    bytes[used++] = 0;
  }
  // Decoded in one go: a text put together piece by piece, or cut out of one that was made for many,
  // keeps all of that in memory.
  return decoder.decode(draft);
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
