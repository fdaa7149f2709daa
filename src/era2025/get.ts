/**
 * Answers GET in the 2025 era: opens the server-to-client stream of a session, or resumes a stream.
 *
 * @module
 */
import type { Inbound } from "../http/inbound.ts";
import { serverBusy, sessionNotFound, shuttingDown, storeUnavailable } from "../http/refusals.ts";
import { type Refusal, refusal, type Reply } from "../http/reply.ts";
import { shortHash } from "../internal/random.ts";
import { isPromise } from "../internal/types.ts";
import { ErrorCode } from "../protocol/errors.ts";
import { notificationText } from "../protocol/exchange.ts";
import { HeaderName } from "../protocol/headers.ts";
import type { LiveSession } from "../sessions/live_session.ts";
import { SERVER_STREAM } from "../sessions/server_streams.ts";
import type { Lease } from "../streams/leases.ts";
import { followResponse } from "../streams/late_response.ts";
import { type EventId, findResumePoint, parseEventId } from "../streams/replay.ts";
import { sseReplyOf } from "../streams/sse.ts";
import type { Connected, Reader, Streams } from "../streams/streams.ts";
import type { EventLog } from "../streams/types.ts";
import type { Era2025Components } from "./components.ts";
import { checkVersion } from "./version.ts";

/** A reader with a live session. */
interface SessionReader extends Reader {
  readonly session: LiveSession;
}

/** Answers a GET. */
export async function get(components: Era2025Components, inbound: Inbound): Promise<Reply> {
  const { streams, sessions, cluster } = components;
  if (streams.closing) return shuttingDown();
  const session = await sessions.find(inbound);
  if (session.kind === "session") return await getIn(components, inbound, session);
  if (session.kind === "refusal") return session;
  const reply = await cluster.forward(inbound, session.id);
  if (!isUnanswered(reply) || !resumesRequest(inbound)) return reply;
  // The log has the stream of a request, and its end if its node is lost.
  const here = sessions.ensureLive(session.id);
  here.record = session.record;
  return await getIn(components, inbound, here);
}

/** Tells whether the node that holds a session could not be reached, or didn't answer. */
function isUnanswered(reply: Reply): boolean {
  if (reply.kind !== "refusal") return false;
  const { reason } = reply as Refusal; // as its kind says
  return reason === "node-unreachable" || reason === "node-silent";
}

/** Tells whether a GET resumes the stream of a request. */
function resumesRequest(inbound: Inbound): boolean {
  const id = parseEventId(inbound.header(HeaderName.LastEventId) ?? "");
  return id !== undefined && id.stream !== SERVER_STREAM;
}

/** Answers a GET of a session. */
async function getIn(
  components: Era2025Components,
  inbound: Inbound,
  session: LiveSession,
): Promise<Reply> {
  const { versions } = components;
  const refused = checkVersion(inbound, session.record?.protocolVersion, versions);
  if (refused !== undefined) return refused;
  const { share, principal: { expiresAt }, version } = inbound;
  const reader = { session, share, expiresAt, version };
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
  const { streams, reporter } = components;
  const { session } = reader;
  const point = await findResumePoint(streams.log, session.id, lastEventId);
  if ("failed" in point) {
    const reason = point.failed;
    const lost = reason === "gap" ? parseEventId(lastEventId) : undefined;
    if (lost !== undefined && await skipsGap(streams.log, session, lost)) {
      return await connect(components, reader, lost.stream, lost.n);
    }
    reporter.report({ type: "resume-failed", session: shortHash(session.id), reason });
    return await openWithHints(components, reader);
  }
  const { stream, after, complete } = point;
  if (complete && !session.noteFinished(stream)) return nothingFollows();
  if (stream === SERVER_STREAM) return await openServerStream(components, reader, after);
  return await connect(components, reader, stream, after);
}

/**
 * Tells whether a client that can't resume a request's stream without a gap gets what is left of it: the
 * response, unless the session has kept nothing. While the request runs, the client gets the response on
 * the server-to-client stream, once it is there, unless it reads that one already.
 */
async function skipsGap(
  log: EventLog,
  session: LiveSession,
  { stream, n }: EventId,
): Promise<boolean> {
  if (stream === SERVER_STREAM) return false;
  const slice = await log.read(session.id, stream, n);
  if (slice === undefined) return false;
  if (slice.ended) return slice.events.length > 0;
  if (session.connections.has(SERVER_STREAM)) return true;
  session.noteLagging(stream);
  return false;
}

