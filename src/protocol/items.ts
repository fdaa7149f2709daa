/**
 * Names the single items that servers list: tools, prompts and resources.
 *
 * @module
 */
import { isObject, type JsonObject } from "./jsonrpc.ts";

/** The name of the request that uses an item, which decides whether the item is visible to a principal. */
export type ItemMethod = "tools/call" | "prompts/get" | "resources/read";

/** Identifies an item. */
export interface Item {
  /** The name of the request that uses it. */
  readonly method: ItemMethod;
  /** Its name or URI; for a resource template, the template. */
  readonly key: string;
}

/** What a principal must not know of: the item that a request is about, or its method. */
export type Hidden = "item" | "method";

/** The entries of a list. */
export interface ItemList {
  /** Names the member of the result that holds them. */
  readonly field: string;
  /** The name of the member of an entry that identifies it. */
  readonly id: string;
  /** The name of the request that uses an entry. */
  readonly method: ItemMethod;
}

/** The lists of items, by the request that reads them. */
export const ITEM_LISTS: ReadonlyMap<string, ItemList> = new Map([
  ["tools/list", { field: "tools", id: "name", method: "tools/call" }],
  ["prompts/list", { field: "prompts", id: "name", method: "prompts/get" }],
  ["resources/list", { field: "resources", id: "uri", method: "resources/read" }],
  [
    "resources/templates/list",
    { field: "resourceTemplates", id: "uriTemplate", method: "resources/read" },
  ],
]);

/** Returns the item that a request is about, or `undefined`. */
export function itemOf(method: string, params: JsonObject = {}): Item | undefined {
  switch (method) {
    case "tools/call":
    case "prompts/get":
      return item(method, params.name);
    case "resources/read":
    case "resources/subscribe":
      return item("resources/read", params.uri);
    case "completion/complete": {
      const ref = isObject(params.ref) ? params.ref : {};
      if (ref.type === "ref/prompt") return item("prompts/get", ref.name);
      return ref.type === "ref/resource" ? item("resources/read", ref.uri) : undefined;
    }
  }
  return undefined;
}

/** Returns the parameters of the request that uses an item, which `authorize` is asked about. */
export function itemParams({ method, key }: Item): JsonObject {
  return method === "resources/read" ? { uri: key } : { name: key };
}

/** Returns the parameters of a request for a resource, with another URI. */
export function withUri(params: JsonObject, uri: string): JsonObject {
  const { ref } = params;
  return isObject(ref) ? { ...params, ref: { ...ref, uri } } : { ...params, uri };
}

function item(method: ItemMethod, key: unknown): Item | undefined {
  return typeof key === "string" ? { method, key } : undefined;
}
