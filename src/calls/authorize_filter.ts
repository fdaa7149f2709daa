/**
 * Filters a dispatcher's results for a principal from whom `authorize` hides tools, prompts or resources.
 *
 * @module
 */
import { type Authorize, isAllowed } from "../auth/authorize.ts";
import { Forbidden, Unauthorized } from "../auth/errors.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import type { Dispatcher, Exchange, Principal } from "../protocol/exchange.ts";
import { type Hidden, ITEM_LISTS, itemOf, itemParams } from "../protocol/items.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { unknownMethod, unknownPrompt, unknownResource, unknownTool } from "../protocol/unknown.ts";

/**
 * Dispatches a call, and removes hidden items from its result.
 *
 * @param hidden Whether the item that the call is about, or its method, is hidden from the principal
 */
export function dispatchVisible(
  dispatcher: Dispatcher,
  call: Exchange,
  hidden: Hidden | undefined,
): MaybePromise<JsonObject> {
  const result = hidden === undefined ? dispatcher.dispatch(call) : hide(dispatcher, call, hidden);
  return visibleResult(call, result);
}

/** Removes items that are hidden from the principal from a result. */
export function visibleResult(
  call: Exchange,
  result: MaybePromise<JsonObject>,
): MaybePromise<JsonObject> {
  return isPromise(result) ? result.then((value) => shown(call, value)) : shown(call, result);
}

function hide(dispatcher: Dispatcher, call: Exchange, hidden: Hidden): MaybePromise<JsonObject> {
  if (dispatcher.hide !== undefined) return dispatcher.hide(call, hidden);
  const { method, params, protocolVersion } = call;
  if (hidden === "method") throw unknownMethod(method);
  const item = itemOf(method, params);
  if (method === "tools/call") throw unknownTool(params.name);
  const isPrompt = method === "prompts/get" || item?.method === "prompts/get";
  throw isPrompt ? unknownPrompt(item?.key) : unknownResource(protocolVersion, item?.key);
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
  authorize: Authorize,
  principal: Principal,
): NonNullable<Exchange["mayUse"]> {
  const verdicts = new Map<string, Promise<boolean>>();
  return (method, key) => {
    const name = `${method} ${key}`;
    let verdict = verdicts.get(name);
    if (verdict === undefined) {
      const asked = isAllowed(authorize, principal, method, itemParams({ method, key }));
      verdict = asked.catch((error: unknown) => {
        // The item is visible: using it gets a challenge with the scopes that it needs.
        if (error instanceof Forbidden || error instanceof Unauthorized) return true;
        throw error;
      });
      verdicts.set(name, verdict);
    }
    return verdict;
  };
}
