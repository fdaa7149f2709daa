/**
 * Ends sessions: everything that runs in them, everything that is kept for them, everybody who knows
 * them.
 *
 * @module
 */
import type { SessionEndReason } from "../protocol/events.ts";
import type { EndedSession } from "../sessions/types.ts";
import { type Endpoint, sessionName } from "./endpoint.ts";

/**
 * Ends a session that the store still has.
 *
 * @returns `false` when there was none, or it is ending already
 * @throws What the store throws; the session can then be ended again
 */
export async function endSession(
  endpoint: Endpoint,
  id: string,
  reason: SessionEndReason,
): Promise<boolean> {
  const live = endpoint.live.get(id);
  if (live?.ended) return false;
  // From here on nobody finds it, and nothing that still runs can bring it back.
  live?.end(reason === "shutdown" ? "shutdown" : "session-ended");
  let known: boolean;
  try {
    await endpoint.backplane.log.drop(id);
    known = await endpoint.backplane.sessions.end(id);
  } catch (error) {
    // The store may still have it: whoever tries again must be able to end it.
    if (endpoint.live.get(id) === live) endpoint.live.delete(id);
    throw error;
  }
  // A request may have come in between, into a session that was not in use here.
  endedElsewhere(endpoint, id);
  if (known) {
    tellEnded(endpoint, id, reason);
    endpoint.publish({ kind: "ended", session: id, reason });
  }
  return known;
}

/** Cleans up after sessions that the store ended by itself. */
export function endedByStore(endpoint: Endpoint, sessions: readonly EndedSession[]): void {
  for (const { id, reason } of sessions) {
    endedElsewhere(endpoint, id);
    endpoint.background("dropping a session's events", () => endpoint.backplane.log.drop(id));
    tellEnded(endpoint, id, reason);
    endpoint.publish({ kind: "ended", session: id, reason });
  }
}

/** Cleans up this process's part of a session that ended on another node. */
export function endedElsewhere(endpoint: Endpoint, id: string): void {
  endpoint.live.get(id)?.end("session-ended");
  endpoint.live.delete(id);
}

function tellEnded(endpoint: Endpoint, id: string, reason: SessionEndReason): void {
  const { dispatcher } = endpoint;
  endpoint.background("ending a session", () => dispatcher.sessionEnded?.(id, reason));
  if (!endpoint.watched) return;
  endpoint.report({ type: "session-ended", session: sessionName(id), reason });
}
