/**
 * A response's body in parts that messages between nodes can carry.
 *
 * @module
 */

/** The most characters of a part. */
export const PART = 64 * 1024;
/** How many parts may be on their way, or wait to be read. */
export const WINDOW = 8;

/** Cuts a text into parts, none of which ends in the middle of a character. */
export function* partsOf(text: string): Generator<string> {
  for (let begin = 0; begin < text.length;) {
    let end = Math.min(begin + PART, text.length);
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1))) end--;
    yield text.slice(begin, end);
    begin = end;
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}
