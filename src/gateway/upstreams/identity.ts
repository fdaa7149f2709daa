/**
 * Derives the identity of an upstream from its settings.
 *
 * @module
 */
import { randomText } from "../../kit.ts";

/** Names functions and objects that can't be serialized. */
const names = new WeakMap<object, string>();

/** Returns an identity that is equal for equal settings, and different for any others. */
export function identityOf(kind: string, settings: readonly unknown[]): string {
  return JSON.stringify([kind, ...settings], (_key, value: unknown) => {
    if (typeof value === "function") return nameOf(value);
    if (typeof value === "object" && value !== null && !isPlain(value)) return nameOf(value);
    return value === undefined ? null : value;
  });
}

function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) return false;
  // An object with methods may hold hidden state.
  return !Object.values(value).some((each) => typeof each === "function");
}

function nameOf(value: object): string {
  let name = names.get(value);
  if (name === undefined) names.set(value, name = randomText(16));
  return name;
}
