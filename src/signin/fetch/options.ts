/**
 * Checks of options that are texts.
 *
 * @module
 */

/**
 * Returns a string that isn't empty.
 *
 * @throws {TypeError} If the value is anything else
 */
export function stringOption(name: string, value: unknown): string {
  if (typeof value === "string" && value !== "" && value.trim() === value) return value;
  throw new TypeError(`Give a string as "${name}", not empty, and without spaces around it`);
}

/**
 * Returns a list of strings, none of them empty, or the default when it is `undefined`.
 *
 * @throws {TypeError} If the value is anything else
 */
export function stringsOption(
  name: string,
  value: unknown,
  byDefault: readonly string[],
): readonly string[] {
  if (value === undefined) return byDefault;
  if (Array.isArray(value) && value.every((entry) => typeof entry === "string" && entry !== "")) {
    return [...value];
  }
  throw new TypeError(`Give a list of strings as "${name}"`);
}
