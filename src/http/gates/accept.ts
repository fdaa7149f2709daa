/**
 * The Accept gate: the client reads a form that the endpoint can answer in.
 *
 * @module
 */
import { ErrorCode } from "../../protocol/errors.ts";
import { HeaderName } from "../../protocol/headers.ts";
import { parseAccept } from "../accept.ts";
import type { Inbound } from "../inbound.ts";
import { type Refusal, refusal } from "../reply.ts";

/** Fills in what the client accepts. Refuses a POST without JSON and SSE, and a GET without SSE. */
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
