/**
 * What a handler does about the messages of other nodes.
 *
 * @module
 */
import type { BusMessage } from "../cluster/types.ts";
import { endedElsewhere } from "./end_session.ts";
import type { Endpoint } from "./endpoint.ts";
import { tellListeners } from "./listen.ts";

/** Takes a message that another node published. */
export function hear(endpoint: Endpoint, message: BusMessage): void {
  switch (message.kind) {
    case "cancel":
      endpoint.live.get(message.session)?.inflight.cancel(message.request, message.reason);
      return;
    case "reply":
      endpoint.live.get(message.session)?.questions.settle(message.response);
      return;
    case "ended":
      endedElsewhere(endpoint, message.session);
      return;
    case "broadcast":
      // The sessions' streams are shared: whoever published has written to them.
      tellListeners(endpoint, message.notification);
      return;
    case "application":
      return;
  }
}
