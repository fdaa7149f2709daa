/**
 * Randomness and short names for secrets.
 *
 * @module
 */

const DIGITS = new TextEncoder().encode(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
);
const decoder = new TextDecoder();

/** Random bytes that are fetched many at a time: one call for each text would cost ten times as much. */
class RandomBytes {
  readonly #bytes = new Uint8Array(4096);
  #used = this.#bytes.length;

  /** So many bytes, which nobody else gets, to be used at once. */
  take(length: number): Uint8Array {
    if (length > this.#bytes.length) return crypto.getRandomValues(new Uint8Array(length));
    if (this.#used + length > this.#bytes.length) {
      crypto.getRandomValues(this.#bytes);
      this.#used = 0;
    }
    this.#used += length;
    return this.#bytes.subarray(this.#used - length, this.#used);
  }
}

const random = new RandomBytes();

/**
 * A random text of `length` characters from the URL-safe Base64 alphabet: 6 random bits each, from
 * the platform's cryptographic source.
 */
export function randomText(length: number): string {
  const bytes = random.take(length);
  // Written over the random bytes, so that nothing is left of them to be used again.
  for (let i = 0; i < length; i++) bytes[i] = DIGITS[(bytes[i] ?? 0) & 63] ?? 0;
  // Decoded in one go: a text put together piece by piece, or cut out of one that was made for many,
  // keeps all of that in memory.
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
