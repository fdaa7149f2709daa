/**
 * Filters a dispatcher's results for a principal from whom `authorize` hides tools, prompts or resources.
 *
 * @module
 */
import { isAllowed } from "../auth/authorize.ts";
import { Forbidden, Unauthorized } from "../auth/errors.ts";
import { type MaybePromise, then } from "../internal/types.ts";
import type { Exchange, Principal } from "../protocol/exchange.ts";
import { type Item, ITEM_LISTS, itemParams } from "../protocol/items.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import type { Calls } from "./calls.ts";

/** Removes items that are hidden from the principal from a result. */
export function visibleResult(
  call: Exchange,
  result: MaybePromise<JsonObject>,
): MaybePromise<JsonObject> {
  return then(result, (value) => shown(call, value));
}

/** Removes hidden items from a list, and marks results that differ by principal as private. */
function shown({ method, mayUse }: Exchange, given: JsonObject): MaybePromise<JsonObject> {
  const result = given.cacheScope === "public" ? { ...given, cacheScope: "private" } : given;
  const list = ITEM_LISTS.get(method);
  if (list === undefined || mayUse === undefined) return result;
  const entries = result[list.field];
  if (!Array.isArray(entries)) return result;
  const keys = entries.map((entry) => isObject(entry) ? entry[list.id] : undefined);
  const verdicts = keys.map((key) => typeof key === "string" && mayUse(list.method, key));
  return Promise.all(verdicts).then((verdicts) => {
    if (verdicts.every((verdict) => verdict)) return result;
    return { ...result, [list.field]: entries.filter((_, index) => verdicts[index]) };
  });
}

/** Creates the function that tells whether an item is visible to a principal. Caches each result. */
export function mayUseOf(
  { dispatcher, settings: { authorize } }: Pick<Calls, "dispatcher" | "settings">,
  principal: Principal,
): Exchange["mayUse"] {
  if (authorize === undefined) return undefined;
  const verdicts = new Map<string, Promise<boolean>>();
  const ask = async (item: Item) => {
    try {
      const message = { method: item.method, params: itemParams(item) };
      const { authorizedAs = message } = dispatcher.route(message, principal);
      return await isAllowed(authorize, principal, authorizedAs);
    } catch (error) {
      // The item is visible: using it gets a challenge with the scopes that it needs.
      if (error instanceof Forbidden || error instanceof Unauthorized) return true;
      throw error;
    }
  };
  return (method, key) => {
    const name = `${method} ${key}`;
    let verdict = verdicts.get(name);
    if (verdict === undefined) verdicts.set(name, verdict = ask({ method, key }));
    return verdict;
  };
}
