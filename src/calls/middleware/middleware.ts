/**
 * Passes requests through middleware.
 *
 * @module
 */
import { type MaybePromise, then } from "../../internal/types.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import type { Chain, Middleware, Passage } from "../../protocol/middleware.ts";

/**
 * Checks a list of middleware.
 *
 * @returns A copy, or `undefined` if the list is empty or was left out
 * @throws {TypeError} If it is not an array of functions
 */
export function middlewareOption<T>(
  name: string,
  given: readonly T[] = [],
): readonly T[] | undefined {
  if (!Array.isArray(given)) {
    throw new TypeError(`Give an array of functions as "${name}": ${typeof given}`);
  }
  for (const one of given) {
    if (typeof one === "function") continue;
    throw new TypeError(`Give functions in "${name}": ${typeof one}`);
  }
  return given.length === 0 ? undefined : [...given];
}

/** Combines middleware: the first is the outermost. Returns `undefined` if there is none. */
export function chainOf(middleware: readonly Middleware[] | undefined): Chain | undefined {
  return middleware && ((passage) => pass(middleware, 0, passage));
}

function pass(
  middleware: readonly Middleware[],
  index: number,
  passage: Passage,
): MaybePromise<JsonObject> {
  const current = middleware[index];
  if (current === undefined) return passage.run();
  const proceed = (passage: Passage) => pass(middleware, index + 1, passage);
  const next = once(
    `middleware[${index}]`,
    (params) => params === undefined ? proceed(passage) : passage.rewrite(params, proceed),
  );
  return then(current(passage.exchange, next), (result) => checked(index, result));
}

/**
 * Returns a function that continues with a request, once.
 *
 * @param name The name of the middleware that gets it, for errors
 */
export function once<Result>(
  name: string,
  proceed: (params: JsonObject | undefined) => Result,
): (params?: JsonObject) => Result {
  let called = false;
  return (params) => {
    if (called) throw new TypeError(`Call next() once in ${name}`);
    if (params !== undefined && !isObject(params)) {
      throw new TypeError(`Give an object of parameters to next() in ${name}: ${typeof params}`);
    }
    called = true;
    return proceed(params);
  };
}

function checked(index: number, result: unknown): JsonObject {
  if (isObject(result)) return result;
  throw new TypeError(`Return a result from middleware[${index}], such as that of next()`);
}
