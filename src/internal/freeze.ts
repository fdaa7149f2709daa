/**
 * Makes JSON values unchangeable, in all their depth.
 *
 * @module
 */

/** Freezes a JSON value with everything in it, and gives it back. However deep it is, it takes no stack. */
export function freezeDeep<T>(value: T): T {
  const left: unknown[] = [value];
  for (let one = left.pop(); one !== undefined; one = left.pop()) {
    if (typeof one !== "object" || one === null) continue;
    for (const part of Object.values(Object.freeze(one))) {
      if (typeof part === "object" && part !== null) left.push(part);
    }
  }
  return value;
}
