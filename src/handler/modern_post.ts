/**
 * POST in the 2026 era: every request says for itself who speaks and how, and is answered for itself.
 *
 * @module
 */
import { clip } from "../internal/quote.ts";
import type { MaybePromise } from "../internal/types.ts";
import { type Envelope, envelopeVersion, readEnvelope } from "../protocol/envelope.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { RefusalReason } from "../protocol/events.ts";
import { checkParamHeaders, checkStandardHeaders } from "../protocol/headers.ts";
import type { JsonRpcRequest } from "../protocol/jsonrpc.ts";
import { methodFacts } from "../protocol/methods.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import { refusal } from "../http/reply.ts";
import { StopError } from "../calls/stop.ts";
import { Answer } from "./answer.ts";
import { Call, type CallInit } from "./call.ts";
import { openDirectStream } from "./direct_stream.ts";
import type { Endpoint } from "./endpoint.ts";
import { listen } from "./listen.ts";
import { accepted, serverBusy, shuttingDown } from "./responses.ts";
import type { PostInit } from "./sessionful_post.ts";

/** What a request is refused with. */
interface Wrong {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
  readonly status?: number;
  readonly reason?: RefusalReason;
}

/** Answers a POST of the 2026 era. */
export function postModern(endpoint: Endpoint, init: PostInit): MaybePromise<Response> {
  const { posted } = init;
  if (posted.kind === "batch") {
    return refuse(endpoint, null, invalid("Send one message in a POST"));
  }
  if (posted.kind === "response") {
    return refuse(endpoint, null, invalid("Send answers as inputResponses of the request"));
  }
  if (posted.kind === "notification") {
    // The era has no notification from the client that means anything over HTTP.
    if (endpoint.settings.modern) return accepted();
    return refuse(endpoint, null, unsupported(endpoint, envelopeVersion(posted.message.params)));
  }
  const { message } = posted;
  const envelope = readEnvelope(message.params);
  if (typeof envelope === "string") {
    return refuse(endpoint, message, wrongEnvelope(endpoint, message, envelope));
  }
  const wrong = wrongVersion(endpoint, init, envelope) ??
    wrongHeaders(endpoint, init, message) ?? wrongMethod(message);
  if (wrong !== undefined) return refuse(endpoint, message, wrong);
  if (endpoint.closing) return shuttingDown(endpoint, message.id);
  if (message.method === "subscriptions/listen") {
    return init.hidden === undefined
      ? listen(endpoint, init, message, envelope.client)
      : refuse(endpoint, message, NO_METHOD);
  }
  return answerModern(endpoint, init, message, envelope);
}

function answerModern(
  endpoint: Endpoint,
  { request, posted, principal, owner, hidden }: PostInit,
  message: JsonRpcRequest,
  { client, logLevel }: Envelope,
): MaybePromise<Response> {
  if (!endpoint.requests.take()) return serverBusy(endpoint, "request-limit", message.id);
  const gone = () => call.stop(new StopError("disconnected"));
  const open = () => {
    const stream = openDirectStream(endpoint, { owner, expiresAt: principal.expiresAt, gone });
    // Without a place for it the request itself has to show that its client went away.
    if (stream === undefined) call.watchClient();
    return stream;
  };
  const init: CallInit = {
    endpoint,
    request,
    principal,
    owner,
    session: undefined,
    version: MODERN,
    client,
    logLevel,
    json: posted.json,
    hidden,
  };
  const answer = new Answer(init, posted.sse ? open : undefined);
  const call = new Call(message, init, answer);
  call.start();
  return answer.response();
}

const MODERN: ProtocolVersion = "2026-07-28";
const NO_METHOD: Wrong = {
  code: ErrorCode.MethodNotFound,
  message: "Method not found",
  status: 404,
};

function wrongVersion(
  endpoint: Endpoint,
  { versionHeader }: PostInit,
  { version }: Envelope,
): Wrong | undefined {
  if (versionHeader !== version) {
    const message = "Send the version in _meta as the MCP-Protocol-Version header too";
    return { code: ErrorCode.HeaderMismatch, message };
  }
  if (endpoint.settings.modern && version === MODERN) return undefined;
  return unsupported(endpoint, version);
}

function unsupported({ settings: { versions } }: Endpoint, named: unknown): Wrong {
  // What is no text may not even become one.
  const requested = typeof named === "string" ? clip(named, 100) : typeof named;
  return {
    code: ErrorCode.UnsupportedVersion,
    message: `Speak a supported protocol version: ${versions.join(", ")}`,
    data: { supported: versions, requested },
    reason: "version",
  };
}

/** Somebody who shakes hands where nobody does learns what is spoken instead. */
function wrongEnvelope(
  endpoint: Endpoint,
  { method, params }: JsonRpcRequest,
  message: string,
): Wrong {
  return method === "initialize" && envelopeVersion(params) === undefined
    ? unsupported(endpoint, params?.protocolVersion)
    : { code: ErrorCode.InvalidParams, message };
}

function wrongHeaders(
  endpoint: Endpoint,
  { request: { headers }, hidden }: PostInit,
  { method, params = {} }: JsonRpcRequest,
): Wrong | undefined {
  let message = checkStandardHeaders(headers, method, params);
  // A tool that is hidden has no arguments that anybody could know of.
  const known = hidden === undefined && method === "tools/call";
  if (message === undefined && known && typeof params.name === "string") {
    const repeated = endpoint.dispatcher.headerParams?.(params.name);
    if (repeated !== undefined) message = checkParamHeaders(headers, params.arguments, repeated);
  }
  return message === undefined ? undefined : { code: ErrorCode.HeaderMismatch, message };
}

/** Methods of the other era are as unknown as any other. */
function wrongMethod({ method }: JsonRpcRequest): Wrong | undefined {
  const facts = methodFacts(method);
  if (facts === undefined) return undefined;
  if (facts.eras.includes("2026") && facts.from !== "server" && facts.kind === "request") {
    return undefined;
  }
  return NO_METHOD;
}

function invalid(message: string): Wrong {
  return { code: ErrorCode.InvalidRequest, message };
}

function refuse(endpoint: Endpoint, request: JsonRpcRequest | null, wrong: Wrong): Response {
  return refusal(
    { status: 400, reason: "envelope", id: request?.id ?? null, ...wrong },
    endpoint.report,
  );
}
