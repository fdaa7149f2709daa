/**
 * Names types of values.
 *
 * @module
 */

/** Names the type of a value for error messages, without revealing the value. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}
