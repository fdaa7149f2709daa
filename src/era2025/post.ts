/**
 * Answers POST in the 2025 era: a request, a notification, a response, or a batch of them.
 *
 * The next step of a call is in `calls/call.ts`.
 *
 * @module
 */
import { startBatch, startCall } from "../calls/call.ts";
import { type Inbound, UNKNOWN_CLIENT } from "../http/inbound.ts";
import { sessionNotFound, shuttingDown, storeUnavailable } from "../http/refusals.ts";
import { accepted, type Refusal, refusal, type Reply } from "../http/reply.ts";
import { reportRefusal } from "../http/respond.ts";
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
import type { Era2025Components } from "./components.ts";
import { checkVersion } from "./version.ts";

/** Answers a POST (2025-11-25, Transports, Sending Messages to the Server). */
export function post(components: Era2025Components, inbound: Inbound): MaybePromise<Reply> {
  const { content } = inbound;
  if (content.kind === "request") {
    if (components.calls.closing) return shuttingDown(content.message.id);
    if (content.message.method === "initialize") {
      return initialize(components, inbound, content.message);
    }
  }
  if (!components.sessionful) return postIn(components, inbound, undefined);
  const found = components.sessions.find(inbound);
  if (isPromise(found)) return found.then((session) => postFound(components, inbound, session));
  return postFound(components, inbound, found);
}

function postFound(
  components: Era2025Components,
  inbound: Inbound,
  found: Lookup,
): MaybePromise<Reply> {
  if (found.kind === "session") return postIn(components, inbound, found);
  return found.kind === "elsewhere" ? components.cluster.forward(inbound, found.id) : found;
}

function postIn(
  components: Era2025Components,
  inbound: Inbound,
  session: LiveSession | undefined,
): MaybePromise<Reply> {
  const { versions } = components;
  const { accepts } = inbound;
  const refused = checkVersion(inbound, session?.record?.protocolVersion, versions);
  if (refused !== undefined) return refused;
  inbound.client = session?.record?.client ?? UNKNOWN_CLIENT;
  const { slots } = components.streams;
  if (slots.shared !== undefined && accepts.sse && inbound.requests.length > 0) {
    return slots.expecting(inbound.share, () => postReady(components, inbound, session));
  }
  return postReady(components, inbound, session);
}

/** Answers a POST for which a stream's slot is ready, if there is one. */
function postReady(
  components: Era2025Components,
  inbound: Inbound,
  session: LiveSession | undefined,
): MaybePromise<Reply> {
  const { calls } = components;
  const { content, accepts } = inbound;
  if (session?.ended === true) return sessionNotFound("session-unknown");
  const open = accepts.sse ? () => openStream(components, inbound, session) : undefined;
  if (content.kind === "request") {
    // The endpoint may have closed while the session was looked up.
    if (calls.closing) return shuttingDown(content.message.id);
    return startCall(calls, inbound, content.message, session, open);
  }
  if (content.kind === "batch") {
    return postBatch(components, inbound, content.batch, session, open);
  }
  const taken = takeMessage(components, inbound, session, content);
  if (!isPromise(taken)) return taken ?? accepted();
  return taken.then(
    (refused) => refused ?? accepted(),
    (error) => storeUnavailable("noting that a client is initialized", error),
  );
}

/** Opens the stream of an answer, with an event log if there is a session. */
function openStream(
  { streams, cluster }: Era2025Components,
  inbound: Inbound,
  session: LiveSession | undefined,
): ReturnType<OpenReplyStream> {
  const { share, principal: { expiresAt }, version, request, requests } = inbound;
  if (session === undefined) return openDirectReply(streams, { share, expiresAt });
  const continued = cluster.continueReply(inbound, session);
  if (continued !== undefined) return continued;
  const run = { node: cluster.node, requests: requests.map(({ id }) => id) };
  const onRun = (stream: string) => cluster.keepRequest(inbound, session.id, stream);
  const reader = { session, share, expiresAt, version, run, onRun };
  if (streams.clock.perRequest !== true) return openLoggedReply(streams, reader);
  // What the request runs ends with its connection.
  const onClose = () => session.inflight.disconnected(request);
  return openLoggedReply(streams, { ...reader, onClose });
}

function postBatch(
  components: Era2025Components,
  inbound: Inbound,
  batch: readonly Classified[],
  session: LiveSession | undefined,
  open: OpenReplyStream | undefined,
): MaybePromise<Reply> {
  const { calls, reporter } = components;
  if (!VERSIONS[inbound.version].batch) return batchRefused("Send one message in a POST");
  const { requests } = inbound;
  if (requests.some(({ method }) => method === "initialize")) {
    return batchRefused("Send initialize in a POST of its own");
  }
  if (calls.closing && requests.length > 0) return shuttingDown();
  const takeMessages = () => {
    for (const message of batch) {
      if (message.kind === "request") continue;
      const take = () => {
        const taken = takeMessage(components, inbound, session, message);
        // The other messages of the batch are answered: the refusal is only reported.
        if (isPromise(taken) || taken === undefined) return taken;
        reportRefusal(taken, reporter);
      };
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
