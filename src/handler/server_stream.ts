/**
 * A session's server-to-client stream: what is sent on it, and when it may be.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../internal/types.ts";
import type { Notification } from "../protocol/exchange.ts";
import type { SessionRecord } from "../sessions/types.ts";
import type { EventLog, Slice } from "../streams/types.ts";
import type { Endpoint } from "./endpoint.ts";
import type { LiveSession } from "./live_session.ts";

/** The name of the server-to-client stream in every session. */
export const SERVER_STREAM = "s";

/** Where messages wait, in the log that all nodes share, until the client has said that it is ready. */
const HELD_STREAM = "h";

/** How long another node's turn at what is held may take, in milliseconds, and how often one looks. */
const TRY_AGAIN_MS = 20;
const MOST_TRIES = 50;

/** The wire form of a notification. */
export function notificationText({ method, params }: Notification): string {
  return JSON.stringify({ jsonrpc: "2.0", method, params });
}

/**
 * Sends a message on the server-to-client stream; it is kept until the client reads it.
 *
 * @returns Whether there is such a session: nothing is kept for one that is over
 */
export function push(endpoint: Endpoint, id: string, text: string): MaybePromise<boolean> {
  const record = endpoint.backplane.sessions.peek(id);
  return isPromise(record)
    ? record.then((found) => pushTo(endpoint, id, found, text))
    : pushTo(endpoint, id, record, text);
}

function pushTo(
  endpoint: Endpoint,
  id: string,
  record: SessionRecord | undefined,
  text: string,
): MaybePromise<boolean> {
  if (record === undefined) return false;
  if (!record.initialized) return hold(endpoint, id, text).then(() => true);
  const number = endpoint.backplane.log.append(id, SERVER_STREAM, text);
  return isPromise(number) ? number.then((number) => number > 0) : number > 0;
}

/** Keeps a message until the client is ready, which it may have become meanwhile. */
async function hold(endpoint: Endpoint, id: string, text: string): Promise<void> {
  const { log, sessions } = endpoint.backplane;
  const kept = log.append(id, HELD_STREAM, text);
  if (!isPromise(kept)) return;
  await kept;
  if (!(await sessions.peek(id))?.initialized) return;
  // What is sent from here on must not come before it, so another node's turn is waited for.
  for (let tries = 0; tries < MOST_TRIES && !await pushHeld(endpoint, id); tries++) {
    await new Promise<void>((resolve) => endpoint.settings.clock.timer(TRY_AGAIN_MS, resolve));
  }
}

/**
 * Sends what was held back until the client is ready. Of several nodes one does so at a time.
 *
 * @returns Whether it was this one's turn
 */
export async function pushHeld(endpoint: Endpoint, id: string): Promise<boolean> {
  const { leases } = endpoint.backplane;
  let more = true;
  while (more) {
    const taken = leases.tryTake(`held ${id}`, () => {});
    const lease = isPromise(taken) ? await taken : taken;
    // Whoever has it looks once more after letting go.
    if (lease === undefined) return false;
    try {
      more = await sendHeld(endpoint, id);
    } finally {
      lease.release();
    }
  }
  return true;
}

/**
 * Sends what is held. Where nothing takes its time, all of it has been sent when this returns.
 *
 * @returns Whether there was anything
 */
async function sendHeld(endpoint: Endpoint, id: string): Promise<boolean> {
  const { log } = endpoint.backplane;
  const delivered = log.delivered(id, HELD_STREAM);
  const held = log.read(id, HELD_STREAM, isPromise(delivered) ? await delivered : delivered);
  const slice = isPromise(held) ? await held : held;
  if (slice === undefined || slice.events.length === 0) return false;
  const noted = log.deliver(id, HELD_STREAM, slice.last);
  if (isPromise(noted)) await noted;
  for (const { data } of slice.events) {
    const sent = log.append(id, SERVER_STREAM, data);
    if (isPromise(sent)) await sent;
  }
  return true;
}

/** Sends a question on the server-to-client stream, if the client has it open on any node. */
export function sendOnServerStream(
  endpoint: Endpoint,
  session: LiveSession,
  text: string,
): MaybePromise<boolean> {
  const { id, connections, record } = session;
  const { log } = endpoint.backplane;
  if (connections.has(SERVER_STREAM) && record?.initialized !== false) {
    endpoint.background("asking on the server's stream", () => log.append(id, SERVER_STREAM, text));
    return true;
  }
  // There are no others where nobody else can have the store.
  if (endpoint.settings.ownStore) return false;
  return sendElsewhere(endpoint, session, text).catch((error: unknown) => {
    endpoint.failed("asking on the server's stream", error);
    return false;
  });
}

/** Sends a question on a stream that another node may hold, or whose client another node knows. */
async function sendElsewhere(
  { backplane: { leases, log, sessions } }: Endpoint,
  { id, connections }: LiveSession,
  text: string,
): Promise<boolean> {
  if ((await sessions.peek(id))?.initialized !== true) return false;
  if (!connections.has(SERVER_STREAM) && !await leases.held(id)) return false;
  return await log.append(id, SERVER_STREAM, text) > 0;
}

/**
 * Sends a notification to many sessions, once to each: one that still waits there for the client is
 * not sent again.
 */
export async function pushToAll(
  endpoint: Endpoint,
  ids: MaybePromise<Iterable<string>>,
  notification: Notification,
): Promise<void> {
  const text = notificationText(notification);
  const { log } = endpoint.backplane;
  for (const id of isPromise(ids) ? await ids : ids) {
    // Without a promise there is no turn in between, so that messages keep the order of their causes.
    const sent = waits(log, id, SERVER_STREAM, text);
    if (isPromise(sent) ? await sent : sent) continue;
    const held = waits(log, id, HELD_STREAM, text);
    if (isPromise(held) ? await held : held) continue;
    const done = push(endpoint, id, text);
    if (isPromise(done)) await done;
  }
}

/** Whether a message is on a stream and has not been handed over yet. */
function waits(log: EventLog, id: string, stream: string, text: string): MaybePromise<boolean> {
  const among = (slice: Slice | undefined) =>
    slice?.events.some((event) => event.data === text) ?? false;
  const after = log.delivered(id, stream);
  const slice = isPromise(after)
    ? after.then((n) => log.read(id, stream, n))
    : log.read(id, stream, after);
  return isPromise(slice) ? slice.then(among) : among(slice);
}
