/**
 * Refuses options of unknown names: one that is misspelled would have no effect, and nobody may believe in
 * a protection that isn't there.
 *
 * @module
 */
import { suggest } from "./suggest.ts";

/** The names of all members of a type, as an object. */
export type EachOf<T> = { readonly [K in keyof Required<T>]: true };

/**
 * Checks that an options object has no other names than the known ones. A name with the value `undefined`
 * counts as left out.
 *
 * @param known An object with the known names
 * @param given The options
 * @param where What stands before and after the name in the error
 * @throws {TypeError} If there is an unknown name: with the nearest known one
 */
export function checkNames(
  known: object,
  given: object | undefined,
  where: { readonly prefix?: string; readonly of?: string } = {},
): void {
  for (const [name, value] of Object.entries(given ?? {})) {
    if (value === undefined || Object.hasOwn(known, name)) continue;
    throw new TypeError(unknownName(name, Object.keys(known), where));
  }
}

/** Returns the sentence for an unknown name. */
export function unknownName(
  name: string,
  known: readonly string[],
  { prefix = "", of }: { readonly prefix?: string; readonly of?: string } = {},
): string {
  const nearest = suggest(name, known);
  const hint = nearest === undefined ? "" : `, did you mean "${prefix}${nearest}"`;
  return `Unknown option "${prefix}${name}"${of === undefined ? "" : ` of ${of}`}${hint}`;
}
