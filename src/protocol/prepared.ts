/**
 * Caches the JSON text of results that never change.
 *
 * @module
 */
import type { JsonObject } from "./jsonrpc.ts";

const texts = new WeakMap<JsonObject, string>();

/** Stores the JSON text of a result that must not change afterwards, and returns the result. */
export function prepare(result: JsonObject): JsonObject {
  texts.set(result, JSON.stringify(result));
  return result;
}

/** Returns the JSON text of a prepared result, or `undefined` for any other. */
export function preparedText(result: JsonObject): string | undefined {
  return texts.get(result);
}
