/**
 * Other people's words as they may stand in a message: never long.
 *
 * @module
 */

/** A text in quotes, cut where it is longer than `most` characters. */
export function quote(text: string, most = 100): string {
  return `"${clip(text, most)}"`;
}

/** A text, cut where it is longer than `most` characters. */
export function clip(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most).toWellFormed()}…`;
}
