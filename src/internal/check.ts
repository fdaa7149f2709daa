/**
 * Checks of options at construction.
 *
 * @module
 */

/**
 * Returns the given number, or the default when it is `undefined`.
 *
 * @throws {TypeError} If it is not a number
 * @throws {RangeError} If it is neither an integer of `min` or more nor `Infinity`
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
 * Returns the given function, or `undefined`.
 *
 * @throws {TypeError} If it is anything else
 */
export function functionOption<T>(name: string, value: T | undefined): T | undefined {
  if (value !== undefined && typeof value !== "function") {
    throw new TypeError(`Give a function as "${name}": ${typeof value}`);
  }
  return value;
}

/**
 * Returns the given boolean, or the default when it is `undefined`.
 *
 * @throws {TypeError} If it is anything else
 */
export function booleanOption(
  name: string,
  value: boolean | undefined,
  byDefault: boolean,
): boolean {
  if (value === undefined) return byDefault;
  if (typeof value === "boolean") return value;
  throw new TypeError(`Give a boolean as "${name}": ${typeof value}`);
}

/** The longest time that a timer can wait, in milliseconds. */
const MOST_DELAY_MS = 2 ** 31 - 1;

/**
 * Checks an option that is a time to wait, in milliseconds.
 *
 * @throws {RangeError} If it is not an integer from 1 to 2,147,483,647
 */
export function delayOption<Default extends number | undefined = undefined>(
  name: string,
  value: number | undefined,
  byDefault?: Default,
): number | Default {
  if (value === undefined) return byDefault as Default;
  const ms = integerOption(name, value, 1);
  if (ms <= MOST_DELAY_MS) return ms;
  throw new RangeError(`Give at most ${MOST_DELAY_MS} as "${name}": ${ms}`);
}

/**
 * Checks that an option is an array of keys that are long enough.
 *
 * @throws {TypeError} If it is no array of strings or byte arrays
 * @throws {RangeError} If a key has less than 32 bytes
 */
export function keysOption(
  name: string,
  keys: readonly (string | Uint8Array)[],
): readonly (string | Uint8Array)[] {
  if (!Array.isArray(keys)) {
    throw new TypeError(`Give an array of keys as "${name}": ${typeof keys}`);
  }
  for (const key of keys) {
    if (typeof key !== "string" && !(key instanceof Uint8Array)) {
      throw new TypeError(`Give strings or byte arrays as "${name}": ${typeof key}`);
    }
    if (key.length < 32) {
      throw new RangeError(`Give keys of 32 bytes or more as "${name}": ${key.length}`);
    }
  }
  return keys;
}
