/**
 * Makes an uncaught error fail Deno's test run. With tests of `node:test`, Deno 2.9 ignores an error thrown
 * from a timer or an event listener, but not an unhandled rejection. Loaded before tests.
 *
 * @module
 */
globalThis.addEventListener("error", ({ error, message }) => {
  Promise.reject(error ?? new Error(message));
});
