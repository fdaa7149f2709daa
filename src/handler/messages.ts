/**
 * Messages from the client that get no answer: notifications and replies.
 *
 * @module
 */
import { isPromise } from "../internal/types.ts";
import type { ClientFacts, NotificationExchange, Principal } from "../protocol/exchange.ts";
import {
  type Classified,
  isRequestId,
  type JsonRpcNotification,
  type JsonRpcResponse,
} from "../protocol/jsonrpc.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
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

/** Takes a notification or a reply. Whatever becomes of it, the client learns nothing. */
export function takeMessage(
  endpoint: Endpoint,
  init: MessageInit,
  { kind, message }: Exclude<Classified, { kind: "request" }> | Classified,
): void {
  if (kind === "response") takeReply(endpoint, init.session, message);
  else if (kind === "notification") takeNotification(endpoint, init, message);
}

function takeReply(
  endpoint: Endpoint,
  session: LiveSession | undefined,
  response: JsonRpcResponse,
): void {
  if (session === undefined || session.questions.settle(response)) return;
  endpoint.publish({ kind: "reply", session: session.id, response });
  endpoint.report({ type: "reply-unmatched", session: sessionName(session.id) });
}

function takeNotification(
  endpoint: Endpoint,
  init: MessageInit,
  message: JsonRpcNotification,
): void {
  const { session } = init;
  if (message.method === "notifications/cancelled") {
    if (session !== undefined) cancel(endpoint, session, message);
    return;
  }
  if (message.method === "notifications/initialized" && session !== undefined) {
    endpoint.background("noting that a client is ready", () => ready(endpoint, session));
  }
  const { dispatcher } = endpoint;
  if (dispatcher.notified === undefined) return;
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
  const updated = endpoint.backplane.sessions.update(session.id, { initialized: true });
  // What is pushed from here on must not come before what was held.
  if (isPromise(updated)) await updated;
  await pushHeld(endpoint, session.id);
}
