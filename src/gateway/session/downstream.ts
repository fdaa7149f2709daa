/**
 * Passes the notifications of a call on to its client.
 *
 * @module
 */
import type { Exchange, JsonObject, Notification } from "../../../mod.ts";
import { isObject, methodFacts, progressToken, VERSIONS } from "../../kit.ts";
import { wantsLog } from "./translate.ts";

/**
 * Passes on a notification of a call: progress, log messages at the level that is wanted, and the end of
 * what the user was asked to do elsewhere.
 *
 * @param isAlone Whether the upstream is served alone, so that any other notification is passed on, too
 */
export function forwardCallNotification(
  exchange: Exchange,
  { method, params }: Notification,
  isAlone: boolean,
): void {
  switch (method) {
    case "notifications/progress": {
      // A held call continues in another request, which has its own token.
      const token = progressToken(exchange.params);
      if (token === undefined && exchange.noteProgress !== undefined) {
        return exchange.noteProgress(params ?? {});
      }
      return exchange.notify({ method, params: { ...params, progressToken: token } });
    }
    case "notifications/message":
      if (!wantsLog(params, exchange.logLevel, exchange.protocolVersion)) return;
      return exchange.notify({ method, params });
    case "notifications/elicitation/complete":
      if (!VERSIONS[exchange.protocolVersion].elicitationModes) return;
      return exchange.notify({ method, params });
    default:
      if (isAlone && methodFacts(method) === undefined) exchange.notify({ method, params });
  }
}

/** Asks for progress where somebody wants to know, although the client hasn't asked. */
export function withProgress(exchange: Exchange, params: JsonObject): JsonObject {
  const { method, noteProgress } = exchange;
  if (noteProgress === undefined || method !== "tools/call") return params;
  if (progressToken(params) !== undefined) return params;
  return {
    ...params,
    _meta: { ...isObject(params._meta) && params._meta, progressToken: "progress" },
  };
}
