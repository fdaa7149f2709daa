/**
 * The stream that the answer to a POST of a session becomes: a stream of the session's event log, and
 * one connection that reads it.
 *
 * @module
 */
import { randomText } from "../internal/random.ts";
import { type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import type { ReplyStream } from "./answer.ts";
import { connect } from "./connect.ts";
import type { Endpoint } from "./endpoint.ts";
import type { LiveSession } from "./live_session.ts";

/** Whose stream it is and how it is spoken. */
export interface ReplyStreamInit {
  readonly session: LiveSession;
  /** The owner's key, for counting connections. */
  readonly owner: string;
  /** When the owner's credentials end, in milliseconds since the epoch. */
  readonly expiresAt: number | undefined;
  readonly version: ProtocolVersion;
}

/**
 * Opens a stream in the session's event log with its first connection.
 *
 * @returns `undefined` when too many connections are open
 */
export function openReplyStream(
  endpoint: Endpoint,
  init: ReplyStreamInit,
): ReplyStream | undefined {
  const { log } = endpoint.backplane;
  const { id, connections } = init.session;
  const stream = randomText(8);
  const connection = connect(endpoint, { ...init, stream, after: 0, kind: "request" });
  if (connection === undefined) return undefined;
  const append = (text: string, failed?: () => void) =>
    endpoint.background("appending to a stream", () => log.append(id, stream, text), failed);
  const end = () =>
    endpoint.background(
      "ending a stream",
      () => log.end(id, stream),
      () => connections.get(stream)?.close("failed"),
    );
  let answering: Promise<unknown> | undefined;
  return {
    response: connection.response,
    send: (text) => void append(text),
    answer(text) {
      // What has been done is not lost on a client that is here.
      const lost = () => connections.get(stream)?.close("failed", { last: text });
      answering = append(text, lost);
    },
    end(options) {
      const { retryMs } = options ?? {};
      if (retryMs !== undefined) connections.get(stream)?.close("shutdown", { retryMs });
      if (answering === undefined) end();
      else answering.then(end);
    },
    release(retryMs) {
      // The client may have come back since: it is the present connection that ends.
      const present = connections.get(stream);
      // Without any event id it would have nothing to come back with.
      const resumable = VERSIONS[init.version].priming || (present?.cursor ?? 0) > 0;
      if (resumable) present?.close("released", { retryMs });
    },
  };
}
