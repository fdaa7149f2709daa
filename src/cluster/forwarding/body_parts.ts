/**
 * Splits the body of a reply into parts for messages between nodes.
 *
 * @module
 */

/** The maximum number of characters of a part. */
export const PART = 64 * 1024;
/** The maximum number of parts in transit or unread. */
export const WINDOW = 8;

/** Splits a text into parts, never inside a surrogate pair. */
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
