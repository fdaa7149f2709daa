/**
 * Messages of the client that get no answer: notifications and replies.
 *
 * @module
 */
import { settleResponse } from "../cluster/question_responses.ts";
import type { Inbound } from "../http/inbound.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import type { NotificationExchange } from "../protocol/exchange.ts";
import { type Classified, isRequestId, type JsonRpcNotification } from "../protocol/jsonrpc.ts";
import type { LiveSession } from "../sessions/live_session.ts";
import type { Era2025Components } from "./components.ts";

/**
 * Takes a notification or a reply. The client learns nothing about what comes of it.
 *
 * @throws What the store throws when it fails to note that the client is initialized: the client must
 * say so again
 */
export function takeMessage(
  components: Era2025Components,
  inbound: Inbound,
  session: LiveSession | undefined,
  { kind, message }: Classified,
): MaybePromise<void> {
  if (kind === "notification") return takeNotification(components, inbound, session, message);
  if (kind === "response" && session !== undefined) {
    const { cluster, sessions, reporter } = components;
    settleResponse(cluster, sessions, reporter, session.id, message);
  }
}

function takeNotification(
  components: Era2025Components,
  inbound: Inbound,
  session: LiveSession | undefined,
  message: JsonRpcNotification,
): MaybePromise<void> {
  if (message.method === "notifications/cancelled") {
    if (session !== undefined) cancel(components, session, message);
    return;
  }
  const noted = message.method === "notifications/initialized" && session !== undefined
    ? noteInitialized(components, session)
    : undefined;
  const { reporter, calls: { dispatcher } } = components;
  if (dispatcher.notified === undefined) return noted;
  const exchange: NotificationExchange = {
    method: message.method,
    params: message.params ?? {},
    protocolVersion: inbound.version,
    principal: inbound.principal,
    request: inbound.request,
    session,
    client: inbound.client,
    report: reporter.report,
  };
  reporter.background(message.method, () => dispatcher.notified?.(exchange));
  return noted;
}

/** Cancels a request of the same session, on whatever node it runs. */
function cancel(
  { cluster }: Era2025Components,
  session: LiveSession,
  { params }: JsonRpcNotification,
): void {
  const { requestId, reason } = params ?? {};
  if (!isRequestId(requestId)) return;
  const detail = typeof reason === "string" ? reason : undefined;
  session.inflight.cancel(requestId, detail);
  cluster.publish({ kind: "cancel", session: session.id, request: requestId, reason: detail });
}

/** Notes that the client is initialized, and sends what was kept until then. */
async function noteInitialized(
  { sessions }: Era2025Components,
  session: LiveSession,
): Promise<void> {
  const { store, serverStreams } = sessions;
  const { record, id } = session;
  if (record === undefined || record.initialized) return;
  session.record = { ...record, initialized: true };
  // Messages sent once the store knows must not overtake those that were kept.
  await serverStreams.sendQueued(id);
  const updated = store.update(id, { initialized: true });
  if (isPromise(updated)) await updated;
  // Messages that were kept meanwhile.
  await serverStreams.sendQueued(id);
}
