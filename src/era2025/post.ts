/**
 * POST in the 2025 era: a request, a notification, a reply, or a batch of them.
 *
 * @module
 */
import { startBatch, startCall } from "../calls/call.ts";
import { type Inbound, UNKNOWN_CLIENT } from "../http/inbound.ts";
import { shuttingDown, storeUnavailable } from "../http/refusals.ts";
import { accepted, type Refusal, refusal, type Reply } from "../http/reply.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { Classified } from "../protocol/jsonrpc.ts";
import { VERSIONS } from "../protocol/versions.ts";
import type { LiveSession } from "../sessions/live_session.ts";
import type { Lookup } from "../sessions/sessions.ts";
import { openDirectReply } from "../streams/direct_reply.ts";
import { openLoggedReply } from "../streams/logged_reply.ts";
import type { OpenReplyStream } from "../streams/reply_stream.ts";
import { initialize } from "./initialize.ts";
import { takeMessage } from "./messages.ts";
import type { Era2025Parts } from "./parts.ts";
import { checkVersion } from "./version.ts";

/** Answers a POST. */
export function post(parts: Era2025Parts, inbound: Inbound): MaybePromise<Reply> {
  const { content } = inbound;
  if (content.kind === "request") {
    if (parts.calls.closing) return shuttingDown(content.message.id);
    if (content.message.method === "initialize") {
      return initialize(parts, inbound, content.message);
    }
  }
  if (!parts.sessionful) return postIn(parts, inbound, undefined);
  const found = parts.sessions.find(inbound);
  if (isPromise(found)) return found.then((session) => postFound(parts, inbound, session));
  return postFound(parts, inbound, found);
}

function postFound(parts: Era2025Parts, inbound: Inbound, found: Lookup): MaybePromise<Reply> {
  if (found.kind === "session") return postIn(parts, inbound, found);
  return found.kind === "elsewhere" ? parts.forward(inbound, found.id) : found;
}

function postIn(
  parts: Era2025Parts,
  inbound: Inbound,
  session: LiveSession | undefined,
): MaybePromise<Reply> {
  const { calls, versions } = parts;
  const { content, accepts } = inbound;
  const refused = checkVersion(inbound, session?.record?.protocolVersion, versions);
  if (refused !== undefined) return refused;
  inbound.client = session?.record?.client ?? UNKNOWN_CLIENT;
  const open = accepts.sse ? () => openStream(parts, inbound, session) : undefined;
  if (content.kind === "request") {
    // The endpoint may have closed while the session was looked up.
    if (calls.closing) return shuttingDown(content.message.id);
    return startCall(calls, inbound, content.message, session, open);
  }
  if (content.kind === "batch") {
    return postBatch(parts, inbound, content.batch, session, open);
  }
  const taken = takeMessage(parts, inbound, session, content);
  if (!isPromise(taken)) return accepted();
  return taken.then(
    accepted,
    (error) => storeUnavailable("noting that a client is initialized", error),
  );
}

/** Opens the stream of an answer that isn't there at once, or that sends messages before. */
function openStream(
  { streams }: Era2025Parts,
  { owner, principal: { expiresAt }, version }: Inbound,
  session: LiveSession | undefined,
): ReturnType<OpenReplyStream> {
  return session === undefined
    ? openDirectReply(streams, { owner, expiresAt })
    : openLoggedReply(streams, { session, owner, expiresAt, version });
}

function postBatch(
  parts: Era2025Parts,
  inbound: Inbound,
  batch: readonly Classified[],
  session: LiveSession | undefined,
  open: OpenReplyStream | undefined,
): MaybePromise<Reply> {
  const { calls, reporter } = parts;
  if (!VERSIONS[inbound.version].batch) return batchRefused("Send one message in a POST");
  const { requests } = inbound;
  if (requests.some(({ method }) => method === "initialize")) {
    return batchRefused("Send initialize in a POST of its own");
  }
  if (calls.closing && requests.length > 0) return shuttingDown();
  const takeMessages = () => {
    for (const message of batch) {
      if (message.kind === "request") continue;
      const take = () => takeMessage(parts, inbound, session, message);
      reporter.background("noting that a client is initialized", take);
    }
  };
  if (requests.length > 0) {
    return startBatch(calls, inbound, requests, session, open, takeMessages);
  }
  takeMessages();
  return accepted();
}

function batchRefused(message: string): Refusal {
  return refusal({ status: 400, code: ErrorCode.InvalidRequest, message, reason: "batch" });
}
