/**
 * Handles the client's messages that get no response: notifications, and responses to questions.
 *
 * @module
 */
import { dispatchNotification } from "../calls/notification.ts";
import { settleResponse } from "../cluster/question_responses.ts";
import type { Inbound } from "../http/inbound.ts";
import type { Refusal } from "../http/reply.ts";
import type { MaybePromise } from "../internal/types.ts";
import { type Classified, isRequestId, type JsonRpcNotification } from "../protocol/jsonrpc.ts";
import type { LiveSession } from "../sessions/live_session.ts";
import type { Era2025Components } from "./components.ts";

/**
 * Handles a notification or a response.
 *
 * @returns A refusal of a notification if too many are still being handled
 * @throws The error of a store that fails to note that the client is initialized: the client must send
 * the notification again
 */
export function takeMessage(
  components: Era2025Components,
  inbound: Inbound,
  session: LiveSession | undefined,
  { kind, message }: Classified,
): MaybePromise<Refusal | void> {
  if (kind === "notification") return takeNotification(components, inbound, session, message);
  if (kind === "response" && session !== undefined) {
    const { cluster, sessions, reporter } = components;
    const { node } = cluster;
    const send = cluster.sendAgain.bind(cluster);
    settleResponse({ node, send }, sessions, reporter, session.id, message);
  }
}

function takeNotification(
  components: Era2025Components,
  inbound: Inbound,
  session: LiveSession | undefined,
  message: JsonRpcNotification,
): MaybePromise<Refusal | void> {
  if (message.method === "notifications/cancelled") {
    if (session !== undefined) cancel(components, session, message);
    return;
  }
  return dispatchNotification(
    components.calls,
    inbound,
    message,
    session,
    () =>
      message.method === "notifications/initialized" && session !== undefined
        ? noteInitialized(components, session)
        : undefined,
  );
}

/** Cancels a request of the same session, on any node. */
function cancel(
  { cluster }: Era2025Components,
  session: LiveSession,
  { params }: JsonRpcNotification,
): void {
  const { requestId, reason } = params ?? {};
  if (!isRequestId(requestId)) return;
  const detail = typeof reason === "string" ? reason : undefined;
  const cancelled = session.inflight.cancel(requestId, detail);
  const message = {
    kind: "cancel",
    session: session.id,
    request: requestId,
    reason: detail,
  } as const;
  // A session that is pinned runs nothing elsewhere.
  if (cancelled || cluster.pinned !== undefined) cluster.publish(message);
  else cluster.publishAgain((agoMs) => ({ ...message, agoMs }));
}

/** Notes that the client is initialized, unless that was noted before. */
async function noteInitialized(
  { sessions }: Era2025Components,
  session: LiveSession,
): Promise<void> {
  const { record, id } = session;
  if (record === undefined || record.initialized === true) return;
  session.record = { ...record, initialized: true };
  await sessions.serverStreams.initialized(id);
}
