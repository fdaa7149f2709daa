/**
 * What an application can do with the sessions of its handler.
 *
 * @module
 */
import { type Notification, notificationText } from "../protocol/exchange.ts";
import { mintSessionId } from "../sessions/id.ts";
import type { HandlerParts } from "./parts.ts";
import type { HandlerSessions, McpHandler } from "./types.ts";

/** Makes `handler.sessions`. */
export function sessionsOf(parts: HandlerParts): HandlerSessions {
  const { sessions } = parts;
  return {
    get size() {
      return sessions.store.size;
    },
    open: () => openSession(parts),
    end: (sessionId) => sessions.end(sessionId, "ended"),
  };
}

async function openSession(parts: HandlerParts): Promise<string> {
  const { sessions, cluster } = parts;
  if (cluster.draining) throw new Error("Stop draining before you open a session");
  const id = mintSessionId();
  const admitted = await sessions.reserve(id, undefined);
  let begun = false;
  try {
    begun = admitted && await begin(parts, id);
  } finally {
    if (!begun) await giveUp(parts, id);
  }
  if (begun) return id;
  throw new Error("End a session first: there are as many as limits.sessions allows");
}

/** Takes back what was prepared for a session that didn't begin. */
async function giveUp({ sessions, cluster, reporter }: HandlerParts, id: string): Promise<void> {
  sessions.live.delete(id);
  cluster.pinned?.release(id);
  try {
    await sessions.store.release(id);
  } catch (error) {
    reporter.failed("releasing a session's place", error);
  }
}

async function begin(
  { sessions, cluster: { pinned }, settings }: HandlerParts,
  id: string,
): Promise<boolean> {
  const session = pinned === undefined ? sessions.make(id) : sessions.part(id);
  if (pinned !== undefined && !await pinned.claim(session)) return false;
  const record = {
    id,
    owner: undefined,
    createdAt: settings.clock.now(),
    protocolVersion: undefined,
    client: { capabilities: {} },
    // There is no handshake to wait for.
    initialized: true,
    logLevel: undefined,
  };
  return await sessions.begin(session, record, undefined);
}

/** Makes `handler.notify`. */
export function notifySession({ sessions }: HandlerParts): McpHandler["notify"] {
  return async (sessionId, notification) => {
    checkNotification(notification);
    const text = notificationText(notification);
    // Messages that the dispatcher has just sent go first.
    await undefined;
    return await sessions.serverStreams.push(sessionId, text);
  };
}

function checkNotification({ method, params }: Notification): void {
  if (typeof method !== "string" || method === "") {
    throw new TypeError(`Give a method to notify: ${String(method)}`);
  }
  if (params !== undefined && (typeof params !== "object" || params === null)) {
    throw new TypeError(`Give an object as the notification's params: ${String(params)}`);
  }
}
