/**
 * Checks of options at construction.
 *
 * @module
 */

/**
 * The given text.
 *
 * @throws {TypeError} If it is none, or empty
 */
export function textOption(name: string, given: unknown): string {
  if (typeof given === "string" && given !== "") return given;
  throw new TypeError(`Give a text as "${name}": ${String(given)}`);
}

/**
 * The given texts: one, or an array of them.
 *
 * @throws {TypeError} If there is none, or one is empty
 */
export function textsOption(name: string, given: unknown): string[] {
  const list = Array.isArray(given) ? given : [given];
  if (list.length === 0) throw new TypeError(`Give at least one text as "${name}"`);
  return list.map((one) => textOption(name, one));
}
