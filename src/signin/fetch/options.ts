/**
 * Checks of options that are objects.
 *
 * @module
 */

/**
 * Checks that options have no other names than the known ones.
 *
 * @param what What the options are for, such as `oidc()`
 * @throws {TypeError} If they aren't an object, or have an unknown name
 */
export function checkNames(what: string, options: unknown, names: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TypeError(`Give an object as the options of ${what}`);
  }
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) throw new TypeError(`Unknown option "${name}" of ${what}`);
  }
}

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
