/**
 * Asks the client something in the middle of a request (2025): on the request's own stream, else on
 * the server's.
 *
 * @module
 */
import { ErrorCode, McpError, MissingCapabilityError } from "../protocol/errors.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { methodFacts } from "../protocol/methods.ts";
import { VERSIONS } from "../protocol/versions.ts";
import type { Call } from "./call.ts";
import type { Endpoint } from "./endpoint.ts";
import { sendOnServerStream } from "./server_stream.ts";

/**
 * Sends a request to the client and waits for its reply.
 *
 * @param send Sends on the request's own stream; `false` when there is none
 * @throws {MissingCapabilityError} When the client lacks the capability
 * @throws {McpError} When there is no stream to ask on, the client answers with an error, or gives
 * no answer in time
 * @throws {AbortSignal["reason"]} When the request is stopped
 */
export async function ask(
  endpoint: Endpoint,
  call: Call,
  send: (text: string) => boolean,
  method: string,
  params: JsonObject,
): Promise<JsonObject> {
  requireCapability(call, method);
  const { session } = call;
  if (call.reason !== undefined) throw call.reason;
  if (session === undefined || call.over) throw noStream();
  const say = (message: JsonObject) => {
    const text = JSON.stringify({ jsonrpc: "2.0", ...message });
    return send(text) || sendOnServerStream(endpoint, session, text);
  };
  const question = session.questions.open((requestId) => {
    const params = { requestId, reason: "No answer in time" };
    say({ method: "notifications/cancelled", params });
  });
  const forget = call.onOver(() => question.abort(call.reason ?? noStream()));
  try {
    if (!say({ id: question.id, method, params })) question.abort(noStream());
    return await question.reply;
  } finally {
    forget();
  }
}

function requireCapability(call: Call, method: string): void {
  const capability = methodFacts(method)?.clientCapability;
  if (capability === undefined) return;
  const spoken = capability !== "elicitation" || VERSIONS[call.protocolVersion].elicitation;
  const capabilities: JsonObject = { ...call.client.capabilities };
  if (!spoken || !isObject(capabilities[capability])) throw new MissingCapabilityError(capability);
}

function noStream(): McpError {
  return new McpError(
    ErrorCode.Refused,
    "Accept text/event-stream or open a GET stream to be asked something",
  );
}
