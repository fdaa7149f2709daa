/**
 * Generates random strings and numbers, and short hashes that stand for secrets.
 *
 * @module
 */

const DIGITS = new TextEncoder().encode(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
);
const decoder = new TextDecoder();

/** Random bytes, fetched in bulk: one call for each string costs about ten times as much. */
const bytes = new Uint8Array(4096);
let used = bytes.length;

/**
 * Reused buffers, by the length of the string. A new view of the random bytes for each string takes
 * longer than everything else on Bun.
 */
const drafts: Uint8Array[] = [];

/**
 * Returns a random string of `length` characters from the URL-safe Base64 alphabet: 6 random bits
 * each, from `crypto.getRandomValues()`.
 */
export function randomText(length: number): string {
  const draft = drafts[length] ??= new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    if (used === bytes.length) {
      crypto.getRandomValues(bytes);
      used = 0;
    }
    draft[i] = DIGITS[(bytes[used] ?? 0) & 63] ?? 0;
    // Used bytes are erased, so that they are never used again.
    bytes[used++] = 0;
  }
  // Decoded in one call: a concatenated string, or a slice of a longer one, keeps its source in memory.
  return decoder.decode(draft);
}

/** Returns a random number from 0 to below 1. */
export function randomFraction(): number {
  return (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32;
}

/**
 * Returns eight hexadecimal digits that stand for a secret in events: the same for the same string, and
 * too short to reveal it (FNV-1a, 32 bits).
 */
export function shortHash(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 0).toString(16).padStart(8, "0");
}
