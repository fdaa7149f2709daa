/**
 * What a handler offers to its dispatcher.
 *
 * @module
 */
import type { DispatcherHost } from "../protocol/exchange.ts";
import { askSession } from "./ask.ts";
import type { Endpoint } from "./endpoint.ts";
import { tellListeners } from "./listen.ts";
import { notificationText, push, pushToAll } from "./server_stream.ts";
import { Updates } from "./updates.ts";

/** The dispatcher's view of an endpoint. */
export function hostOf(endpoint: Endpoint): DispatcherHost {
  const updates = new Updates(endpoint);
  return {
    clock: endpoint.settings.clock,
    report: endpoint.report,
    broadcast(notification) {
      if (endpoint.closed) return;
      tellListeners(endpoint, notification);
      endpoint.publish({ kind: "broadcast", notification });
      endpoint.background(
        notification.method,
        () => pushToAll(endpoint, endpoint.backplane.sessions.ids(), notification),
      );
    },
    resourceUpdated: (uri) => updates.add(uri),
    notify(sessionId, notification) {
      const text = notificationText(notification);
      endpoint.background(notification.method, () => push(endpoint, sessionId, text));
    },
    share: (name, apply) => endpoint.shares.share(name, apply),
    ask: (sessionId, method, params, signal) =>
      askSession(endpoint, sessionId, method, params, signal),
  };
}
