/**
 * Answers POST in the 2026 era: checks the `_meta` envelope and the headers that repeat it, then runs
 * the request.
 *
 * @module
 */
import { Answer } from "../calls/answer.ts";
import { Call } from "../calls/call.ts";
import type { Calls } from "../calls/calls.ts";
import { dispatchNotification } from "../calls/notification.ts";
import type { Inbound } from "../http/inbound.ts";
import { shuttingDown } from "../http/refusals.ts";
import { accepted, type Refusal, refusal, type Reply } from "../http/reply.ts";
import { unsupportedVersion } from "../http/version.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { envelopeVersion, readEnvelope } from "../protocol/envelope.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { RefusalReason } from "../protocol/events.ts";
import { checkParamHeaders, checkStandardHeaders } from "../protocol/headers.ts";
import type { JsonRpcNotification, JsonRpcRequest, RequestId } from "../protocol/jsonrpc.ts";
import { clientTooLong } from "../protocol/lengths.ts";
import { methodFacts } from "../protocol/methods.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import { openDirectReply } from "../streams/direct_reply.ts";
import type { Era2026Components } from "./components.ts";

const VERSION: ProtocolVersion = "2026-07-28";

/** Answers a POST (2026-07-28, Streamable HTTP). */
export function post(components: Era2026Components, inbound: Inbound): MaybePromise<Reply> {
  const { content } = inbound;
  if (content.kind === "batch") return invalid("Send one message in a POST");
  if (content.kind === "response") {
    return invalid("Send responses as inputResponses of the request");
  }
  const { calls, subscriptions } = components;
  if (content.kind === "notification") return takeNotification(calls, inbound, content.message);
  const { message } = content;
  const refused = checkRequest(inbound, message, calls.settings.versions);
  if (refused !== undefined) return refused;
  if (calls.closing) return shuttingDown(message.id);
  if (message.method === "subscriptions/listen") {
    return inbound.hidden === undefined
      ? subscriptions.listen(inbound, message)
      : methodNotFound(message.id, "hidden");
  }
  return answer(components, inbound, message);
}

function answer(
  components: Era2026Components,
  inbound: Inbound,
  message: JsonRpcRequest,
): MaybePromise<Reply> {
  const refused = components.calls.admit(inbound.share, message.id);
  if (isPromise(refused)) {
    return refused.then((refused) => refused ?? answerInSlot(components, inbound, message));
  }
  return refused ?? answerInSlot(components, inbound, message);
}

/** Answers a request in a slot that has been taken. */
function answerInSlot(
  components: Era2026Components,
  inbound: Inbound,
  message: JsonRpcRequest,
): MaybePromise<Reply> {
  const { slots } = components.streams;
  if (slots.shared === undefined || !inbound.accepts.sse) return run(components, inbound, message);
  return slots.expecting(inbound.share, () => run(components, inbound, message));
}

function run(
  { calls, streams }: Era2026Components,
  inbound: Inbound,
  message: JsonRpcRequest,
): MaybePromise<Reply> {
  const { share, principal: { expiresAt }, accepts } = inbound;
  const onLost = () => call.disconnected();
  const open = () => openDirectReply(streams, { share, expiresAt, onLost });
  const answer = new Answer(calls, inbound, accepts.sse ? open : undefined);
  const call = new Call(calls, inbound, undefined, message, answer);
  call.start();
  return answer.reply();
}

/**
 * Passes a notification to the dispatcher. In this era no notification of the protocol has a meaning over
 * HTTP, and others need the envelope, too.
 */
function takeNotification(calls: Calls, inbound: Inbound, message: JsonRpcNotification): Reply {
  const { method, params } = message;
  if (methodFacts(method) !== undefined || calls.dispatcher.notified === undefined) {
    return accepted();
  }
  const envelope = readEnvelope(params);
  if (typeof envelope === "string" || envelope.version !== VERSION) return accepted();
  if (clientTooLong(envelope.client, inbound.bodyLength) !== undefined) return accepted();
  inbound.version = VERSION;
  inbound.client = envelope.client;
  return dispatchNotification(calls, inbound, message, undefined, accepted);
}

/** Fills in the version, client and log level of a request, or refuses the request. */
function checkRequest(
  inbound: Inbound,
  message: JsonRpcRequest,
  versions: readonly ProtocolVersion[],
): Refusal | undefined {
  const { id, method, params } = message;
  const envelope = readEnvelope(params);
  if (typeof envelope === "string") {
    // A 2025 client that sends `initialize` learns which versions are served.
    return method === "initialize" && envelopeVersion(params) === undefined
      ? unsupportedVersion(id, params?.protocolVersion, versions)
      : refuse(id, ErrorCode.InvalidParams, envelope);
  }
  const { version, client, logLevel } = envelope;
  if (inbound.repeatsInHeaders && inbound.versionHeader !== version) {
    const hint = "Send the version in _meta as the MCP-Protocol-Version header too";
    return refuse(id, ErrorCode.HeaderMismatch, hint);
  }
  if (version !== VERSION) return unsupportedVersion(id, version, versions);
  const mismatch = inbound.repeatsInHeaders ? headerMismatch(inbound, message) : undefined;
  if (mismatch !== undefined) return refuse(id, ErrorCode.HeaderMismatch, mismatch);
  if (isForeignMethod(method)) return methodNotFound(id);
  const tooLong = clientTooLong(client, inbound.bodyLength);
  if (tooLong !== undefined) return refuse(id, ErrorCode.InvalidParams, tooLong);
  inbound.version = VERSION;
  inbound.client = client;
  inbound.logLevel = logLevel;
  return undefined;
}

/** Returns a message about the header that doesn't match the body, or `undefined`. */
function headerMismatch(
  { source: { headers }, hidden, route }: Inbound,
  { method, params = {} }: JsonRpcRequest,
): string | undefined {
  // Headers repeat what the client has sent, whatever that stands for.
  const mismatch = checkStandardHeaders(headers, method, params);
  // Checking would reveal the arguments of a hidden tool.
  const repeated = hidden === undefined ? route?.headerParams : undefined;
  if (mismatch !== undefined || repeated === undefined) return mismatch;
  return checkParamHeaders(headers, params.arguments, repeated);
}

/** Tells whether a method is known but not a client request of this era: it is answered as unknown. */
function isForeignMethod(method: string): boolean {
  const facts = methodFacts(method);
  if (facts === undefined) return false;
  return !facts.eras.includes("2026") || facts.from === "server" || facts.kind !== "request";
}

function methodNotFound(id: RequestId, reason: RefusalReason = "envelope"): Refusal {
  const message = "Method not found";
  return refusal({ status: 404, code: ErrorCode.MethodNotFound, message, id, reason });
}

function invalid(message: string): Refusal {
  return refuse(null, ErrorCode.InvalidRequest, message);
}

function refuse(id: RequestId | null, code: number, message: string): Refusal {
  return refusal({ status: 400, code, message, id, reason: "envelope" });
}