/** Connects a client to a request's stream that it resumes. */
async function connect(
  { streams, cluster }: Era2025Components,
  reader: SessionReader,
  stream: string,
  after: number,
): Promise<Reply> {
  const { session } = reader;
  // The endpoint may have closed, or the session may have ended, during the read.
  const late = tooLate(streams, session);
  if (late !== undefined) return late;
  const admitted = streams.admit(reader, stream);
  if (!(isPromise(admitted) ? await admitted : admitted)) return serverBusy("stream-limit");
  const later = tooLate(streams, session);
  if (later !== undefined) {
    streams.slots.give(reader.share);
    return later;
  }
  let stopFollowing: (() => void) | undefined = undefined;
  let closed = false;
  const onClose = () => {
    closed = true;
    stopFollowing?.();
  };
  const init = { ...reader, stream, after, kind: "request", resumed: true, onClose } as const;
  const connected = streams.connectInSlot(init);
  if (!closed) stopFollowing = cluster.followRun(session.id, stream);
  // The broken connection may still be open on another node.
  cluster.publish({ kind: "resumed", session: session.id, stream });
  return connected.reply;
}

/** Refuses a stream that would open although the endpoint closes, or the session has ended. */
function tooLate(streams: Streams, session: LiveSession): Refusal | undefined {
  if (streams.closing) return shuttingDown();
  return session.ended ? sessionNotFound("session-unknown") : undefined;
}

/**
 * Opens the server-to-client stream of the session, of which there is one in the whole cluster.
 *
 * @param resumeAfter The number of the last event that a resuming client has received; when left out,
 * the stream begins after the last delivered event
 */
async function openServerStream(
  components: Era2025Components,
  reader: SessionReader,
  resumeAfter?: number,
): Promise<Reply> {
  const { streams, leases, reporter, secondGet } = components;
  const { session } = reader;
  let connected: Connected | undefined = undefined;
  let stopFollowing: (() => void) | undefined = undefined;
  let closed = false;
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
  const isLate = () => tooLate(streams, session) ?? (replaced ? sseReplyOf() : undefined);
  let after: number;
  try {
    // Only now has the connection that held the lease before stopped delivering.
    after = resumeAfter ?? await streams.log.delivered(session.id, SERVER_STREAM);
    // A stream that opened now would never close, or replace a newer one.
    const late = isLate();
    if (late !== undefined) {
      release();
      return late;
    }
    const admitted = streams.admit(reader, SERVER_STREAM);
    if (!(isPromise(admitted) ? await admitted : admitted)) {
      release();
      return serverBusy("stream-limit");
    }
  } catch (error) {
    release();
    throw error;
  }
  const later = isLate();
  if (later !== undefined) {
    streams.slots.give(reader.share);
    release();
    return later;
  }
  connected = streams.connectInSlot({
    ...reader,
    stream: SERVER_STREAM,
    after,
    kind: "server",
    resumed: resumeAfter !== undefined,
    onClose() {
      closed = true;
      release();
      stopFollowing?.();
    },
  });
  // An event listener may have closed it already.
  if (!closed) {
    stopFollowing = sendLateResponses(components, session, connected);
    session.noteListening();
  }
  return connected.reply;
}

/** Sends the responses of requests whose streams the client could not resume on a connection that it has. */
function sendLateResponses(
  { streams: { log }, reporter, cluster }: Era2025Components,
  session: LiveSession,
  { sendOther }: Connected,
): (() => void) | undefined {
  if (session.lagging.size === 0) return undefined;
  const stops = [...session.lagging].flatMap((stream) => [
    followResponse({
      log,
      reporter,
      session: session.id,
      stream,
      // A connection to the stream itself sends its response.
      send: (data) => session.connections.has(stream) || sendOther(data),
      onSent: () => session.forgetLagging(stream),
    }),
    cluster.followRun(session.id, stream),
  ]);
  return () => {
    for (const stop of stops) stop();
  };
}

/**
 * Opens the server-to-client stream, unless the client has it open, and sends `list_changed`
 * notifications instead of the events that can't be replayed.
 */
async function openWithHints(components: Era2025Components, reader: SessionReader): Promise<Reply> {
  const { session } = reader;
  const { sessions, calls: { dispatcher } } = components;
  const lists = dispatcher.listChangedIn?.(session.id) ?? dispatcher.listChanged ?? [];
  const hints = lists.map((method) => notificationText({ method }));
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
