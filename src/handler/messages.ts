/**
 * Messages from the client that get no answer: notifications and replies.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../internal/types.ts";
import type { ClientFacts, NotificationExchange, Principal } from "../protocol/exchange.ts";
import {
  type Classified,
  isRequestId,
  type JsonRpcNotification,
  type JsonRpcResponse,
} from "../protocol/jsonrpc.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import { askerOf } from "../calls/questions.ts";
import { type Endpoint, sessionName } from "./endpoint.ts";
import type { LiveSession } from "./live_session.ts";
import { pushHeld } from "./server_stream.ts";

/** Who sent a message, and where. */
export interface MessageInit {
  readonly request: Request;
  readonly principal: Principal;
  readonly session: LiveSession | undefined;
  readonly version: ProtocolVersion;
}

const NO_CLIENT: ClientFacts = { capabilities: {} };

/**
 * Takes a notification or a reply. Whatever becomes of it, the client learns nothing.
 *
 * @throws What the store throws when it can't keep that the client is ready: the client must say so again
 */
export function takeMessage(
  endpoint: Endpoint,
  init: MessageInit,
  { kind, message }: Exclude<Classified, { kind: "request" }> | Classified,
): MaybePromise<void> {
  if (kind === "notification") return takeNotification(endpoint, init, message);
  if (kind === "response" && init.session !== undefined) {
    takeReply(endpoint, init.session.id, message);
  }
}

/** Takes a reply of a session: for a question that was asked here, or by the node that its id names. */
export function takeReply(endpoint: Endpoint, id: string, response: JsonRpcResponse): void {
  const session = endpoint.live.get(id);
  if (session !== undefined && session.openQuestions > 0 && session.questions.settle(response)) {
    return;
  }
  const asker = askerOf(response.id);
  if (asker === undefined || asker === endpoint.node || endpoint.settings.ownStore) {
    return unmatched(endpoint, id);
  }
  endpoint.background("handing a reply on", async () => {
    const sent = await endpoint.post.send(asker, { kind: "reply", session: id, response });
    if (!sent) unmatched(endpoint, id);
  });
}

function unmatched(endpoint: Endpoint, id: string): void {
  if (endpoint.watched) endpoint.report({ type: "reply-unmatched", session: sessionName(id) });
}

function takeNotification(
  endpoint: Endpoint,
  init: MessageInit,
  message: JsonRpcNotification,
): MaybePromise<void> {
  const { session } = init;
  if (message.method === "notifications/cancelled") {
    if (session !== undefined) cancel(endpoint, session, message);
    return;
  }
  const noted = message.method === "notifications/initialized" && session !== undefined
    ? ready(endpoint, session)
    : undefined;
  const { dispatcher } = endpoint;
  if (dispatcher.notified === undefined) return noted;
  const exchange: NotificationExchange = {
    method: message.method,
    params: message.params ?? {},
    protocolVersion: init.version,
    principal: init.principal,
    request: init.request,
    session,
    client: session?.record?.client ?? NO_CLIENT,
    report: endpoint.report,
  };
  endpoint.background(message.method, () => dispatcher.notified?.(exchange));
  return noted;
}

/** Stops a request of the same session, wherever it runs. */
function cancel(endpoint: Endpoint, session: LiveSession, { params }: JsonRpcNotification): void {
  const { requestId, reason } = params ?? {};
  if (!isRequestId(requestId)) return;
  const detail = typeof reason === "string" ? reason : undefined;
  session.inflight.cancel(requestId, detail);
  endpoint.publish({ kind: "cancel", session: session.id, request: requestId, reason: detail });
}

async function ready(endpoint: Endpoint, session: LiveSession): Promise<void> {
  const { record } = session;
  if (record === undefined || record.initialized) return;
  session.record = { ...record, initialized: true };
  // What is pushed once the store knows must not come before what was held.
  await pushHeld(endpoint, session.id);
  const updated = endpoint.backplane.sessions.update(session.id, { initialized: true });
  if (isPromise(updated)) await updated;
  // What was held meanwhile.
  await pushHeld(endpoint, session.id);
}
