/**
 * What a handler does about the messages of other nodes.
 *
 * @module
 */
import type { NodeMessage } from "../cluster/messages.ts";
import { endedElsewhere } from "./end_session.ts";
import type { Endpoint } from "./endpoint.ts";
import { tellListeners } from "./listen.ts";
import { takeReply } from "./messages.ts";

/** Takes a message that another node published. */
export function hear(endpoint: Endpoint, message: NodeMessage, from: string): void {
  switch (message.kind) {
    case "cancel":
      endpoint.live.get(message.session)?.inflight.cancel(message.request, message.reason);
      return;
    case "reply":
      return takeReply(endpoint, message.session, message.response);
    case "ended":
      endedElsewhere(endpoint, message.session, message.reason);
      return;
    case "resumed":
      endpoint.live.get(message.session)?.connections.get(message.stream)?.close("replaced");
      return;
    case "broadcast":
      // The sessions' streams are shared: whoever published has written to them.
      tellListeners(endpoint, message.notification);
      return;
    case "document":
      return endpoint.shares.look(message.name);
    default:
      endpoint.pins?.hear(message, from);
  }
}
