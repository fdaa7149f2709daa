/**
 * Replaces calls of tools that only call another tool by the calls that they stand for.
 *
 * @module
 */
import type { Inbound, PostContent } from "../http/inbound.ts";
import type { Dispatcher } from "../protocol/exchange.ts";
import type { JsonObject, JsonRpcRequest } from "../protocol/jsonrpc.ts";

/** Replaces the calls in a POST. Does nothing where it is done already. */
export function unwrapCalls(inbound: Inbound, dispatcher: Dispatcher): void {
  if (dispatcher.unwrapCall === undefined) return;
  const { content } = inbound;
  if (content.kind === "request") {
    const message = unwrapped(content.message, dispatcher);
    if (message === content.message) return;
    const { name } = content.message.params ?? {};
    if (typeof name === "string") inbound.wrapper = name;
    inbound.content = { ...content, message };
  } else if (content.kind === "batch") {
    const batch = content.batch.map((one) =>
      one.kind === "request" ? { ...one, message: unwrapped(one.message, dispatcher) } : one
    );
    inbound.content = { kind: "batch", batch } satisfies PostContent;
  }
}

/** Returns the parameters that a request stands for: usually its own. */
export function unwrappedParams(
  method: string,
  params: JsonObject,
  dispatcher: Dispatcher,
): JsonObject {
  return method === "tools/call" ? dispatcher.unwrapCall?.(params) ?? params : params;
}

function unwrapped(message: JsonRpcRequest, dispatcher: Dispatcher): JsonRpcRequest {
  const { method, params } = message;
  if (params === undefined) return message;
  const inner = unwrappedParams(method, params, dispatcher);
  return inner === params ? message : { ...message, params: inner };
}
