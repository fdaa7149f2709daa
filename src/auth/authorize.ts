/**
 * Decides what a principal may ask for, before anything is done: what it may not know of looks as if
 * it didn't exist, and for what it lacks scopes it is told which.
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

/** A request, as far as it matters to who may make it. */
export interface AuthorizeMessage {
  /** Its method. */
  readonly method: string;
  /** Its parameters; an empty object when there were none. */
  readonly params: JsonObject;
}

/**
 * Says whether a principal may make a request: `true` or `false`. It may throw `Forbidden`, whose
 * scopes the client can ask its user for, or `Unauthorized`. Anything else it throws fails the request
 * with "Internal error".
 */
export type Authorize = (
  principal: Principal,
  message: AuthorizeMessage,
) => MaybePromise<boolean>;

/** How requests are authorized. */
export interface AuthorizeSettings extends AuthSettings {
  /** The application's decision; everything is allowed without one. */
  readonly authorize?: Authorize;
  /** What is served: it knows the scopes of its tools. */
  readonly dispatcher: Dispatcher;
}

const NO_PARAMS: JsonObject = {};

/**
 * Fills in which requests of a POST are hidden from its principal, or refuses the POST. A hidden request
 * is reported where it is answered as unknown: until then it may be refused for another reason.
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
 * Asks the application whether a principal may make a request.
 *
 * @throws {TypeError} If its function returns anything but a boolean
 */
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

/** Refuses calls of tools whose scopes the principal lacks, and names all of them. */
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

/** The scopes that a request needs; `undefined` when it needs none. */
function scopesOf(
  { dispatcher }: AuthorizeSettings,
  { method, params }: JsonRpcRequest,
): readonly string[] | undefined {
  if (method !== "tools/call" || typeof params?.name !== "string") return undefined;
  return dispatcher.toolScopes?.(params.name);
}
