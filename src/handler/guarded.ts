/**
 * Creates a handler that may refuse a request once its sender is known, whatever it asks for: after all
 * gates and the authentication, which every endpoint has in the same order.
 *
 * @module
 */
import type { EraEndpoint } from "../http/era.ts";
import type { Inbound } from "../http/inbound.ts";
import type { Refusal } from "../http/reply.ts";
import type { Dispatcher } from "../protocol/exchange.ts";
import { type EraRow, ERAS } from "./eras.ts";
import { makeHandler } from "./handler.ts";
import type { McpHandler, McpHandlerOptions } from "./types.ts";

/** Returns why a request is refused; `undefined` if it is answered. */
export type Guard = (inbound: Pick<Inbound, "principal" | "request">) => Refusal | undefined;

/**
 * Creates a handler behind a guard.
 *
 * @param dispatcher What answers the requests that the guard lets pass
 */
export function guardedHandler(
  dispatcher: Dispatcher,
  options: McpHandlerOptions,
  guard: Guard,
): McpHandler {
  const rows = Object.entries(ERAS).map(([era, row]): [string, EraRow] => [
    era,
    (components) => guarded(row(components), guard),
  ]);
  return makeHandler(dispatcher, options, { rows: Object.fromEntries(rows) });
}

function guarded(era: EraEndpoint, guard: Guard): EraEndpoint {
  const [get, remove] = [era.get?.bind(era), era.delete?.bind(era)];
  return {
    post: (inbound) => guard(inbound) ?? era.post(inbound),
    ...get && { get: (inbound) => guard(inbound) ?? get(inbound) },
    ...remove && { delete: (inbound) => guard(inbound) ?? remove(inbound) },
    broadcast: (notification, mayKnow) => era.broadcast?.(notification, mayKnow),
    get listens() {
      return era.listens ?? 0;
    },
    get listenFacts() {
      return era.listenFacts ?? [];
    },
    endListens: () => era.endListens?.(),
  };
}
