/**
 * Opens a connection that reads one of a session's streams, and keeps account of it until it closes.
 *
 * @module
 */
import { type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import type { StreamCloseReason } from "../protocol/events.ts";
import { Connection } from "../streams/connection.ts";
import { callAt } from "./call_at.ts";
import { type Endpoint, sessionName } from "./endpoint.ts";
import type { LiveSession } from "./live_session.ts";
import { sseResponse } from "./responses.ts";

/** What to connect to. */
export interface ConnectInit {
  readonly session: LiveSession;
  /** The owner's key, for counting connections. */
  readonly owner: string;
  /** When the owner's credentials end, in milliseconds since the epoch. */
  readonly expiresAt: number | undefined;
  readonly version: ProtocolVersion;
  /** The stream's name in its session. */
  readonly stream: string;
  /** The number of the last event that the client has. */
  readonly after: number;
  /** Whether the stream answers a request, or is the server's own. */
  readonly kind: "request" | "server";
  /** Whether the client comes back to a stream that it had. */
  readonly resumed?: boolean;
  /** Called once when the connection has closed. */
  readonly onClose?: () => void;
}

/** A connection, as the response that carries it. */
export interface Connected {
  readonly response: Response;
  /** Ends the connection, not the stream. */
  readonly close: Connection["close"];
}

/**
 * Opens a connection. It takes the place of the one that read the same stream before, if there is one.
 *
 * @returns `undefined` when too many connections are open
 */
export function connect(
  endpoint: Endpoint,
  init: ConnectInit,
): Connected | undefined {
  const { session, owner, stream } = init;
  session.connections.get(stream)?.close("replaced");
  return endpoint.streams.take(owner) ? connectIn(endpoint, init) : undefined;
}

/** Opens a connection to a stream that has none, in a place that its owner has taken. */
export function connectIn(endpoint: Endpoint, init: ConnectInit): Connected {
  const { session, owner, stream, kind, version } = init;
  const { log } = endpoint.backplane;
  const { retryMs } = endpoint.settings.streams;
  endpoint.hold(session.id);
  endpoint.background("opening a stream", () => log.open(session.id, stream));
  let stopExpiry: (() => void) | undefined = undefined;
  const connection = new Connection({
    log,
    session: session.id,
    stream,
    after: init.after,
    priming: VERSIONS[version].priming,
    retryMs,
    keepAlive: endpoint.lines.keepAlive,
    report: endpoint.report,
    onClose(reason) {
      stopExpiry?.();
      if (session.connections.get(stream)?.open === false) session.connections.delete(stream);
      endpoint.streams.give(owner);
      endpoint.free(session.id);
      init.onClose?.();
      reportClosed(endpoint, session, kind, reason);
    },
  });
  // A stream that has ended is sent whole at once.
  if (connection.open) {
    session.connections.set(stream, connection);
    stopExpiry = callAt(endpoint.settings.clock, init.expiresAt, () => {
      connection.close("unauthorized");
    });
  }
  if (endpoint.watched) {
    const type = init.resumed ? "stream-resumed" : "stream-opened";
    endpoint.report({ type, session: sessionName(session.id), stream: kind });
  }
  return {
    response: sseResponse(connection.body),
    close: (reason, options) => connection.close(reason, options),
  };
}

function reportClosed(
  endpoint: Endpoint,
  session: LiveSession,
  stream: "request" | "server",
  reason: StreamCloseReason,
): void {
  if (!endpoint.watched) return;
  endpoint.report({ type: "stream-closed", session: sessionName(session.id), stream, reason });
}
