/**
 * Makes `console.assert` throw, so that an example fails when an assertion does. Loaded before examples.
 *
 * @module
 */
console.assert = (condition?: unknown, ...data: unknown[]): void => {
  if (!condition) throw new Error(["Assertion failed", ...data].join(": "));
};
