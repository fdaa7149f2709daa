/**
 * Compares secrets.
 *
 * @module
 */

/** Compares two texts in a time that doesn't tell where they differ. */
export function sameText(one: string, other: string): boolean {
  let difference = one.length ^ other.length;
  // Where the other is shorter, this compares with nothing.
  for (let i = 0; i < one.length; i++) difference |= one.charCodeAt(i) ^ other.charCodeAt(i);
  return difference === 0;
}
