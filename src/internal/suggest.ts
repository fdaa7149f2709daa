/**
 * Suggests the known name nearest to an unknown one.
 *
 * @module
 */
import leven from "leven";

/** Characters of the longest name that is compared: the comparison takes the square of the time. */
const MAX_LENGTH = 64;

/**
 * Finds the known name that takes the fewest changed letters: at most two, or a third of the name.
 *
 * @returns The first of the nearest names, or `undefined` if none is near enough
 */
export function suggest(name: string, known: readonly string[]): string | undefined {
  if (name.length > MAX_LENGTH) return undefined;
  const lower = name.toLowerCase();
  let nearest: string | undefined;
  let fewest = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const changes = leven(lower, candidate.toLowerCase());
    if (changes < fewest) [nearest, fewest] = [candidate, changes];
  }
  return nearest;
}
