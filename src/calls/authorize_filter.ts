/**
 * Filters a dispatcher's results for a principal from whom `authorize` hides tools.
 *
 * @module
 */
import { type Authorize, isAllowed } from "../auth/authorize.ts";
import { Forbidden, Unauthorized } from "../auth/errors.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import type { Dispatcher, Exchange, Principal } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { unknownMethod, unknownTool } from "../protocol/unknown.ts";

/**
 * Dispatches a call, and removes hidden tools from its result.
 *
 * @param hidden Whether the called tool or method itself is hidden from the principal
 */
export function dispatchVisible(
  dispatcher: Dispatcher,
  call: Exchange,
  hidden: boolean,
): MaybePromise<JsonObject> {
  const result = hidden ? hide(dispatcher, call) : dispatcher.dispatch(call);
  return isPromise(result) ? result.then((value) => shown(call, value)) : shown(call, result);
}

function hide(dispatcher: Dispatcher, call: Exchange): MaybePromise<JsonObject> {
  if (dispatcher.hide !== undefined) return dispatcher.hide(call);
  const { method, params } = call;
  throw method === "tools/call" ? unknownTool(params.name) : unknownMethod(method);
}

/** Removes hidden tools from a list, and marks results that differ by principal as private. */
function shown({ method, mayCall }: Exchange, given: JsonObject): MaybePromise<JsonObject> {
  const result = given.cacheScope === "public" ? { ...given, cacheScope: "private" } : given;
  const { tools } = result;
  if (method !== "tools/list" || mayCall === undefined || !Array.isArray(tools)) return result;
  const names = tools.map((tool) => isObject(tool) ? tool.name : undefined);
  const verdicts = names.map((name) => typeof name === "string" && mayCall(name));
  return Promise.all(verdicts).then((verdicts) => {
    if (verdicts.every((verdict) => verdict)) return result;
    return { ...result, tools: tools.filter((_, index) => verdicts[index]) };
  });
}

/** Creates the function that tells whether a tool is visible to a principal. Caches each result. */
export function mayCallOf(
  authorize: Authorize,
  principal: Principal,
): Exchange["mayCall"] {
  const verdicts = new Map<string, Promise<boolean>>();
  return (name) => {
    let verdict = verdicts.get(name);
    if (verdict === undefined) {
      verdict = isAllowed(authorize, principal, "tools/call", { name }).catch((error: unknown) => {
        // The tool is visible: a call gets a challenge with the scopes that it needs.
        if (error instanceof Forbidden || error instanceof Unauthorized) return true;
        throw error;
      });
      verdicts.set(name, verdict);
    }
    return verdict;
  };
}
