/**
 * Limits how often a validation follows references.
 *
 * @module
 */

/** Allows this many for any value. */
const LEAST = 10_000;
/** Allows this many for each value in the validated one. */
const PER_NODE = 8;
/** Allows no more than this. */
const MOST = 100_000;

/**
 * Limits how often one validation follows references of recursive schemas. Any other schema takes time in
 * proportion to the size of the value. One that refers to itself in several alternatives can take twice
 * as long, or more, with each level of the value.
 */
export class ReferenceBudget {
  #value: unknown;
  #left = 0;
  #isExtended = false;

  /** Begins a validation. */
  begin(value: unknown): void {
    this.#value = value;
    this.#left = LEAST;
    this.#isExtended = false;
  }

  /** Ends a validation. */
  end(): void {
    this.#value = undefined;
  }

  /**
   * Counts each time that the validator reads the references of a part of the schema: it does that once
   * whenever it validates a value with that part.
   */
  watch(part: object): void {
    for (const keyword of ["$ref", "$recursiveRef"]) {
      const reference: unknown = Reflect.get(part, keyword);
      if (reference === undefined) continue;
      Object.defineProperty(part, keyword, {
        get: () => {
          this.#count();
          return reference;
        },
      });
    }
  }

  /** @throws {RangeError} If the budget is used up */
  #count(): void {
    if (--this.#left >= 0) return;
    if (this.#isExtended) throw new RangeError("The schema follows too many references");
    // The value is only measured if it needs more than most do.
    this.#isExtended = true;
    this.#left = PER_NODE * countNodes(this.#value, MOST / PER_NODE) - LEAST;
  }
}

/** Counts the values in a value, up to a limit. */
function countNodes(value: unknown, most: number): number {
  const open: unknown[] = [value];
  let nodes = 0;
  while (open.length > 0 && nodes < most) {
    const next = open.pop();
    nodes++;
    if (typeof next !== "object" || next === null) continue;
    for (const part of Object.values(next)) open.push(part);
  }
  return nodes;
}
