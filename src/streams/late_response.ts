/**
 * Sends the response of a request on another stream of its session: that of a client which could not
 * resume the request's own stream, since it had read too slowly (2025-11-25, Transports, Listening for
 * Messages from the Server).
 *
 * @module
 */
import { responseId } from "../protocol/jsonrpc.ts";
import type { Reporter } from "../protocol/reporter.ts";
import type { EventLog } from "./types.ts";

/** Options for {@linkcode followResponse}. */
export interface LateResponseInit {
  readonly log: EventLog;
  readonly reporter: Reporter;
  /** The session's id. */
  readonly session: string;
  /** The name of the request's stream. */
  readonly stream: string;
  /** Sends a message. Returns `false` if the connection is closed. */
  readonly send: (data: string) => boolean;
  /** Called once when the stream has ended and its response was sent, if it has one. */
  readonly onSent: () => void;
}

/**
 * Waits until a request's stream has ended, and sends its response.
 *
 * @returns Stops waiting; safe to call twice
 */
export function followResponse(init: LateResponseInit): () => void {
  const { log, reporter, session, stream } = init;
  let following = true;
  let looking = false;
  let again = false;
  const look = async () => {
    again = true;
    if (looking) return;
    looking = true;
    try {
      while (again && following) {
        again = false;
        const state = await log.read(session, stream, Number.MAX_SAFE_INTEGER);
        if (following && state?.ended !== false) await sendResponse(init, stop);
      }
    } finally {
      looking = false;
    }
  };
  const wake = () => void reporter.background("sending a late response", look);
  const unwatch = log.watch(session, stream, wake);
  const stop = () => {
    following = false;
    unwatch();
  };
  wake();
  return stop;
}

async function sendResponse(
  { log, session, stream, send, onSent }: LateResponseInit,
  stop: () => void,
): Promise<void> {
  stop();
  const slice = await log.read(session, stream, 0);
  for (const { data } of slice?.events ?? []) {
    if (responseId(data) !== undefined && !send(data)) return;
  }
  if (slice !== undefined) await log.deliver(session, stream, slice.last);
  onSent();
}
