/**
 * Passes `subscriptions/listen` through middleware.
 *
 * @module
 */
import { Answer } from "../calls/answer.ts";
import { Call } from "../calls/call.ts";
import type { Calls } from "../calls/calls.ts";
import { type EncodedResponse, encodeError, encodeResult } from "../calls/encode_response.ts";
import { CallRefusedError } from "../calls/refused_error.ts";
import type { Inbound } from "../http/inbound.ts";
import { shuttingDown } from "../http/refusals.ts";
import { isRefusal, jsonReply, type Reply } from "../http/reply.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { JsonObject, JsonRpcRequest } from "../protocol/jsonrpc.ts";
import type { Route } from "../protocol/route.ts";
import { unknownMethod } from "../protocol/unknown.ts";

/** What `next()` returns once the subscription is open. Its result is sent when the subscription ends. */
const OPEN: JsonObject = Object.freeze({});

/**
 * Opens a subscription after the middleware. The subscription is the response: the result of middleware
 * is only sent if it has not called `next()`.
 *
 * @param open Opens the subscription, or refuses the request
 */
export async function listenThrough(
  calls: Calls,
  inbound: Inbound,
  message: JsonRpcRequest,
  open: (message: JsonRpcRequest) => MaybePromise<Reply>,
): Promise<Reply> {
  // Never started: it only shows the request to the middleware.
  const call = new Call(calls, inbound, undefined, message, new Answer(calls, inbound));
  let opened: Reply | undefined;
  const openFor = async (route: Route, exchange: Exchange): Promise<JsonObject> => {
    const { params } = route;
    const hidden = exchange === call ? undefined : await call.authorize(route);
    if (hidden !== undefined) throw unknownMethod(message.method);
    if (calls.closing) throw new CallRefusedError(shuttingDown(message.id));
    const reply = await open(exchange === call ? message : { ...message, params });
    if (isRefusal(reply)) throw new CallRefusedError(reply);
    opened = reply;
    return OPEN;
  };
  try {
    const { middleware } = calls.settings;
    const result = await middleware?.(call.passage(openFor));
    return opened ?? replyOf(encodeResult(calls, call, result ?? OPEN));
  } catch (error) {
    if (opened?.body instanceof ReadableStream) await opened.body.cancel();
    return replyOf(encodeError(calls, call, error));
  }
}

function replyOf({ text, status, refusal }: EncodedResponse): Reply {
  return refusal ?? jsonReply(text, status);
}
