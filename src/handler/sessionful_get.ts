/**
 * GET in the 2025 era: the server-to-client stream of a session, or the rest of a broken stream.
 *
 * @module
 */
import { isResponse } from "../internal/whole.ts";
import type { Lease } from "../cluster/types.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { Principal } from "../protocol/exchange.ts";
import { HeaderName } from "../protocol/headers.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import { refusal } from "../http/reply.ts";
import { findCursor } from "../streams/replay.ts";
import { connect } from "./connect.ts";
import { type Endpoint, sessionName } from "./endpoint.ts";
import type { LiveSession } from "./live_session.ts";
import { findSession, versionHeader, versionOf } from "./lookup.ts";
import { serverBusy, sessionNotFound, shuttingDown, sseAnswer, unavailable } from "./responses.ts";
import { notificationText, push, SERVER_STREAM } from "./server_stream.ts";

/** A GET with its sender. */
export interface GetInit {
  readonly request: Request;
  readonly principal: Principal;
  /** The sender's owner key. */
  readonly owner: string;
}

/** What a connection needs, once its session and version are known. */
interface Opening {
  readonly session: LiveSession;
  readonly owner: string;
  readonly expiresAt: number | undefined;
  readonly version: ProtocolVersion;
}

/** Answers a GET of the 2025 era. */
export async function get(endpoint: Endpoint, init: GetInit): Promise<Response> {
  if (endpoint.closing) return shuttingDown(endpoint);
  const { request, owner, principal } = init;
  const session = await findSession(endpoint, init);
  if (isResponse(session)) return session;
  const version = versionOf(endpoint, versionHeader(request), session);
  if (typeof version !== "string") return version;
  const opening: Opening = { session, owner, expiresAt: principal.expiresAt, version };
  const lastEventId = request.headers.get(HeaderName.LastEventId);
  try {
    if (lastEventId) return await resume(endpoint, opening, lastEventId);
    return await openServerStream(endpoint, opening);
  } catch (error) {
    return unavailable(endpoint, "opening a stream", error);
  }
}

/** Goes on with a stream after the event that the client had last. */
async function resume(
  endpoint: Endpoint,
  opening: Opening,
  lastEventId: string,
): Promise<Response> {
  const { session } = opening;
  const cursor = await findCursor(endpoint.backplane.log, session.id, lastEventId);
  if ("failed" in cursor) {
    const reason = cursor.failed;
    endpoint.report({ type: "resume-failed", session: sessionName(session.id), reason });
    return await openWithHint(endpoint, opening);
  }
  const { stream, after, over } = cursor;
  if (over && !session.noteOver(stream)) return nothingFollows(endpoint);
  if (stream === SERVER_STREAM) return await openServerStream(endpoint, opening, after);
  // The endpoint may have closed, or the session ended, while the log was asked.
  if (endpoint.closing) return shuttingDown(endpoint);
  if (session.ended) return sessionNotFound(endpoint, "session-unknown");
  const init = { ...opening, stream, after, kind: "request", resumed: true } as const;
  const connected = connect(endpoint, init);
  if (connected === undefined) return serverBusy(endpoint, "stream-limit");
  // The connection that broke may still look open on another node.
  endpoint.publish({ kind: "resumed", session: session.id, stream });
  return connected.response;
}

/**
 * Opens the one server-to-client stream of the session, in the whole cluster.
 *
 * @param resumeAfter The number of the event that the client had last, if it comes back; otherwise it
 * gets what nobody has got
 */
async function openServerStream(
  endpoint: Endpoint,
  opening: Opening,
  resumeAfter?: number,
): Promise<Response> {
  const { session } = opening;
  const { leases } = endpoint.backplane;
  let connected: ReturnType<typeof connect> = undefined;
  let overtaken = false;
  const lost = () => {
    overtaken = true;
    connected?.close("replaced");
  };
  const key = session.id;
  const lease: Lease | undefined = endpoint.settings.streams.secondGet === "reject"
    ? await leases.tryTake(key, lost)
    : await leases.take(key, lost);
  if (lease === undefined) return streamTaken(endpoint);
  const release = () => endpoint.background("giving up a stream", () => lease.release());
  let after: number;
  try {
    // Before the lease was taken, another connection may still have handed events over.
    after = resumeAfter ?? await endpoint.backplane.log.delivered(session.id, SERVER_STREAM);
  } catch (error) {
    release();
    throw error;
  }
  // What opened now would be left open, or take the place of a newer one.
  const late = endpoint.closing
    ? shuttingDown(endpoint)
    : session.ended
    ? sessionNotFound(endpoint, "session-unknown")
    : overtaken
    ? sseAnswer()
    : undefined;
  if (late !== undefined) {
    release();
    return late;
  }
  connected = connect(endpoint, {
    ...opening,
    stream: SERVER_STREAM,
    after,
    kind: "server",
    resumed: resumeAfter !== undefined,
    onClose: release,
  });
  if (connected === undefined) {
    release();
    return serverBusy(endpoint, "stream-limit");
  }
  return connected.response;
}

/**
 * Nothing can be replayed: the client gets the server's stream, unless it has that already, and hints
 * to fetch again what may have changed.
 */
async function openWithHint(endpoint: Endpoint, opening: Opening): Promise<Response> {
  const { session } = opening;
  const hints = (endpoint.dispatcher.listChanged ?? []).map((method) =>
    notificationText({ method })
  );
  if (session.connections.has(SERVER_STREAM)) return sseAnswer(...hints);
  for (const hint of hints) await push(endpoint, session.id, hint);
  return await openServerStream(endpoint, opening);
}

/**
 * A client that has everything may come back once, to a stream that ends at once. One that then comes
 * back again would do so for ever: a well-known client does, after a call that failed. This status
 * tells it that there is no stream for it (2025-11-25, Transports, Listening for Messages from the
 * Server).
 */
function nothingFollows(endpoint: Endpoint): Response {
  return refusal({
    status: 405,
    code: ErrorCode.Refused,
    message: "The stream has ended and nothing follows this event",
    reason: "stream-over",
    headers: { allow: "POST, DELETE" },
  }, endpoint.report);
}

function streamTaken(endpoint: Endpoint): Response {
  return refusal({
    status: 409,
    code: ErrorCode.Refused,
    message: "Close the session's other GET stream first",
    reason: "stream-taken",
  }, endpoint.report);
}
