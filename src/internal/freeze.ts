/**
 * Freezes JSON values deeply.
 *
 * @module
 */

/** Freezes a JSON value with everything in it, and returns it. Not recursive, so depth is no limit. */
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
