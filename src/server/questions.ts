/**
 * How a handler's questions reach the client, whatever the protocol version.
 *
 * @module
 */
import type { Exchange } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";

/** Takes a handler's questions to the client. */
export interface Questions {
  /**
   * Asks a question. MUST answer with the client's result, reject with why there will be none, or,
   * where the answer comes with a later call, never settle.
   *
   * @param key The question's name, the same whenever the handler is run again for the same call
   */
  ask(key: string, method: string, params: JsonObject): Promise<JsonObject>;
}

/** Asks while the call waits: what all versions until 2025-11-25 do. */
export function liveQuestions(exchange: Exchange): Questions {
  return { ask: (_key, method, params) => exchange.ask(method, params) };
}
