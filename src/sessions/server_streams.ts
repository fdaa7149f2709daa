/**
 * Sends on the server-to-client streams of sessions, and keeps back what a client isn't ready for.
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

/** The stream that keeps messages until the client has said that it is initialized. */
const QUEUE_STREAM = "h";

/** How long to wait between attempts while another node sends held messages, in milliseconds. */
const RETRY_MS = 20;
/** How many attempts are made. */
const MOST_TRIES = 50;

/** What sending needs. */
export interface ServerStreamsInit {
  readonly store: SessionStore;
  readonly log: EventLog;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** Whether other nodes may have the store. */
  readonly shared: boolean;
}

/** The part of a session that a question is sent in. */
interface QuestionSession {
  readonly id: string;
  readonly connections: ReadonlyMap<string, unknown>;
  readonly record: SessionRecord | undefined;
}

/** The server-to-client streams of all sessions. */
export class ServerStreams {
  readonly #init: ServerStreamsInit;

  /** Makes the sender; it holds no state of its own. */
  constructor(init: ServerStreamsInit) {
    this.#init = init;
  }

  /**
   * Sends a message on a session's stream; the log keeps it until the client reads it.
   *
   * @returns Whether there is such a session: nothing is kept for one that has ended
   */
  push(id: string, text: string): MaybePromise<boolean> {
    const record = this.#init.store.peek(id);
    return isPromise(record)
      ? record.then((found) => this.#pushTo(id, found, text))
      : this.#pushTo(id, record, text);
  }

  #pushTo(id: string, record: SessionRecord | undefined, text: string): MaybePromise<boolean> {
    if (record === undefined) return false;
    if (!record.initialized) return this.#queue(id, text).then(() => true);
    const number = this.#init.log.append(id, SERVER_STREAM, text);
    return isPromise(number) ? number.then((number) => number > 0) : number > 0;
  }

  /** Keeps a message until the client is initialized, which it may have become meanwhile. */
  async #queue(id: string, text: string): Promise<void> {
    const { log, store, clock } = this.#init;
    const kept = log.append(id, QUEUE_STREAM, text);
    if (!isPromise(kept)) return;
    await kept;
    if (!(await store.peek(id))?.initialized) return;
    // Messages that follow must not overtake this one: wait while another node sends held messages.
    for (let tries = 0; tries < MOST_TRIES && !await this.sendQueued(id); tries++) {
      await new Promise<void>((resolve) => clock.timer(RETRY_MS, resolve));
    }
  }

  /**
   * Sends the messages that were kept until the client was initialized. One node at a time does so.
   *
   * @returns Whether this node did
   */
  async sendQueued(id: string): Promise<boolean> {
    const { leases } = this.#init;
    let more = true;
    while (more) {
      const taken = leases.tryTake(`held ${id}`, () => {});
      const lease = isPromise(taken) ? await taken : taken;
      // The node that has the lease checks once more after releasing it.
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
   * Sends held messages. With a synchronous log all are sent when this returns.
   *
   * @returns Whether there were any
   */
  async #sendQueuedOnce(id: string): Promise<boolean> {
    const { log } = this.#init;
    const delivered = log.delivered(id, QUEUE_STREAM);
    const held = log.read(id, QUEUE_STREAM, isPromise(delivered) ? await delivered : delivered);
    const slice = isPromise(held) ? await held : held;
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
   * @returns `false` when the client has no such stream open, on any node
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

  /** Sends a question where another node may hold the stream, or know that the client is initialized. */
  async #sendElsewhere({ id, connections }: QuestionSession, text: string): Promise<boolean> {
    const { leases, log, store } = this.#init;
    if ((await store.peek(id))?.initialized !== true) return false;
    if (!connections.has(SERVER_STREAM) && !await leases.held(id)) return false;
    return await log.append(id, SERVER_STREAM, text) > 0;
  }

  /**
   * Sends a notification to many sessions, once to each: a copy that still waits for the client is
   * enough.
   */
  async pushToAll(ids: MaybePromise<Iterable<string>>, notification: Notification): Promise<void> {
    const text = notificationText(notification);
    for (const id of isPromise(ids) ? await ids : ids) {
      // Without a promise there is no turn in between, so that messages keep the order of their causes.
      const unread = this.#isUnread(id, SERVER_STREAM, text);
      if (isPromise(unread) ? await unread : unread) continue;
      const held = this.#isUnread(id, QUEUE_STREAM, text);
      if (isPromise(held) ? await held : held) continue;
      const done = this.push(id, text);
      if (isPromise(done)) await done;
    }
  }

  /** Tells whether a message is on a stream and has not been sent to the client yet. */
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
