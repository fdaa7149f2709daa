/**
 * What an application can do with the sessions of its handler.
 *
 * @module
 */
import type { Notification } from "../protocol/exchange.ts";
import { mintSessionId } from "../sessions/id.ts";
import { endedByStore, endSession } from "./end_session.ts";
import { type Endpoint, sessionName } from "./endpoint.ts";
import { notificationText, push } from "./server_stream.ts";
import { armSweep } from "./sweep.ts";
import type { HandlerStats } from "./stats.ts";
import type { HandlerSessions, McpHandler } from "./types.ts";

/** The sessions of an endpoint. */
export function sessionsOf(endpoint: Endpoint): HandlerSessions {
  return {
    get size() {
      return endpoint.backplane.sessions.size;
    },
    open: () => openSession(endpoint),
    end: (sessionId) => endSession(endpoint, sessionId, "ended"),
  };
}

async function openSession(endpoint: Endpoint): Promise<string> {
  const { sessions } = endpoint.backplane;
  if (endpoint.draining) throw new Error("Stop draining before you open a session");
  const id = mintSessionId();
  const { admitted, ended } = await sessions.reserve(id, undefined);
  endedByStore(endpoint, ended);
  if (endpoint.closing || !admitted || !await begin(endpoint, id)) {
    endpoint.live.delete(id);
    endpoint.pins?.release(id);
    await sessions.release(id);
    throw new Error("End a session first: there are as many as limits.sessions allows");
  }
  armSweep(endpoint);
  endpoint.report({
    type: "session-opened",
    session: sessionName(id),
    principal: undefined,
    protocolVersion: undefined,
  });
  return id;
}

async function begin(endpoint: Endpoint, id: string): Promise<boolean> {
  const { pins, backplane: { sessions }, settings: { clock } } = endpoint;
  if (pins !== undefined && !await pins.claim(endpoint.session(id))) return false;
  return await sessions.create({
    id,
    owner: undefined,
    createdAt: clock.now(),
    protocolVersion: undefined,
    client: { capabilities: {} },
    // There is no handshake to wait for.
    initialized: true,
    logLevel: undefined,
  });
}

/** Sends notifications to single sessions. */
export function notifySession(endpoint: Endpoint): McpHandler["notify"] {
  return async (sessionId, notification) => {
    checkNotification(notification);
    const text = notificationText(notification);
    // What the dispatcher has just told goes first.
    await undefined;
    return await push(endpoint, sessionId, text);
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

/** What is there now. */
export function countLive(endpoint: Endpoint): HandlerStats {
  let questions = 0;
  const { unapplied } = endpoint.shares;
  for (const session of endpoint.live.values()) questions += session.openQuestions;
  return {
    sessions: endpoint.backplane.sessions.size,
    streams: endpoint.streams.taken,
    requests: endpoint.requests.taken,
    questions,
    listens: endpoint.listens.size,
    ...endpoint.draining && { draining: 1 },
    ...unapplied > 0 && { unapplied },
  };
}
