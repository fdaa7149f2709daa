/**
 * Defines what a request is about. A dispatcher finds it once; whatever judges, changes or records the
 * request reads it, and nothing else.
 *
 * The next step of a call is in `auth/authorize.ts`.
 *
 * @module
 */
import { type MaybePromise, then } from "../internal/types.ts";
import { MissingScopesError } from "./errors.ts";
import type { Dispatcher, Exchange, Principal } from "./exchange.ts";
import type { HeaderParam } from "./headers.ts";
import { type Hidden, itemOf } from "./items.ts";
import type { JsonObject } from "./jsonrpc.ts";
import { unknownMethod, unknownPrompt, unknownResource, unknownTool } from "./unknown.ts";

/** A request's method and parameters. */
export interface RequestMessage {
  /** The method. */
  readonly method: string;
  /** The parameters; an empty object if there are none. */
  readonly params: JsonObject;
}

/**
 * The tool, prompt or resource that a request is about. A name that the server doesn't know is left out,
 * so there are never more different names than the server has.
 */
export interface RequestTarget {
  /** The name of the tool. */
  readonly tool?: string;
  /** The name of the prompt. */
  readonly prompt?: string;
  /** The URI of the resource as it is registered, or its template: never the URI that the client sent. */
  readonly resource?: string;
  /** The name of the gateway's upstream that the request goes to. */
  readonly upstream?: string;
}

/**
 * What a request is about, under the one name that it has here: aliases, the names that apps know, calls
 * through another tool and other spellings of a URI all lead to the same route.
 */
export interface Route extends RequestMessage {
  /** The parameters, with the names that the dispatcher's lists show. */
  readonly params: JsonObject;
  /** What the request is about, for events. MUST NOT have a name that a client can make up. */
  readonly target?: RequestTarget | undefined;
  /** Whether a method that is not one of the protocol is served. Events name no other methods. */
  readonly served?: boolean;
  /** The scopes that a principal needs. */
  readonly scopes?: readonly string[] | undefined;
  /** The arguments of the tool that 2026 clients repeat in headers. */
  readonly headerParams?: readonly HeaderParam[] | undefined;
  /**
   * Whether the call may be begun again at another node if its node dies. MUST only be `true` for a tool
   * that has no further effect when it runs again.
   */
  readonly retry?: boolean;
  /**
   * When a call is answered although the tool still runs, if the handler does that; `false` for never. The
   * handler's time when left out.
   */
  readonly longCalls?: false | { readonly afterMs: number } | undefined;
  /**
   * Whether repeats of the call, with the same key, get the first one's answer: then what the call is of,
   * by its server and tool. Keys are ignored when left out.
   */
  readonly answerOnce?: string | undefined;
  /** Whether the tool has an output schema; `undefined` if that is not known. */
  readonly outputSchema?: boolean | undefined;
  /**
   * The request that `authorize` decides about in place of this one: `tools/list` for a tool that does
   * nothing but show others.
   */
  readonly authorizedAs?: RequestMessage;
  /**
   * Finds the rest of the route, where only the request's session knows it: `proceed` takes the whole
   * route, and returns the result. Until then the request is neither authorized nor run.
   */
  settle?(
    exchange: Exchange,
    proceed: (route: Route) => MaybePromise<JsonObject>,
  ): MaybePromise<JsonObject>;
  /**
   * Returns the result of the request.
   *
   * @param exchange The request, with the parameters of the route
   */
  run(exchange: Exchange): MaybePromise<JsonObject>;
  /**
   * Fails the request as if what it is about, or its method, were unknown, after the same work. Needed
   * only if the errors for what is unknown differ from those of `McpServer`: a client must not be able to
   * tell what is hidden from what doesn't exist.
   */
  hide?(exchange: Exchange, hidden: Hidden): MaybePromise<JsonObject>;
}

/** Shows a request with the parameters of another route, or as another request. */
export function exchangeWith(exchange: Exchange, route: Route): Exchange {
  const own: ReadonlySet<string | symbol> = new Set(["method", "params", "target"]);
  return new Proxy(exchange, {
    get(exchange, key) {
      // What it is about may become known while it runs.
      if (own.has(key)) return Reflect.get(route, key);
      const value: unknown = Reflect.get(exchange, key, exchange);
      return typeof value === "function" ? value.bind(exchange) : value;
    },
  });
}

/**
 * Checks the scopes that a route needs.
 *
 * @throws {MissingScopesError} If the principal lacks one
 */
export function requireScopes(principal: Principal, { scopes }: Pick<Route, "scopes">): void {
  if (scopes !== undefined && !hasScopes(principal, scopes)) throw new MissingScopesError(scopes);
}

/** Tells whether a principal has all of the scopes. */
export function hasScopes({ scopes: granted }: Principal, needed: readonly string[]): boolean {
  // Applications may break the type: a string has `includes` too, which would match a part of a scope.
  return needed.length === 0 ||
    needed.every((scope) => Array.isArray(granted) && granted.includes(scope));
}

/** Fails a request as if what it is about, or its method, were unknown. */
export function hideRoute(
  route: Route,
  exchange: Exchange,
  hidden: Hidden,
): MaybePromise<JsonObject> {
  if (route.hide !== undefined) return route.hide(exchange, hidden);
  const { method, params, protocolVersion } = exchange;
  if (hidden === "method") throw unknownMethod(method);
  const item = itemOf(method, params);
  if (method === "tools/call") throw unknownTool(params.name);
  const isPrompt = method === "prompts/get" || item?.method === "prompts/get";
  throw isPrompt ? unknownPrompt(item?.key) : unknownResource(protocolVersion, item?.key);
}

/**
 * Returns the result of a request that comes to a dispatcher on another way than through an endpoint,
 * such as a gateway in the same process. Checks scopes, and whether the principal may use what the
 * request turns out to be about: an endpoint before has only judged the name that it was sent with.
 *
 * @throws {MissingScopesError} If the principal lacks a scope
 */
export function dispatch(dispatcher: Dispatcher, exchange: Exchange): MaybePromise<JsonObject> {
  const { method, params, principal, mayUse } = exchange;
  const run = (route: Route): MaybePromise<JsonObject> => {
    requireScopes(principal, route);
    if (route.params === params) return route.run(exchange);
    const own = exchangeWith(exchange, route);
    const item = mayUse && itemOf(route.method, route.params);
    const allowed = item === undefined || mayUse === undefined || mayUse(item.method, item.key);
    return then(allowed, (allowed) => allowed ? route.run(own) : hideRoute(route, own, "item"));
  };
  const route = dispatcher.route({ method, params }, principal);
  return route.settle === undefined ? run(route) : route.settle(exchange, run);
}
