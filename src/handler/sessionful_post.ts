/**
 * POST in the 2025 era: a request, a notification, a reply, or a batch of them.
 *
 * @module
 */
import { isResponse } from "../internal/whole.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { ClientFacts, Principal } from "../protocol/exchange.ts";
import type { Classified, JsonRpcRequest } from "../protocol/jsonrpc.ts";
import { VERSIONS } from "../protocol/versions.ts";
import type { Passed } from "../http/gates/order.ts";
import { refusal } from "../http/reply.ts";
import { Answer, type OpenStream, type ReplyStream } from "./answer.ts";
import { Call, type CallInit } from "./call.ts";
import { openDirectStream } from "./direct_stream.ts";
import type { Endpoint } from "./endpoint.ts";
import { initialize } from "./initialize.ts";
import type { LiveSession } from "./live_session.ts";
import { findSession, versionOf } from "./lookup.ts";
import { takeMessage } from "./messages.ts";
import { openReplyStream } from "./reply_stream.ts";
import { accepted, serverBusy, shuttingDown, unavailable } from "./responses.ts";

/** A POST that passed the gates. */
export type Posted = Extract<Passed, { verb: "POST" }>;

/** A POST with its sender. */
export interface PostInit {
  readonly request: Request;
  readonly posted: Posted;
  readonly principal: Principal;
  /** The sender's owner key. */
  readonly owner: string;
  /** The MCP-Protocol-Version header. */
  readonly versionHeader: string | null;
  /** The requests for what the sender may not know of. */
  readonly hidden?: ReadonlySet<JsonRpcRequest>;
}

const NO_CLIENT: ClientFacts = { capabilities: {} };

/** Answers a POST of the 2025 era. */
export function post(endpoint: Endpoint, init: PostInit): MaybePromise<Response> {
  const { posted, request, principal, owner } = init;
  if (endpoint.closing && posted.kind === "request") {
    return shuttingDown(endpoint, posted.message.id);
  }
  if (posted.kind === "request" && posted.message.method === "initialize") {
    const { json, length, message } = posted;
    const { hidden } = init;
    return initialize(endpoint, message, { request, principal, owner, json, length, hidden });
  }
  if (!endpoint.settings.sessions) return postIn(endpoint, init, undefined);
  const session = findSession(endpoint, init);
  if (isPromise(session)) return session.then((found) => postFound(endpoint, init, found));
  return postFound(endpoint, init, session);
}

function postFound(
  endpoint: Endpoint,
  init: PostInit,
  found: LiveSession | Response,
): MaybePromise<Response> {
  return isResponse(found) ? found : postIn(endpoint, init, found);
}

function postIn(
  endpoint: Endpoint,
  init: PostInit,
  session: LiveSession | undefined,
): MaybePromise<Response> {
  const { posted, request, principal } = init;
  const id = posted.kind === "request" ? posted.message.id : null;
  const version = versionOf(endpoint, init.versionHeader, session, id);
  if (typeof version !== "string") return version;
  // The endpoint may have closed while the session was looked up.
  if (endpoint.closing && posted.kind === "request") return shuttingDown(endpoint, id);
  const { owner, hidden } = init;
  const { json } = posted;
  const client = session?.record?.client ?? NO_CLIENT;
  const common = { endpoint, request, principal, owner, session, version, client, json, hidden };
  const open = posted.sse ? openStream : undefined;
  if (posted.kind === "request") return answerOne(common, open, posted.message);
  if (posted.kind === "batch") return answerBatch(common, open, posted.batch);
  const taken = takeMessage(endpoint, common, posted);
  if (!isPromise(taken)) return accepted();
  return taken.then(
    accepted,
    (error) => unavailable(endpoint, "noting that a client is ready", error),
  );
}

/** What an answer becomes that isn't there at once, or that has more to say. */
function openStream(init: CallInit): ReplyStream | undefined {
  const { endpoint, owner, session, version, principal: { expiresAt } } = init;
  return session === undefined
    ? openDirectStream(endpoint, { owner, expiresAt })
    : openReplyStream(endpoint, { session, owner, expiresAt, version });
}

function answerOne(
  init: CallInit,
  open: OpenStream | undefined,
  message: JsonRpcRequest,
): MaybePromise<Response> {
  const { endpoint } = init;
  if (!endpoint.requests.take()) return serverBusy(endpoint, "request-limit", message.id);
  const answer = new Answer(init, open);
  new Call(message, init, answer).start();
  return answer.response();
}

function answerBatch(
  init: CallInit,
  open: OpenStream | undefined,
  batch: readonly Classified[],
): MaybePromise<Response> {
  const { endpoint } = init;
  if (!VERSIONS[init.version].batch) return batchRefused(endpoint, "Send one message in a POST");
  const requests: JsonRpcRequest[] = [];
  for (const { kind, message } of batch) if (kind === "request") requests.push(message);
  if (requests.some(({ method }) => method === "initialize")) {
    return batchRefused(endpoint, "Send initialize in a POST of its own");
  }
  if (endpoint.closing && requests.length > 0) return shuttingDown(endpoint);
  let taken = 0;
  while (taken < requests.length && endpoint.requests.take()) taken++;
  if (taken < requests.length) {
    for (; taken > 0; taken--) endpoint.requests.give();
    return serverBusy(endpoint, "request-limit");
  }
  for (const classified of batch) {
    if (classified.kind === "request") continue;
    const take = () => takeMessage(endpoint, init, classified);
    endpoint.background("noting that a client is ready", take);
  }
  if (requests.length === 0) return accepted();
  const answer = new Answer(init, open, requests.length);
  for (const message of requests) new Call(message, init, answer).start();
  return answer.response();
}

function batchRefused(endpoint: Endpoint, message: string): Response {
  const code = ErrorCode.InvalidRequest;
  return refusal({ status: 400, code, message, reason: "batch" }, endpoint.report);
}
