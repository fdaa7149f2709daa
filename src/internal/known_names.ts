/**
 * Refuses what is misspelled: an option that is silently ignored is a protection that isn't there.
 *
 * @module
 */
import { clip, quote } from "./quote.ts";
import { suggest } from "./suggest.ts";

/** The names of all fields of a type. The compiler refuses a name too many, and one that is missing. */
export type NamesOf<T> = { readonly [Name in keyof Required<T>]: true };

/** Returns the end of an error about an unknown name: the nearest that is known, if any is near. */
export function didYouMean(name: string, known: readonly string[], prefix = ""): string {
  const nearest = suggest(name, known);
  return nearest === undefined ? "" : `: did you mean ${quote(prefix + nearest)}?`;
}

/**
 * Checks that an object of options has known names only. A name whose value is `undefined` counts as left
 * out.
 *
 * @param where Whose options they are, for the error: `jwt()`
 * @param given The options, or `undefined`
 * @param names All names
 * @param prefix The name of the option that has these in it, with a dot at the end: `limits.`
 * @throws {TypeError} If it isn't an object, or a name is unknown, with the nearest name
 */
export function checkNames<T>(
  where: string,
  given: T | undefined,
  names: NamesOf<T>,
  prefix = "",
): void {
  if (given === undefined) return;
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    const what = prefix === "" ? "options" : quote(prefix.slice(0, -1));
    throw new TypeError(`Give an object as ${what} of ${where}: ${kindOf(given)}`);
  }
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(names, name) || Reflect.get(given, name) === undefined) continue;
    const hint = didYouMean(name, Object.keys(names), prefix);
    throw new TypeError(`Unknown option ${quote(prefix + clip(name, 80))} of ${where}${hint}`);
  }
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : typeof value;
}
