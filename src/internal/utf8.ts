/**
 * How long text is on the wire.
 *
 * @module
 */

/** The bytes of a text as UTF-8. A lone surrogate counts as the replacement character, as encoded. */
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

/** Whether two UTF-16 code units are one character, which takes four bytes. */
function isPair(high: number, low: number): boolean {
  return (high & 0xfc00) === 0xd800 && (low & 0xfc00) === 0xdc00;
}

/** Whether a text has at most so many bytes as UTF-8, without counting where its length tells. */
export function isWithinBytes(text: string, most: number): boolean {
  if (text.length * 3 <= most) return true;
  return text.length <= most && utf8Length(text) <= most;
}
