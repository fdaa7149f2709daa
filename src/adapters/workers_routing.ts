/**
 * Routes the requests of the 2025 era from a Worker to the Durable Object that holds their session.
 *
 * @module
 */
import type { EraEndpoint } from "../http/era.ts";
import type { Inbound } from "../http/inbound.ts";
import { sessionNotFound, storeUnavailable } from "../http/refusals.ts";
import type { Reply } from "../http/reply.ts";
import type { Principal } from "../protocol/exchange.ts";
import { HeaderName } from "../protocol/headers.ts";
import { copyPrincipal } from "../sessions/owner.ts";
import { sessionMissing } from "../sessions/sessions.ts";
import type { SignedIds } from "./workers_ids.ts";
import type { DurableNamespace } from "./workers_types.ts";

/** The headers between a Worker and an object, which only the Worker can reach. */
const Internal = {
  Principal: "mooring-principal",
  Session: "mooring-session",
  Operation: "mooring-operation",
} as const;

/** What a Worker asks of the object of a session. */
export interface Routed {
  /** The session's id. */
  readonly session: string;
  /** The sender of an HTTP request. */
  readonly principal: Principal | undefined;
  /** An operation of the application, instead of an HTTP request. */
  readonly operation: ObjectOperation | undefined;
}

/**
 * An operation without an HTTP request of a client: of the application on a session, or of a handler on the
 * state of a user.
 */
export type ObjectOperation = "notify" | "end" | "user-state";

/** Reads what {@linkcode routeToObjects} and {@linkcode operationRequest} have written. */
export function readRouted({ headers }: Request): Routed {
  const principal = headers.get(Internal.Principal);
  const operation = headers.get(Internal.Operation);
  return {
    session: headers.get(Internal.Session) ?? "",
    principal: principal === null ? undefined : JSON.parse(decodeURIComponent(principal)),
    operation: isOperation(operation) ? operation : undefined,
  };
}

function isOperation(text: string | null): text is ObjectOperation {
  return text === "notify" || text === "end" || text === "user-state";
}

/** Returns a request as the client sent it. */
export function withoutInternal(request: Request): Request {
  const headers = new Headers(request.headers);
  for (const name of Object.values(Internal)) headers.delete(name);
  return new Request(request, { headers });
}

/** Creates the request for an operation on an object, by the name of the object. */
export function operationRequest(
  session: string,
  operation: ObjectOperation,
  body?: unknown,
): Request {
  return new Request("https://session.invalid/", {
    method: "POST",
    headers: { [Internal.Session]: session, [Internal.Operation]: operation },
    body: JSON.stringify(body ?? null),
  });
}

/** Creates the endpoint of the 2025 era in a Worker. What it answers itself, it answers as an object does. */
export function routeToObjects(
  ids: SignedIds,
  namespace: DurableNamespace,
): EraEndpoint {
  const route = async (inbound: Inbound): Promise<Reply> => {
    const { content } = inbound.method === "POST" ? inbound : { content: undefined };
    const begins = content?.kind === "request" && content.message.method === "initialize";
    const named = inbound.header(HeaderName.SessionId);
    if (!begins && named === null) return sessionMissing(inbound);
    if (!begins && !await ids.verify(named ?? "")) return sessionNotFound("session-unknown");
    const session = begins ? await ids.mint() : named ?? "";
    try {
      const stub = namespace.get(namespace.idFromName(session));
      return replyOf(await stub.fetch(forwarded(inbound, session)));
    } catch (error) {
      return storeUnavailable("reaching the object of a session", error);
    }
  };
  return { post: route, get: route, delete: route };
}

/** Creates the request for the object, with the sender that has been authenticated. */
function forwarded(inbound: Inbound, session: string): Request {
  const { request, method, principal } = inbound;
  const headers = new Headers(request.headers);
  // The Worker has checked the origin; the body is written again.
  for (const name of [HeaderName.Origin, HeaderName.ContentLength]) headers.delete(name);
  for (const name of Object.values(Internal)) headers.delete(name);
  headers.set(Internal.Session, session);
  // A header can't have every character.
  headers.set(Internal.Principal, encodeURIComponent(principalText(principal)));
  const body = method === "POST" ? bodyOf(inbound) : undefined;
  return new Request(request.url, { method, headers, ...body !== undefined && { body } });
}

function principalText(principal: Principal): string {
  const { expiresAt, ...rest } = copyPrincipal(principal);
  // JSON has no Infinity, which means the same as none.
  return JSON.stringify(Number.isFinite(expiresAt) ? { ...rest, expiresAt } : rest);
}

function bodyOf({ content }: Inbound): string {
  return JSON.stringify(
    content.kind === "batch" ? content.batch.map(({ message }) => message) : content.message,
  );
}

function replyOf({ status, headers, body }: Response): Reply {
  return { kind: "reply", status, headers: Object.fromEntries(headers), body };
}
