/**
 * Makes an uncaught error fail Deno's test run. With tests of `node:test`, Deno 2.9 passes over an error
 * that is thrown from a timer or an event, but never over an unhandled rejection. Loaded before tests.
 *
 * @module
 */
globalThis.addEventListener("error", ({ error, message }) => {
  Promise.reject(error ?? new Error(message));
});
