/**
 * Ends sessions: everything that runs in them, everything that is kept for them, everybody who knows
 * them.
 *
 * @module
 */
import type { SessionEndReason } from "../protocol/events.ts";
import type { EndedSession } from "../sessions/types.ts";
import { type Endpoint, sessionName } from "./endpoint.ts";
import type { LiveSession } from "./live_session.ts";

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
    if (live !== undefined && endpoint.live.get(id) === live) beginAnew(endpoint, live);
    throw error;
  }
  // A request may have come in between, into a session that was not in use here.
  const held = forget(endpoint, id);
  if (known) return tellEnded(endpoint, id, reason, held);
  // Another node was quicker. What this one holds must end all the same.
  if (held) tellDispatcher(endpoint, id, reason);
  return false;
}

/** Cleans up after sessions that the store ended by itself. */
export function endedByStore(endpoint: Endpoint, sessions: readonly EndedSession[]): void {
  for (const { id, reason } of sessions) {
    const held = forget(endpoint, id);
    endpoint.background("dropping a session's events", () => endpoint.backplane.log.drop(id));
    tellEnded(endpoint, id, reason, held);
  }
}

/** Cleans up this process's part of a session that ended on another node. */
export function endedElsewhere(endpoint: Endpoint, id: string, reason: SessionEndReason): void {
  if (forget(endpoint, id)) tellDispatcher(endpoint, id, reason);
}

/**
 * Forgets this process's part of a session.
 *
 * @returns Whether it held the session's live state
 */
function forget(endpoint: Endpoint, id: string): boolean {
  const live = endpoint.live.get(id);
  if (!endpoint.settings.ownStore) endpoint.ended.add(id);
  endpoint.live.delete(id);
  live?.end("session-ended");
  return live?.claimed === true;
}

function tellDispatcher(endpoint: Endpoint, id: string, reason: SessionEndReason): void {
  const { dispatcher } = endpoint;
  endpoint.background("ending a session", () => dispatcher.sessionEnded?.(id, reason));
  endpoint.pins?.release(id);
}

/** Tells everybody who has to know. */
function tellEnded(
  endpoint: Endpoint,
  id: string,
  reason: SessionEndReason,
  held: boolean,
): true {
  // Who holds a pinned session's live state has it end, and nobody else.
  if (held || !endpoint.pinned) tellDispatcher(endpoint, id, reason);
  if (endpoint.watched) {
    endpoint.report({ type: "session-ended", session: sessionName(id), reason });
  }
  endpoint.publish({ kind: "ended", session: id, reason });
  return true;
}

/** Forgets what a session that could not be ended was here, but not that it is held here. */
function beginAnew(endpoint: Endpoint, { id, claimed, renewedAt }: LiveSession): void {
  endpoint.live.delete(id);
  if (claimed) Object.assign(endpoint.session(id), { claimed, renewedAt });
}
