/**
 * Makes characters visible that a reader doesn't see, or that change how other text is shown: text from
 * outside must not hide anything from the user who decides about it, nor control a terminal.
 *
 * @module
 */

/**
 * Ranges of such characters. Newlines, tabs and characters that look like a space are not among them.
 * Emoji are: a variation selector or joiner that an emoji needs could as well carry a hidden message.
 */
const RANGES: readonly (readonly [first: number, last: number])[] = [
  [0x00, 0x08], // C0 controls
  [0x0b, 0x0c],
  [0x0e, 0x1f],
  [0x7f, 0x9f], // DEL, C1 controls
  [0xad, 0xad], // Soft hyphen
  [0x034f, 0x034f], // Combining grapheme joiner
  [0x061c, 0x061c], // Arabic letter mark
  [0x115f, 0x1160], // Hangul fillers
  [0x17b4, 0x17b5], // Khmer inherent vowels
  [0x180b, 0x180f], // Mongolian selectors and vowel separator
  [0x200b, 0x200f], // Zero-width space and joiners, marks of direction
  [0x2028, 0x202e], // Separators, embeddings and overrides of direction
  [0x2060, 0x206f], // Word joiner, invisible operators, isolates
  [0x2800, 0x2800], // Braille blank
  [0x3164, 0x3164], // Hangul filler
  [0xd800, 0xdfff], // Halves of characters
  [0xfe00, 0xfe0f], // Variation selectors
  [0xfeff, 0xfeff], // Byte order mark
  [0xffa0, 0xffa0], // Hangul filler, halfwidth
  [0xfff0, 0xfffb], // Reserved, annotation
  [0x1bca0, 0x1bca3], // Shorthand format controls
  [0x1d159, 0x1d159], // Musical null notehead
  [0x1d173, 0x1d17a], // Musical format controls
  [0xe0000, 0xe0fff], // Tags, variation selectors, reserved
];

const CLASS = RANGES.map(([first, last]) => `\\u{${first.toString(16)}}-\\u{${last.toString(16)}}`)
  .join("");
/** Matches each of them, and a carriage return that doesn't belong to the end of a line. */
const INVISIBLE = new RegExp(`[${CLASS}]|\\r(?!\\n)`, "gu");

/** Writes each invisible character of a text as code does: `\u202e`, `\u{e0041}`. */
export function escapeInvisible(text: string): string {
  return text.replace(INVISIBLE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code > 0xffff ? `\\u{${code.toString(16)}}` : escapeUnit(code);
  });
}

/** Writes the invisible characters in JSON text as JSON does, so that it has the same value. */
export function escapeInvisibleJson(json: string): string {
  return json.replace(INVISIBLE, (character) => {
    let escaped = "";
    for (let at = 0; at < character.length; at++) escaped += escapeUnit(character.charCodeAt(at));
    return escaped;
  });
}

function escapeUnit(code: number): string {
  return `\\u${code.toString(16).padStart(4, "0")}`;
}
