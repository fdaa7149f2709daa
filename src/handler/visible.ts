/**
 * What a principal sees of a dispatcher, where it may not know of everything.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { Forbidden, Unauthorized } from "../auth/errors.ts";
import type { Dispatcher, Exchange, Principal } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { unknownMethod, unknownTool } from "../protocol/unknown.ts";
import type { Authorize } from "./access_options.ts";
import type { Call } from "./call.ts";
import type { Endpoint } from "./endpoint.ts";

const NO_PARAMS: JsonObject = {};

/**
 * What the dispatcher answers to a call, as far as its principal may know of it. `hidden` says that
 * it may not even know of what it calls.
 */
export function dispatchFor(
  { dispatcher, settings }: Endpoint,
  call: Call,
  hidden: boolean,
): MaybePromise<JsonObject> {
  if (settings.authorize === undefined) return dispatcher.dispatch(call);
  const result = hidden ? hide(dispatcher, call) : dispatcher.dispatch(call);
  return isPromise(result) ? result.then((value) => shown(call, value)) : shown(call, result);
}

function hide(dispatcher: Dispatcher, call: Call): MaybePromise<JsonObject> {
  if (dispatcher.hide !== undefined) return dispatcher.hide(call);
  const { method, params } = call;
  throw method === "tools/call" ? unknownTool(params.name) : unknownMethod(method);
}

/** A result without tools that aren't for everybody, and which nobody may keep for others. */
function shown({ method, mayCall }: Call, given: JsonObject): MaybePromise<JsonObject> {
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

/** Whether a principal may know of a tool, found out once for each name; all where nobody decides. */
export function mayCallOf(
  { settings: { authorize } }: Endpoint,
  principal: Principal,
): Exchange["mayCall"] {
  if (authorize === undefined) return undefined;
  const verdicts = new Map<string, Promise<boolean>>();
  return (name) => {
    let verdict = verdicts.get(name);
    if (verdict === undefined) {
      verdict = isAllowed(authorize, principal, "tools/call", { name }).catch((error: unknown) => {
        // Who is told how to get a tool may see it.
        if (error instanceof Forbidden || error instanceof Unauthorized) return true;
        throw error;
      });
      verdicts.set(name, verdict);
    }
    return verdict;
  };
}

/** What `authorize` says. */
export async function isAllowed(
  authorize: Authorize,
  principal: Principal,
  method: string,
  params: JsonObject = NO_PARAMS,
): Promise<boolean> {
  const verdict: unknown = await authorize(principal, { method, params });
  if (typeof verdict === "boolean") return verdict;
  throw new TypeError(`Return true or false from authorize: ${typeof verdict}`);
}
