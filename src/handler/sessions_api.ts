/**
 * Implements `handler.sessions` and `handler.notify`.
 *
 * @module
 */
import { type Notification, notificationText } from "../protocol/exchange.ts";
import type { HandlerComponents } from "./components.ts";
import type { HandlerSessions, McpHandler } from "./types.ts";

/**
 * Creates `handler.sessions`.
 *
 * @param components Returns the components, and creates them at the first call
 */
export function sessionsOf(components: () => HandlerComponents): HandlerSessions {
  return {
    get size() {
      return components().sessions.store.size;
    },
    open: () => openSession(components()),
    end: (sessionId) => components().sessions.end(sessionId, "ended"),
  };
}

async function openSession(components: HandlerComponents): Promise<string> {
  const { sessions, cluster } = components;
  if (cluster.draining) throw new Error("Stop draining before you open a session");
  const id = sessions.mintId();
  const admitted = await sessions.reserve(id, undefined);
  let begun = false;
  try {
    begun = admitted && await begin(components, id);
  } finally {
    if (!begun) await giveUp(components, id);
  }
  if (begun) return id;
  throw new Error("End a session first: there are as many as limits.sessions allows");
}

/** Takes back what was prepared for a session that didn't begin. */
async function giveUp(
  { sessions, cluster, reporter }: HandlerComponents,
  id: string,
): Promise<void> {
  sessions.live.delete(id);
  cluster.pinned?.release(id);
  try {
    await sessions.store.release(id);
  } catch (error) {
    reporter.failed("releasing a session's place", error);
  }
}

async function begin(
  { sessions, cluster: { pinned }, settings }: HandlerComponents,
  id: string,
): Promise<boolean> {
  const session = pinned === undefined ? sessions.makeLive(id) : sessions.ensureLive(id);
  if (pinned !== undefined && !await pinned.claim(session)) return false;
  const record = {
    id,
    owner: undefined,
    createdAt: settings.clock.now(),
    protocolVersion: undefined,
    client: { capabilities: {} },
    // Without a handshake there is nothing to wait for.
    initialized: true,
    logLevel: undefined,
  };
  return await sessions.begin(session, record, undefined);
}

/**
 * Creates `handler.notify`.
 *
 * @param components Returns the components, and creates them at the first call
 */
export function notifySession(components: () => HandlerComponents): McpHandler["notify"] {
  return async (sessionId, notification) => {
    checkNotification(notification);
    const text = notificationText(notification);
    // Messages that the dispatcher has just sent must be first.
    await undefined;
    return await components().sessions.serverStreams.push(sessionId, text);
  };
}

function checkNotification({ method, params }: Notification): void {
  if (typeof method !== "string" || method === "") {
    throw new TypeError(`Give a method as "notification.method": ${String(method)}`);
  }
  if (params !== undefined && (typeof params !== "object" || params === null)) {
    throw new TypeError(`Give an object as "notification.params": ${String(params)}`);
  }
}
