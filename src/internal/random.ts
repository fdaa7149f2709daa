/**
 * Randomness and short names for secrets.
 *
 * @module
 */

const DIGITS = new TextEncoder().encode(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
);
const decoder = new TextDecoder();

/** How many characters are made at a time: one by one, each text would cost ten times as much. */
const AT_ONCE = 4096;

let ready = "";
let used = 0;

/**
 * A random text of `length` characters from the URL-safe Base64 alphabet: 6 random bits each, from
 * the platform's cryptographic source. Nobody else gets any of them.
 */
export function randomText(length: number): string {
  if (length > AT_ONCE) return randomTextOf(length);
  if (used + length > ready.length) {
    ready = randomTextOf(AT_ONCE);
    used = 0;
  }
  used += length;
  return ready.slice(used - length, used);
}

function randomTextOf(length: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  for (let i = 0; i < length; i++) bytes[i] = DIGITS[(bytes[i] ?? 0) & 63] ?? 0;
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
