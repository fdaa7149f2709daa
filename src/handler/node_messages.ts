/**
 * Handles the messages from other nodes.
 *
 * @module
 */
import type { NodeMessage } from "../cluster/messages.ts";
import { settleResponse } from "../cluster/question_responses.ts";
import type { Eras } from "./eras.ts";
import type { HandlerComponents } from "./components.ts";

/** Handles a message from another node. */
export function onNodeMessage(
  { sessions, cluster, reporter }: HandlerComponents,
  eras: Eras,
  message: NodeMessage,
  from: string,
): void {
  switch (message.kind) {
    case "cancel":
      sessions.live.get(message.session)?.inflight.cancel(message.request, message.reason);
      return;
    case "response":
      return settleResponse(cluster, sessions, reporter, message.session, message.response);
    case "ended":
      return sessions.endedElsewhere(message.session, message.reason);
    case "resumed":
      sessions.live.get(message.session)?.connections.get(message.stream)?.close("replaced");
      return;
    case "broadcast":
      // The publishing node has appended it to the sessions' streams, which all nodes share.
      return eras.broadcast(message.notification);
    case "document":
      return cluster.documents.refresh(message.name);
    default:
      cluster.pinned?.onMessage(message, from);
  }
}
