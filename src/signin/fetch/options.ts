/**
 * Checks of options that are texts, and of the keys that seal a store.
 *
 * @module
 */
import type { Store } from "../../cluster/mod.ts";

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

/**
 * Returns the keys that seal what is stored; a random one for a store that ends with the process.
 *
 * @throws {TypeError} If one is too short, or none are given for a store that others open, or this process
 * after a restart
 */
export function keysOption(
  keys: readonly (string | Uint8Array)[] | undefined,
  store: Store | undefined,
): readonly (string | Uint8Array)[] {
  if (keys === undefined) {
    if (store?.shared === true) {
      throw new TypeError('Give "keys", the same at all nodes that share the store');
    }
    if (store?.durable === true) {
      throw new TypeError('Give "keys": random ones could not open the store after a restart');
    }
    return [crypto.getRandomValues(new Uint8Array(32))];
  }
  if (!Array.isArray(keys) || keys.length === 0) {
    throw new TypeError('Give one key or more as "keys"');
  }
  for (const key of keys) {
    const isKey = typeof key === "string" || key instanceof Uint8Array;
    if (!isKey || key.length < 32) throw new TypeError('Give keys of 32 bytes or more as "keys"');
  }
  return [...keys];
}
