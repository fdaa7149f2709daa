/**
 * Decides what a principal may ask for, before anything is done: what it may not know of looks as
 * though it weren't there, and for what it may not do yet it is told the scopes.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import { turnAway } from "../auth/authenticate.ts";
import { Forbidden } from "../auth/errors.ts";
import { hasScopes } from "../auth/scopes.ts";
import type { JsonRpcRequest } from "../protocol/jsonrpc.ts";
import type { Authorize } from "./access_options.ts";
import type { Endpoint } from "./endpoint.ts";
import { eraOf } from "./era.ts";
import type { Posted, PostInit } from "./sessionful_post.ts";
import { isAllowed } from "./visible.ts";

/** The POST, with what of it is hidden from its sender, or the response that refuses it. */
export function permit(endpoint: Endpoint, init: PostInit): MaybePromise<PostInit | Response> {
  const { authorize } = endpoint.settings;
  if (authorize !== undefined) return judge(endpoint, authorize, init);
  const { posted } = init;
  if (posted.kind === "request" && scopesOf(endpoint, posted.message) === undefined) return init;
  return lackingScopes(endpoint, init, requestsOf(posted)) ?? init;
}

async function judge(
  endpoint: Endpoint,
  authorize: Authorize,
  init: PostInit,
): Promise<PostInit | Response> {
  const { principal, posted } = init;
  const requests = requestsOf(posted);
  let verdicts: readonly boolean[];
  try {
    verdicts = await Promise.all(
      requests.map(({ method, params }) => isAllowed(authorize, principal, method, params)),
    );
  } catch (error) {
    return turnAway(error, endpoint.auth, { during: "authorize", principal, id: idOf(posted) });
  }
  const refused = lackingScopes(endpoint, init, requests.filter((_, index) => verdicts[index]));
  if (refused !== undefined) return refused;
  const hidden = new Set(requests.filter((_, index) => !verdicts[index]));
  if (hidden.size === 0) return init;
  for (const { method } of hidden) reportHidden(endpoint, init, method);
  return { ...init, hidden };
}

/** Refuses requests for tools that need scopes which the principal lacks, and names all of them. */
function lackingScopes(
  endpoint: Endpoint,
  { principal, posted }: PostInit,
  requests: readonly JsonRpcRequest[],
): Response | undefined {
  const needed: string[] = [];
  let lacking = false;
  for (const request of requests) {
    const scopes = scopesOf(endpoint, request);
    if (scopes === undefined) continue;
    needed.push(...scopes);
    lacking ||= !hasScopes(principal, scopes);
  }
  if (!lacking) return undefined;
  const error = new Forbidden("Send a token with the scopes that this tool needs", {
    scopes: needed,
  });
  return turnAway(error, endpoint.auth, { during: "authorize", principal, id: idOf(posted) });
}

/** The scopes that a request needs; `undefined` when it needs none. */
function scopesOf(
  { dispatcher }: Endpoint,
  { method, params }: JsonRpcRequest,
): readonly string[] | undefined {
  if (method !== "tools/call" || typeof params?.name !== "string") return undefined;
  return dispatcher.toolScopes?.(params.name);
}

/** The operator is told what the client is not. */
function reportHidden(
  endpoint: Endpoint,
  { posted, versionHeader }: PostInit,
  method: string,
): void {
  const modern = eraOf(posted, versionHeader, endpoint.settings) === "2026";
  const status = modern && method !== "tools/call" ? 404 : 200;
  endpoint.report({ type: "refused", status, reason: "hidden" });
}

function requestsOf(posted: Posted): readonly JsonRpcRequest[] {
  if (posted.kind === "request") return [posted.message];
  if (posted.kind !== "batch") return [];
  return posted.batch.flatMap((one) => one.kind === "request" ? [one.message] : []);
}

function idOf(posted: Posted): JsonRpcRequest["id"] | null {
  return posted.kind === "request" ? posted.message.id : null;
}
