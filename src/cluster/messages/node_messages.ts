/**
 * Handles the messages from other nodes.
 *
 * @module
 */
import type { Notification } from "../../protocol/exchange.ts";
import type { Reporter } from "../../protocol/reporter.ts";
import type { Sessions } from "../../sessions/sessions.ts";
import type { DispatcherMessage, NodeMessage, OperatorMessage } from "./messages.ts";
import type { NodeMessenger } from "./messenger.ts";
import type { PinnedSessions } from "../pinned_sessions.ts";
import type { Presence } from "../lost_nodes/presence.ts";
import { settleResponse } from "../question_responses.ts";
import type { SharedDocuments } from "../documents/shared_documents.ts";

/** What the messages from other nodes change. */
export interface NodeMessageTargets {
  /** This node's id. */
  readonly node: string;
  readonly messenger: NodeMessenger;
  readonly sessions: Sessions;
  readonly documents: SharedDocuments;
  readonly pinned: PinnedSessions | undefined;
  readonly presence: Presence | undefined;
  readonly reporter: Reporter;
  /** Called with the messages of other nodes' operators. */
  readonly onOperatorMessage: (message: OperatorMessage, from: string) => void;
  /** Called with the messages of dispatchers at other nodes. */
  readonly onDispatcherMessage: (message: DispatcherMessage) => void;
  /** Sends a notification to this node's clients that subscribed to it. */
  readonly broadcast: (notification: Notification) => void;
}

/** Handles a message from another node. */
export function onNodeMessage(
  targets: NodeMessageTargets,
  message: NodeMessage,
  from: string,
): void {
  const { node, messenger, sessions, documents, pinned, reporter, broadcast } = targets;
  switch (message.kind) {
    case "cancel": {
      const { session, request, reason, agoMs } = message;
      sessions.live.get(session)?.inflight.cancel(request, reason, agoMs);
      return;
    }
    case "response": {
      const send = messenger.send.bind(messenger);
      return settleResponse({ node, send }, sessions, reporter, message.session, message.response);
    }
    case "ended":
      return sessions.endedElsewhere(message.session, message.reason);
    case "resumed":
      sessions.live.get(message.session)?.connections.get(message.stream)?.close("replaced");
      return;
    case "broadcast":
      // The publishing node has appended it to the sessions' streams, which all nodes share.
      return broadcast(message.notification);
    case "document":
      return documents.refresh(message.name);
    case "ping":
    case "pong":
      return targets.presence?.onMessage(message, from);
    case "operator":
      return targets.onOperatorMessage(message, from);
    case "dispatcher":
      return targets.onDispatcherMessage(message);
    default:
      pinned?.onMessage(message, from);
  }
}
