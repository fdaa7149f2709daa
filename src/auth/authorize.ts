/**
 * Authorizes requests before they run: hides those that the application's `authorize` rejects, and
 * refuses calls of tools whose scopes the principal lacks.
 *
 * The next step of a call is in `handler/eras.ts`.
 *
 * @module
 */
import type { Inbound } from "../http/inbound.ts";
import type { Refusal } from "../http/reply.ts";
import { attempt, isPromise, type MaybePromise, then } from "../internal/types.ts";
import { MissingScopesError } from "../protocol/errors.ts";
import type { Principal } from "../protocol/exchange.ts";
import { type Hidden, type ItemMethod, itemOf, itemParams } from "../protocol/items.ts";
import type { JsonRpcRequest, RequestId } from "../protocol/jsonrpc.ts";
import { hasScopes, type RequestMessage, requireScopes, type Route } from "../protocol/route.ts";
import { type AuthSettings, refuseFor } from "./authenticate.ts";
import { Forbidden } from "./errors.ts";

/** The part of a request that an authorization depends on. */
export type AuthorizeMessage = RequestMessage;

/**
 * Decides whether a principal may send a request: returns `true` or `false`. Throws `Forbidden` for a
 * 403 that names the scopes to request, `Unauthorized` for a 401, or `Unavailable` for a 503; any other
 * error is a 500.
 */
export type Authorize = (
  principal: Principal,
  message: AuthorizeMessage,
) => MaybePromise<boolean>;

/** The checked options of authorization. */
export interface AuthorizeSettings extends AuthSettings {
  /** The application's function; without it everything is allowed. */
  readonly authorize?: Authorize;
}

/**
 * Fills in the requests of a POST that are hidden from the principal, or refuses the POST. A hidden
 * request is reported where it is answered as unknown: until then it may be refused for another reason.
 * A request whose route is not settled yet is authorized when it runs.
 */
export function authorize(
  inbound: Inbound,
  settings: AuthorizeSettings,
): MaybePromise<Refusal | undefined> {
  const { route } = inbound;
  if (settings.authorize !== undefined) return decide(inbound, settings, settings.authorize);
  if (route !== undefined) {
    return route.scopes === undefined ? undefined : lackingScopes(inbound, settings, [route]);
  }
  return lackingScopes(inbound, settings, inbound.requests.map((one) => inbound.routeOf(one)));
}

function decide(
  inbound: Inbound,
  settings: AuthorizeSettings,
  authorize: Authorize,
): MaybePromise<Refusal | undefined> {
  const { principal, requests, requestId: id } = inbound;
  const hidden = new Map<JsonRpcRequest, Hidden>();
  const decided = (verdicts: readonly (Hidden | undefined)[]): Refusal | undefined => {
    const allowed: Route[] = [];
    for (const [index, request] of requests.entries()) {
      const verdict = verdicts[index];
      if (verdict === undefined) allowed.push(inbound.routeOf(request));
      else hidden.set(request, verdict);
    }
    if (hidden.size > 0) inbound.hidden = hidden;
    return lackingScopes(inbound, settings, allowed);
  };
  const failed = (error: unknown) =>
    refuseFor(error, settings, { during: "authorize", principal, id });
  const verdicts = () =>
    all(requests.map((one) => hiddenIn(authorize, principal, inbound.routeOf(one))));
  return attempt(verdicts, decided, failed);
}

/** Waits for several values together, if any is a promise. */
function all<T>(values: readonly MaybePromise<T>[]): MaybePromise<readonly T[]> {
  return values.some(isPromise) ? Promise.all(values) : values as readonly T[];
}

/**
 * Tells what a principal must not know of a request: its item, if the request that uses the item is
 * refused; else its method, if the request itself is.
 */
function hiddenIn(
  authorize: Authorize,
  principal: Principal,
  route: Route,
): MaybePromise<Hidden | undefined> {
  if (route.settle !== undefined) return undefined;
  return then(isAllowed(authorize, principal, route.authorizedAs ?? route), (allowed) => {
    if (ITEM_METHODS.has(route.method)) return allowed ? undefined : "item";
    const item = itemOf(route.method, route.params);
    const verdict = allowed ? undefined : "method";
    if (item === undefined) return verdict;
    // Who may not read a resource may not learn by subscribing or completing that it exists.
    const use = { method: item.method, params: itemParams(item) };
    return then(isAllowed(authorize, principal, use), (usable) => usable ? verdict : "item");
  });
}

/** The requests that use an item. */
const ITEM_METHODS: ReadonlySet<string> = new Set<ItemMethod>([
  "tools/call",
  "prompts/get",
  "resources/read",
]);

/**
 * Calls the application's `authorize`.
 *
 * @throws {TypeError} If it returns anything but a boolean
 */
export function isAllowed(
  authorize: Authorize,
  principal: Principal,
  { method, params }: RequestMessage,
): MaybePromise<boolean> {
  return then(authorize(principal, { method, params }), (verdict: unknown) => {
    if (typeof verdict === "boolean") return verdict;
    throw new TypeError(`Return a boolean from "authorize": ${typeof verdict}`);
  });
}

/**
 * Refuses calls of tools whose scopes the principal lacks, with the scopes of all called tools, before
 * any of them runs.
 */
function lackingScopes(
  { principal, requestId }: Inbound,
  settings: AuthorizeSettings,
  routes: readonly Route[],
): Refusal | undefined {
  if (routes.every(({ scopes = [] }) => hasScopes(principal, scopes))) return undefined;
  const needed = new MissingScopesError(routes.flatMap(({ scopes = [] }) => scopes));
  return refuseMissingScopes(needed, settings, principal, requestId);
}

/**
 * Authorizes a request whose route was found only when it ran, as if the client had sent that.
 *
 * @returns What is hidden from the principal, if anything
 * @throws {MissingScopesError} If the principal lacks scopes of the tool
 * @throws The error that the application's `authorize` throws
 */
export function authorizeRoute(
  authorize: Authorize | undefined,
  principal: Principal,
  route: Route,
): MaybePromise<Hidden | undefined> {
  return then(authorize && hiddenIn(authorize, principal, route), (hidden) => {
    if (hidden === undefined) requireScopes(principal, route);
    return hidden;
  });
}

/** Refuses a request whose principal lacks scopes, with a challenge that names all that it needs. */
export function refuseMissingScopes(
  { message, scopes }: MissingScopesError,
  settings: Pick<AuthSettings, "challenge">,
  principal: Principal,
  id: RequestId | null,
): Refusal {
  const error = new Forbidden(message, { scopes });
  return refuseFor(error, settings, { during: "authorize", principal, id });
}
