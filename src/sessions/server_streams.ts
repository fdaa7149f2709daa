/**
 * Sends messages on the server-to-client streams of sessions, and queues them until the client is
 * initialized.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { type Notification, notificationText } from "../protocol/exchange.ts";
import type { Reporter } from "../protocol/reporter.ts";
import type { Leases } from "../streams/leases.ts";
import type { EventLog, Slice } from "../streams/types.ts";
import type { SessionRecord, SessionStore } from "./types.ts";

/** The name of the server-to-client stream in every session. */
export const SERVER_STREAM = "s";

/** The name of the stream that queues messages until the client is initialized. */
const QUEUE_STREAM = "h";

/** The time between two attempts while another node sends queued messages, in milliseconds. */
const RETRY_MS = 20;
/** The maximum number of attempts. */
const MOST_TRIES = 50;

/** Options for {@linkcode ServerStreams}. */
export interface ServerStreamsInit {
  readonly store: SessionStore;
  readonly log: EventLog;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** Whether other nodes may use the store. */
  readonly shared: boolean;
}

/** The part of a session that sending a question needs. */
interface QuestionSession {
  readonly id: string;
  readonly connections: ReadonlyMap<string, unknown>;
  readonly record: SessionRecord | undefined;
}

/** The server-to-client streams of all sessions. */
export class ServerStreams {
  readonly #init: ServerStreamsInit;

  /** Creates the sender, which has no state. */
  constructor(init: ServerStreamsInit) {
    this.#init = init;
  }

  /**
   * Sends a message on a session's stream. The log keeps it until the client reads it.
   *
   * @returns `false` if there is no such session
   */
  push(id: string, text: string): MaybePromise<boolean> {
    const record = this.#init.store.peek(id);
    return isPromise(record)
      ? record.then((found) => this.#pushTo(id, found, text))
      : this.#pushTo(id, record, text);
  }

  #pushTo(id: string, record: SessionRecord | undefined, text: string): MaybePromise<boolean> {
    if (record === undefined) return false;
    if (record.initialized !== true) return this.#queue(id, text).then(() => true);
    const number = this.#init.log.append(id, SERVER_STREAM, text);
    return isPromise(number) ? number.then((number) => number > 0) : number > 0;
  }

  /** Queues a message until the client is initialized, which it may have become meanwhile. */
  async #queue(id: string, text: string): Promise<void> {
    const { log, store } = this.#init;
    const kept = log.append(id, QUEUE_STREAM, text);
    if (!isPromise(kept)) return;
    await kept;
    // Later messages must not overtake this one
    if ((await store.peek(id))?.initialized) await this.#sendQueued(id);
  }

  /**
   * Notes that the client is initialized, after sending the messages that were queued until then. Whatever is
   * acknowledged meanwhile has been sent, too: later messages don't overtake it.
   */
  async initialized(id: string): Promise<void> {
    const { store } = this.#init;
    const begun = store.update(id, { initialized: "sending" });
    if (isPromise(begun)) await begun;
    await this.#sendQueued(id);
    const updated = store.update(id, { initialized: true });
    if (isPromise(updated)) return await updated;
    // A log in memory queues without a look at the session
    await this.#sendQueued(id);
  }

  /** Sends the messages that are queued, and waits while another node does so. */
  async #sendQueued(id: string): Promise<void> {
    const { clock } = this.#init;
    for (let tries = 0; tries < MOST_TRIES && !await this.#trySendQueued(id); tries++) {
      await new Promise<void>((resolve) => clock.timer(RETRY_MS, resolve));
    }
  }

  /** Sends the messages that are queued. Returns `false` if another node is doing so. */
  async #trySendQueued(id: string): Promise<boolean> {
    const { leases, log } = this.#init;
    // Most clients have none. One that is queued later is sent by who queues it.
    const kept = log.read(id, QUEUE_STREAM, Number.MAX_SAFE_INTEGER);
    let more = ((isPromise(kept) ? await kept : kept)?.last ?? 0) > 0;
    while (more) {
      const taken = leases.tryTake(`held ${id}`, () => {});
      const lease = isPromise(taken) ? await taken : taken;
      // The node that holds the lease checks once more after releasing it.
      if (lease === undefined) return false;
      try {
        more = await this.#sendQueuedOnce(id);
      } finally {
        lease.release();
      }
    }
    return true;
  }

  /**
   * Sends the queued messages; synchronously with a synchronous log.
   *
   * @returns Whether there were any
   */
  async #sendQueuedOnce(id: string): Promise<boolean> {
    const { log } = this.#init;
    const delivered = log.delivered(id, QUEUE_STREAM);
    const queued = log.read(id, QUEUE_STREAM, isPromise(delivered) ? await delivered : delivered);
    const slice = isPromise(queued) ? await queued : queued;
    if (slice === undefined || slice.events.length === 0) return false;
    const noted = log.deliver(id, QUEUE_STREAM, slice.last);
    if (isPromise(noted)) await noted;
    for (const { data } of slice.events) {
      const sent = log.append(id, SERVER_STREAM, data);
      if (isPromise(sent)) await sent;
    }
    return true;
  }

  /**
   * Sends a question on a session's stream.
   *
   * @returns `false` if the client has no such stream open, on any node
   */
  sendQuestion(session: QuestionSession, text: string): MaybePromise<boolean> {
    const { id, connections, record } = session;
    const { log, reporter, shared } = this.#init;
    if (connections.has(SERVER_STREAM) && record?.initialized !== false) {
      reporter.background(
        "asking on the server's stream",
        () => log.append(id, SERVER_STREAM, text),
      );
      return true;
    }
    if (!shared) return false;
    return this.#sendElsewhere(session, text).catch((error: unknown) => {
      reporter.failed("asking on the server's stream", error);
      return false;
    });
  }

  /** Sends a question if another node has the stream open, or knows that the client is initialized. */
  async #sendElsewhere({ id, connections }: QuestionSession, text: string): Promise<boolean> {
    const { leases, log, store } = this.#init;
    if ((await store.peek(id))?.initialized !== true) return false;
    if (!connections.has(SERVER_STREAM) && !await leases.held(id)) return false;
    return await log.append(id, SERVER_STREAM, text) > 0;
  }

  /**
   * Sends a notification to many sessions, except those with an undelivered copy of it.
   */
  async pushToAll(ids: MaybePromise<Iterable<string>>, notification: Notification): Promise<void> {
    const text = notificationText(notification);
    for (const id of isPromise(ids) ? await ids : ids) {
      // Promises are only awaited if there are any, so that messages keep the order of their causes.
      const unread = this.#isUnread(id, SERVER_STREAM, text);
      if (isPromise(unread) ? await unread : unread) continue;
      const queued = this.#isUnread(id, QUEUE_STREAM, text);
      if (isPromise(queued) ? await queued : queued) continue;
      const done = this.push(id, text);
      if (isPromise(done)) await done;
    }
  }

  /** Tells whether a message is on a stream and has not been delivered yet. */
  #isUnread(id: string, stream: string, text: string): MaybePromise<boolean> {
    const { log } = this.#init;
    const among = (slice: Slice | undefined) =>
      slice?.events.some((event) => event.data === text) ?? false;
    const after = log.delivered(id, stream);
    const slice = isPromise(after)
      ? after.then((n) => log.read(id, stream, n))
      : log.read(id, stream, after);
    return isPromise(slice) ? slice.then(among) : among(slice);
  }
}
