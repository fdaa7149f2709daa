/**
 * Results that stay the same from request to request, with their text, which is made once.
 *
 * @module
 */
import type { JsonObject } from "./jsonrpc.ts";

const texts = new WeakMap<JsonObject, string>();

/** Makes the text of a result that will never change, so that nobody has to make it again. */
export function prepare(result: JsonObject): JsonObject {
  texts.set(result, JSON.stringify(result));
  return result;
}

/** The text of a prepared result; `undefined` for any other. */
export function preparedText(result: JsonObject): string | undefined {
  return texts.get(result);
}
