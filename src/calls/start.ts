/**
 * Starts the calls of a POST, each in its own slot.
 *
 * @module
 */
import type { Inbound } from "../http/inbound.ts";
import { serverBusy } from "../http/refusals.ts";
import type { Reply } from "../http/reply.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { JsonRpcRequest } from "../protocol/jsonrpc.ts";
import type { OpenReplyStream } from "../streams/reply_stream.ts";
import { Answer } from "./answer.ts";
import { Call } from "./call.ts";
import type { Calls } from "./calls.ts";
import type { CallSession } from "./session.ts";

/**
 * Starts the call of a POST with one request.
 *
 * @param open Opens a stream for its answer, if the client accepts one
 */
export function startCall(
  calls: Calls,
  inbound: Inbound,
  message: JsonRpcRequest,
  session: CallSession | undefined,
  open: OpenReplyStream | undefined,
): MaybePromise<Reply> {
  if (!calls.slots.take()) return serverBusy("request-limit", message.id);
  const answer = new Answer(calls, inbound, open);
  new Call(calls, inbound, session, message, answer).start();
  return answer.reply();
}

/**
 * Starts all calls of a batch, or none if there are not enough slots.
 *
 * @param open Opens a stream for their answers, if the client accepts one
 * @param begin Called when all have their slots, before the first call starts
 */
export function startBatch(
  calls: Calls,
  inbound: Inbound,
  messages: readonly JsonRpcRequest[],
  session: CallSession | undefined,
  open: OpenReplyStream | undefined,
  begin: () => void,
): MaybePromise<Reply> {
  let taken = 0;
  while (taken < messages.length && calls.slots.take()) taken++;
  if (taken < messages.length) {
    for (; taken > 0; taken--) calls.slots.give();
    return serverBusy("request-limit");
  }
  begin();
  const answer = new Answer(calls, inbound, open, messages.length);
  for (const message of messages) new Call(calls, inbound, session, message, answer).start();
  return answer.reply();
}
