/**
 * Answers GET in the 2025 era: opens the server-to-client stream of a session, or resumes a stream.
 *
 * @module
 */
import type { Inbound } from "../http/inbound.ts";
import { serverBusy, sessionNotFound, shuttingDown, storeUnavailable } from "../http/refusals.ts";
import { type Refusal, refusal, type Reply } from "../http/reply.ts";
import { shortHash } from "../internal/random.ts";
import { ErrorCode } from "../protocol/errors.ts";
import { notificationText } from "../protocol/exchange.ts";
import { HeaderName } from "../protocol/headers.ts";
import type { LiveSession } from "../sessions/live_session.ts";
import { SERVER_STREAM } from "../sessions/server_streams.ts";
import type { Lease } from "../streams/leases.ts";
import { findResumePoint } from "../streams/replay.ts";
import { sseReplyOf } from "../streams/sse.ts";
import type { Connected, Reader } from "../streams/streams.ts";
import type { Era2025Components } from "./components.ts";
import { checkVersion } from "./version.ts";

/** A reader with a live session. */
interface SessionReader extends Reader {
  readonly session: LiveSession;
}

/** Answers a GET. */
export async function get(components: Era2025Components, inbound: Inbound): Promise<Reply> {
  const { streams, sessions, versions, forward } = components;
  if (streams.closing) return shuttingDown();
  const session = await sessions.find(inbound);
  if (session.kind === "elsewhere") return await forward(inbound, session.id);
  if (session.kind === "refusal") return session;
  const refused = checkVersion(inbound, session.record?.protocolVersion, versions);
  if (refused !== undefined) return refused;
  const { owner, principal: { expiresAt }, version } = inbound;
  const reader = { session, owner, expiresAt, version };
  const lastEventId = inbound.header(HeaderName.LastEventId);
  try {
    if (lastEventId) return await resume(components, reader, lastEventId);
    return await openServerStream(components, reader);
  } catch (error) {
    return storeUnavailable("opening a stream", error);
  }
}

/** Resumes a stream after the last event that the client received. */
async function resume(
  components: Era2025Components,
  reader: SessionReader,
  lastEventId: string,
): Promise<Reply> {
  const { streams, cluster, reporter } = components;
  const { session } = reader;
  const point = await findResumePoint(streams.log, session.id, lastEventId);
  if ("failed" in point) {
    const reason = point.failed;
    reporter.report({ type: "resume-failed", session: shortHash(session.id), reason });
    return await openWithHints(components, reader);
  }
  const { stream, after, complete } = point;
  if (complete && !session.noteFinished(stream)) return nothingFollows();
  if (stream === SERVER_STREAM) return await openServerStream(components, reader, after);
  // The endpoint may have closed, or the session may have ended, during the read.
  if (streams.closing) return shuttingDown();
  if (session.ended) return sessionNotFound("session-unknown");
  const connected = streams.connect({ ...reader, stream, after, kind: "request", resumed: true });
  if (connected === undefined) return serverBusy("stream-limit");
  // The broken connection may still be open on another node.
  cluster.publish({ kind: "resumed", session: session.id, stream });
  return connected.reply;
}

/**
 * Opens the server-to-client stream of the session, of which there is one in the whole cluster.
 *
 * @param resumeAfter The number of the last event that a resuming client has received; when left out,
 * the stream begins after the last delivered event
 */
async function openServerStream(
  { streams, leases, reporter, secondGet }: Era2025Components,
  reader: SessionReader,
  resumeAfter?: number,
): Promise<Reply> {
  const { session } = reader;
  let connected: Connected | undefined = undefined;
  let replaced = false;
  const lost = () => {
    replaced = true;
    connected?.close("replaced");
  };
  const lease: Lease | undefined = secondGet === "reject"
    ? await leases.tryTake(session.id, lost)
    : await leases.take(session.id, lost);
  if (lease === undefined) return streamTaken();
  const release = () => reporter.background("releasing a stream", () => lease.release());
  let after: number;
  try {
    // Only now has the connection that held the lease before stopped delivering.
    after = resumeAfter ?? await streams.log.delivered(session.id, SERVER_STREAM);
  } catch (error) {
    release();
    throw error;
  }
  // A stream that opened now would never close, or replace a newer one.
  const late = streams.closing
    ? shuttingDown()
    : session.ended
    ? sessionNotFound("session-unknown")
    : replaced
    ? sseReplyOf()
    : undefined;
  if (late !== undefined) {
    release();
    return late;
  }
  connected = streams.connect({
    ...reader,
    stream: SERVER_STREAM,
    after,
    kind: "server",
    resumed: resumeAfter !== undefined,
    onClose: release,
  });
  if (connected === undefined) {
    release();
    return serverBusy("stream-limit");
  }
  return connected.reply;
}

/**
 * Opens the server-to-client stream, unless the client has it open, and sends `list_changed`
 * notifications instead of the events that can't be replayed.
 */
async function openWithHints(components: Era2025Components, reader: SessionReader): Promise<Reply> {
  const { session } = reader;
  const { sessions, calls: { dispatcher } } = components;
  const hints = (dispatcher.listChanged ?? []).map((method) => notificationText({ method }));
  if (session.connections.has(SERVER_STREAM)) return sseReplyOf(...hints);
  for (const hint of hints) await sessions.serverStreams.push(session.id, hint);
  return await openServerStream(components, reader);
}

/**
 * Refuses to resume a finished stream a second time. A client that has received everything may resume
 * once, and gets a stream that ends at once; one common client would repeat this for ever after a failed
 * call. Status 405 says that there is no stream (2025-11-25, Transports, Listening for Messages from the
 * Server).
 */
function nothingFollows(): Refusal {
  return refusal({
    status: 405,
    code: ErrorCode.Refused,
    message: "The stream has ended and nothing follows this event",
    reason: "stream-over",
    headers: { allow: "POST, DELETE" },
  });
}

function streamTaken(): Refusal {
  return refusal({
    status: 409,
    code: ErrorCode.Refused,
    message: "Close the session's other GET stream first",
    reason: "stream-taken",
  });
}
