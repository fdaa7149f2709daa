/**
 * Measures strings as UTF-8.
 *
 * @module
 */

/** Counts the bytes of a string as UTF-8. A lone surrogate counts as the replacement character. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    bytes += unit < 0x800 ? 1 : 2;
    if (isPair(unit, text.charCodeAt(i + 1))) i++;
  }
  return bytes;
}

/** Tells whether two UTF-16 code units are a surrogate pair, which takes four bytes. */
function isPair(high: number, low: number): boolean {
  return (high & 0xfc00) === 0xd800 && (low & 0xfc00) === 0xdc00;
}

/** Tells whether a string has at most `most` bytes as UTF-8. Counts only if the length doesn't tell. */
export function isWithinBytes(text: string, most: number): boolean {
  if (text.length * 3 <= most) return true;
  return text.length <= most && utf8Length(text) <= most;
}
