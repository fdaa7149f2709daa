/**
 * Finds out how deeply JSON is nested, before it is parsed.
 *
 * @module
 */
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** The codes of `[` and `{`, and of `]` and `}`, differ only in this bit. */
const BRACKET_BIT = 0x20;
const OPEN = 0x5b | BRACKET_BIT;
const CLOSE = 0x5d | BRACKET_BIT;

/**
 * Tells whether objects and arrays are nested deeper than `maxDepth` levels. Counts every level that a
 * JSON parser would enter; for text that isn't JSON the result may be either.
 */
export function nestsDeeper(text: string, maxDepth: number): boolean {
  // Each level takes two characters.
  if (text.length < 2 * (maxDepth + 1)) return false;
  // Most texts have fewer brackets than allowed levels: counting them is faster than scanning the text.
  const arrays = count(text, "[", maxDepth + 1);
  if (arrays + count(text, "{", maxDepth + 1 - arrays) <= maxDepth) return false;
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === BACKSLASH) i++;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) {
      inString = true;
    } else if ((code | BRACKET_BIT) === OPEN) {
      if (++depth > maxDepth) return true;
    } else if ((code | BRACKET_BIT) === CLOSE) {
      depth--;
    }
  }
  return false;
}

/** Counts the occurrences of a character, up to `most`. */
function count(text: string, char: string, most: number): number {
  let found = 0;
  let at = -1;
  while (found < most && (at = text.indexOf(char, at + 1)) !== -1) found++;
  return found;
}
