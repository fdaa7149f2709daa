/**
 * Authorizes requests before they run: hides those that the application's `authorize` rejects, and
 * refuses calls of tools whose scopes the principal lacks.
 *
 * @module
 */
import type { Inbound } from "../http/inbound.ts";
import type { Refusal } from "../http/reply.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { MissingScopesError } from "../protocol/errors.ts";
import type { Dispatcher, Principal } from "../protocol/exchange.ts";
import { type Hidden, type ItemMethod, itemOf, itemParams } from "../protocol/items.ts";
import type { JsonObject, JsonRpcRequest, RequestId } from "../protocol/jsonrpc.ts";
import { type AuthSettings, refuseFor } from "./authenticate.ts";
import { Forbidden } from "./errors.ts";
import { hasScopes } from "./scopes.ts";

/** The part of a request that an authorization depends on. */
export interface AuthorizeMessage {
  /** The method. */
  readonly method: string;
  /** The parameters; an empty object if there are none. */
  readonly params: JsonObject;
}

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
  /** The dispatcher, which knows the scopes of its tools. */
  readonly dispatcher: Dispatcher;
}

const NO_PARAMS: JsonObject = {};

/**
 * Fills in the requests of a POST that are hidden from the principal, or refuses the POST. A hidden
 * request is reported where it is answered as unknown: until then it may be refused for another reason.
 */
export function authorize(
  inbound: Inbound,
  settings: AuthorizeSettings,
): MaybePromise<Refusal | undefined> {
  if (settings.authorize !== undefined) return decide(inbound, settings, settings.authorize);
  const { content } = inbound;
  const unscoped = content.kind === "request" && scopesOf(settings, content.message) === undefined;
  return unscoped ? undefined : lackingScopes(inbound, settings, inbound.requests);
}

async function decide(
  inbound: Inbound,
  settings: AuthorizeSettings,
  authorize: Authorize,
): Promise<Refusal | undefined> {
  const { principal, requests } = inbound;
  let verdicts: readonly (Hidden | undefined)[];
  try {
    verdicts = await Promise.all(
      requests.map((request) => hiddenIn(authorize, principal, request)),
    );
  } catch (error) {
    const failure = { during: "authorize", principal, id: inbound.requestId } as const;
    return refuseFor(error, settings, failure);
  }
  const allowed = requests.filter((_, index) => verdicts[index] === undefined);
  const refused = lackingScopes(inbound, settings, allowed);
  if (refused !== undefined || allowed.length === requests.length) return refused;
  const hidden = new Map<JsonRpcRequest, Hidden>();
  for (const [index, request] of requests.entries()) {
    const verdict = verdicts[index];
    if (verdict !== undefined) hidden.set(request, verdict);
  }
  inbound.hidden = hidden;
  return undefined;
}

/**
 * Tells what a principal must not know of a request: its item, if the request that uses the item is
 * refused; else its method, if the request itself is.
 */
async function hiddenIn(
  authorize: Authorize,
  principal: Principal,
  { method, params }: Pick<JsonRpcRequest, "method" | "params">,
): Promise<Hidden | undefined> {
  const item = itemOf(method, params);
  const allowed = await isAllowed(authorize, principal, method, params);
  if (ITEM_METHODS.has(method)) return allowed ? undefined : "item";
  // Whoever may not read a resource may not learn by subscribing or completing that it exists.
  if (item !== undefined && !await isAllowed(authorize, principal, item.method, itemParams(item))) {
    return "item";
  }
  return allowed ? undefined : "method";
}

/** Lists the requests that use an item. */
const ITEM_METHODS: ReadonlySet<string> = new Set<ItemMethod>([
  "tools/call",
  "prompts/get",
  "resources/read",
]);

/**
 * Returns an `authorize` that decides about tools which only show and call others as about `tools/list`.
 */
export function authorizeFor(
  dispatcher: Dispatcher,
  authorize: Authorize | undefined,
): Authorize | undefined {
  if (authorize === undefined || dispatcher.isToolList === undefined) return authorize;
  return (principal, message) => {
    const { method, params: { name } } = message;
    const isList = method === "tools/call" && typeof name === "string" &&
      dispatcher.isToolList?.(name) === true;
    return authorize(principal, isList ? { method: "tools/list", params: NO_PARAMS } : message);
  };
}

/**
 * Calls the application's `authorize`.
 *
 * @throws {TypeError} If it returns anything but a boolean
 */
export async function isAllowed(
  authorize: Authorize,
  principal: Principal,
  method: string,
  params: JsonObject = NO_PARAMS,
): Promise<boolean> {
  const verdict: unknown = await authorize(principal, { method, params });
  if (typeof verdict === "boolean") return verdict;
  throw new TypeError(`Return a boolean from "authorize": ${typeof verdict}`);
}

/**
 * Refuses calls of tools whose scopes the principal lacks, with the scopes of all called tools, before
 * any of them runs. The server itself refuses a call that comes to a tool on any other way.
 */
function lackingScopes(
  { principal, requestId }: Inbound,
  settings: AuthorizeSettings,
  requests: readonly JsonRpcRequest[],
): Refusal | undefined {
  const needed: string[] = [];
  let lacking = false;
  for (const request of requests) {
    const scopes = scopesOf(settings, request);
    if (scopes === undefined) continue;
    needed.push(...scopes);
    lacking ||= !hasScopes(principal, scopes);
  }
  if (!lacking) return undefined;
  return refuseMissingScopes(new MissingScopesError(needed), settings, principal, requestId);
}

/**
 * Authorizes a request whose parameters middleware has changed, as if the client had sent them.
 *
 * @returns What is hidden from the principal, if anything
 * @throws {MissingScopesError} If the principal lacks scopes of the tool
 * @throws The error that the application's `authorize` throws
 */
export function authorizeAgain(
  settings: Pick<AuthorizeSettings, "authorize" | "dispatcher">,
  principal: Principal,
  request: Pick<JsonRpcRequest, "method" | "params">,
): MaybePromise<Hidden | undefined> {
  const { authorize } = settings;
  const withScopes = (hidden: Hidden | undefined): Hidden | undefined => {
    const scopes = hidden === undefined ? scopesOf(settings, request) : undefined;
    if (scopes === undefined || hasScopes(principal, scopes)) return hidden;
    throw new MissingScopesError(scopes);
  };
  const hidden = authorize && hiddenIn(authorize, principal, request);
  return isPromise(hidden) ? hidden.then(withScopes) : withScopes(hidden);
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

/** Returns the scopes that a request needs, or `undefined` if it needs none. */
function scopesOf(
  { dispatcher }: Pick<AuthorizeSettings, "dispatcher">,
  { method, params }: Pick<JsonRpcRequest, "method" | "params">,
): readonly string[] | undefined {
  if (method !== "tools/call" || typeof params?.name !== "string") return undefined;
  return dispatcher.toolScopes?.(params.name);
}
