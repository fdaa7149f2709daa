/**
 * Implements the Accept gate: the client must accept a media type that the endpoint can send.
 *
 * @module
 */
import { ErrorCode } from "../../protocol/errors.ts";
import { HeaderName } from "../../protocol/headers.ts";
import { parseAccept } from "../accept.ts";
import type { Inbound } from "../inbound.ts";
import { type Refusal, refusal } from "../reply.ts";

/**
 * Fills in the media types that the client accepts. Refuses a POST that accepts neither JSON nor SSE,
 * and a GET that doesn't accept SSE.
 */
export function checkAccept(inbound: Inbound): Refusal | undefined {
  const accepts = inbound.accepts = parseAccept(inbound.header(HeaderName.Accept));
  const isPost = inbound.method === "POST";
  if (accepts.sse || (accepts.json && isPost)) return undefined;
  const types = isPost ? "application/json, text/event-stream" : "text/event-stream";
  return refusal({
    status: 406,
    code: ErrorCode.Refused,
    message: `Send the header Accept: ${types}`,
    reason: "accept",
  });
}
