/**
 * Shortens strings from outside for use in messages.
 *
 * @module
 */

/** Returns a string in quotes, truncated to `most` characters. */
export function quote(text: string, most = 100): string {
  return `"${clip(text, most)}"`;
}

/** Returns a string, truncated to `most` characters. */
export function clip(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most).toWellFormed()}…`;
}
