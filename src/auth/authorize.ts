/**
 * Authorizes requests before they run: hides those that the application's `authorize` rejects, and
 * refuses calls of tools whose scopes the principal lacks.
 *
 * @module
 */
import type { Inbound } from "../http/inbound.ts";
import type { Refusal } from "../http/reply.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { Dispatcher, Principal } from "../protocol/exchange.ts";
import type { JsonObject, JsonRpcRequest } from "../protocol/jsonrpc.ts";
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
  let verdicts: readonly boolean[];
  try {
    verdicts = await Promise.all(
      requests.map(({ method, params }) => isAllowed(authorize, principal, method, params)),
    );
  } catch (error) {
    const failure = { during: "authorize", principal, id: inbound.requestId } as const;
    return refuseFor(error, settings, failure);
  }
  const allowed = requests.filter((_, index) => verdicts[index]);
  const refused = lackingScopes(inbound, settings, allowed);
  if (refused !== undefined || allowed.length === requests.length) return refused;
  inbound.hidden = new Set(requests.filter((_, index) => !verdicts[index]));
  return undefined;
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

/** Refuses calls of tools whose scopes the principal lacks, with the scopes of all called tools. */
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
  const error = new Forbidden("Send a token with the scopes that this tool needs", {
    scopes: needed,
  });
  return refuseFor(error, settings, { during: "authorize", principal, id: requestId });
}

/** Returns the scopes that a request needs, or `undefined` if it needs none. */
function scopesOf(
  { dispatcher }: AuthorizeSettings,
  { method, params }: JsonRpcRequest,
): readonly string[] | undefined {
  if (method !== "tools/call" || typeof params?.name !== "string") return undefined;
  return dispatcher.toolScopes?.(params.name);
}
