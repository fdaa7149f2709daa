/**
 * What tells two upstreams apart: equal for equal settings, different for any other.
 *
 * @module
 */
import { randomText } from "../internal/random.ts";

/** Functions and objects that can't be written down are told apart by a name of their own. */
const names = new WeakMap<object, string>();

/** The identity of an upstream of a kind, with everything that its sessions depend on. */
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
  // With methods it may hold more than what it shows.
  return !Object.values(value).some((each) => typeof each === "function");
}

function nameOf(value: object): string {
  let name = names.get(value);
  if (name === undefined) names.set(value, name = randomText(16));
  return name;
}
