/**
 * POST in the 2025 era: a request, a notification, a reply, or a batch of them.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { ClientFacts, Principal } from "../protocol/exchange.ts";
import type { Classified, JsonRpcRequest } from "../protocol/jsonrpc.ts";
import { type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import type { Passed } from "../gates/order.ts";
import { refusal } from "../gates/refusal.ts";
import { Answer } from "./answer.ts";
import { Call } from "./call.ts";
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

/** What requests need to be answered, once their session and version are known. */
interface Spoken {
  readonly init: PostInit;
  readonly session: LiveSession | undefined;
  readonly version: ProtocolVersion;
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
    const hidden = init.hidden?.has(message);
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
  return found instanceof Response ? found : postIn(endpoint, init, found);
}

function postIn(
  endpoint: Endpoint,
  init: PostInit,
  session: LiveSession | undefined,
): MaybePromise<Response> {
  const { posted, request, principal } = init;
  const id = posted.kind === "request" ? posted.message.id : null;
  const version = versionOf(endpoint, init.versionHeader, session, id);
  if (version instanceof Response) return version;
  // The endpoint may have closed while the session was looked up.
  if (endpoint.closing && posted.kind === "request") return shuttingDown(endpoint, id);
  const spoken: Spoken = { init, session, version };
  if (posted.kind === "request") return answerOne(endpoint, spoken, posted.message);
  if (posted.kind === "batch") return answerBatch(endpoint, spoken, posted.batch);
  const taken = takeMessage(endpoint, { request, principal, session, version }, posted);
  if (!isPromise(taken)) return accepted();
  return taken.then(
    accepted,
    (error) => unavailable(endpoint, "noting that a client is ready", error),
  );
}

function answerOne(
  endpoint: Endpoint,
  spoken: Spoken,
  message: JsonRpcRequest,
): MaybePromise<Response> {
  if (!endpoint.requests.take()) return serverBusy(endpoint, "request-limit", message.id);
  const answer = answerFor(endpoint, spoken);
  startCall(endpoint, spoken, message, answer);
  return answer.response();
}

function answerBatch(
  endpoint: Endpoint,
  spoken: Spoken,
  batch: readonly Classified[],
): MaybePromise<Response> {
  if (!VERSIONS[spoken.version].batch) return batchRefused(endpoint, "Send one message in a POST");
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
  const { init: { request, principal }, session, version } = spoken;
  for (const classified of batch) {
    if (classified.kind === "request") continue;
    const take = () => takeMessage(endpoint, { request, principal, session, version }, classified);
    endpoint.background("noting that a client is ready", take);
  }
  if (requests.length === 0) return accepted();
  const answer = answerFor(endpoint, spoken, requests.length);
  for (const message of requests) startCall(endpoint, spoken, message, answer);
  return answer.response();
}

function answerFor(endpoint: Endpoint, spoken: Spoken, batch?: number): Answer {
  const { init: { posted, owner, principal: { expiresAt } }, session, version } = spoken;
  const open = !posted.sse
    ? undefined
    : session === undefined
    ? () => openDirectStream(endpoint, { owner, expiresAt })
    : () => openReplyStream(endpoint, { session, owner, expiresAt, version });
  return new Answer({ endpoint, json: posted.json, open, after: endpoint.lines.sseAfter, batch });
}

function startCall(
  endpoint: Endpoint,
  { init: { request, principal, hidden: unknown }, session, version }: Spoken,
  message: JsonRpcRequest,
  answer: Answer,
): void {
  const client = session?.record?.client ?? NO_CLIENT;
  const hidden = unknown?.has(message);
  const call = { endpoint, message, request, principal, session, version, client, answer, hidden };
  new Call(call).start();
}

function batchRefused(endpoint: Endpoint, message: string): Response {
  const code = ErrorCode.InvalidRequest;
  return refusal({ status: 400, code, message, reason: "batch" }, endpoint.report);
}
