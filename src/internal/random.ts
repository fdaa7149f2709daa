/**
 * Generates random strings and numbers, and short hashes that stand for secrets.
 *
 * @module
 */

const DIGITS = new TextEncoder().encode(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
);
const decoder = new TextDecoder();

/** Fills a buffer with random bytes. */
export type RandomSource = (bytes: Uint8Array<ArrayBuffer>) => void;

const systemSource: RandomSource = (bytes) => void crypto.getRandomValues(bytes);
/** The source of all strings and numbers; another one only while a simulation runs. */
let source = systemSource;

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
 * each, from `crypto.getRandomValues()` unless a simulation runs.
 */
export function randomText(length: number): string {
  const draft = drafts[length] ??= new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    if (used === bytes.length) {
      source(bytes);
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
  const number = new Uint8Array(4);
  source(number);
  return new DataView(number.buffer).getUint32(0) / 2 ** 32;
}

/**
 * Replaces the source of random bytes until some work has ended, so that a simulation repeats itself. Not
 * for programs: whoever knows the source knows every session id.
 *
 * @param replacement The source to use meanwhile
 * @param work What happens meanwhile; the source before is there again however it ends
 * @throws {Error} If a source is already replaced
 */
export async function withRandomSource<T>(
  replacement: RandomSource,
  work: () => Promise<T>,
): Promise<T> {
  if (source !== systemSource) throw new Error("Replace the source of random bytes once at a time");
  // Bytes of one source are not used with the other.
  used = bytes.length;
  source = replacement;
  try {
    return await work();
  } finally {
    source = systemSource;
    used = bytes.length;
  }
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
