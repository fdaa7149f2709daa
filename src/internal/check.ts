/**
 * Checks of options at construction.
 *
 * @module
 */

/**
 * The given number, or the default when there is none.
 *
 * @throws {TypeError} If it is not a number
 * @throws {RangeError} If it is not an integer from `min` on, where `Infinity` counts as one
 */
export function integerOption(
  name: string,
  value: number | undefined,
  byDefault: number,
  min = 1,
): number {
  if (value === undefined) return byDefault;
  if (typeof value !== "number") {
    throw new TypeError(`Give a number as "${name}": ${typeof value}`);
  }
  if (value !== Infinity && !(Number.isInteger(value) && value >= min)) {
    throw new RangeError(`Give an integer of ${min} or more as "${name}": ${value}`);
  }
  return value;
}

/**
 * The given function, or `undefined` when there is none.
 *
 * @throws {TypeError} If it is anything else
 */
export function functionOption<T>(name: string, value: T | undefined): T | undefined {
  if (value !== undefined && typeof value !== "function") {
    throw new TypeError(`Give a function as "${name}": ${typeof value}`);
  }
  return value;
}
