/**
 * Estimates what strings take in memory.
 *
 * @module
 */

const WIDE = /[\u0100-\uffff]/;

/**
 * Returns the bytes of a string's characters in memory: one for each UTF-16 code unit, or two if any of
 * them is beyond Latin-1, as V8 and JavaScriptCore store strings.
 */
export function stringMemory(text: string): number {
  return WIDE.test(text) ? 2 * text.length : text.length;
}
