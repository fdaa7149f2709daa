/**
 * Passes the client's notifications to the dispatcher, a bounded number at a time.
 *
 * @module
 */
import { isAllowed } from "../auth/authorize.ts";
import type { Inbound } from "../http/inbound.ts";
import { serverBusy } from "../http/refusals.ts";
import type { Refusal } from "../http/reply.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { NotificationExchange } from "../protocol/exchange.ts";
import type { JsonRpcNotification } from "../protocol/jsonrpc.ts";
import { methodFacts } from "../protocol/methods.ts";
import type { Calls } from "./calls.ts";
import type { CallSession } from "./session.ts";

/**
 * Passes a notification to the dispatcher, if it takes any. One that is not of the protocol is dropped
 * unless the application's `authorize` allows it, if there is one.
 *
 * @param begin Called before, once there is a slot
 * @returns A refusal if too many are still being handled, otherwise what `begin` returned
 */
export function dispatchNotification<T>(
  calls: Calls,
  inbound: Inbound,
  message: JsonRpcNotification,
  session: CallSession | undefined,
  begin: () => T,
): T | Refusal {
  const { dispatcher, notifications: slots, reporter, settings: { authorize } } = calls;
  if (dispatcher.notified === undefined) return begin();
  const { share, principal } = inbound;
  if (!slots.take(share)) {
    return serverBusy(slots.full ? "notification-limit" : "principal-notification-limit");
  }
  const begun = begin();
  const { method, params = {} } = message;
  const exchange: NotificationExchange = {
    method,
    params,
    protocolVersion: inbound.version,
    principal,
    get request() {
      return inbound.request;
    },
    localPeer: inbound.localPeer,
    session,
    client: inbound.client,
    report: reporter.report,
  };
  const notify = (): MaybePromise<void> => dispatcher.notified?.(exchange);
  const handled = reporter.background(
    method,
    authorize === undefined || methodFacts(method) !== undefined ? notify : async () => {
      if (await isAllowed(authorize, principal, { method, params })) await notify();
    },
  );
  if (handled === undefined) slots.give(share);
  else handled.then(() => slots.give(share));
  return begun;
}
