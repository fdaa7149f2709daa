/**
 * Defines the contract of the event log, by which a stream outlives its connections.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";

/** An event of a stream: one message. */
export interface LoggedEvent {
  /** The event's number in its stream: 1, 2, 3, … */
  readonly n: number;
  /** The message, as JSON text. */
  readonly data: string;
}

/** The part of a stream after an event. */
export interface Slice {
  /** The events after it that are still kept, in order. */
  readonly events: readonly LoggedEvent[];
  /** Whether the stream has ended: nothing follows these events. */
  readonly ended: boolean;
  /** Whether events after it have been dropped. */
  readonly gap: boolean;
  /** The number of the stream's newest event, kept or not; 0 before the first. */
  readonly last: number;
}

/**
 * Append-only logs, one for each stream, with limits for each session. Connections read from the log,
 * which doesn't know them.
 *
 * An implementation MUST
 * - number and keep an event atomically, so that numbers increase by one without gaps
 *   in the order of the calls of `append`;
 * - keep at most as many events and bytes for each session as the limits allow, dropping the oldest of
 *   the whole session first, but never the newest;
 * - treat a stream that was never opened, appended to or ended, that was forgotten or that belongs to
 *   another session as unknown;
 * - wake the watchers of a stream after each append and at its end, on any node; it may wake them more
 *   often;
 * - forget a stream `retainMs` after it has ended and was delivered to its end, and an ended one
 *   without kept events as soon as it has no watchers;
 * - forget everything of a session in `drop`; later calls for the session must neither throw nor
 *   create anything.
 */
export interface EventLog {
  /**
   * Makes a stream known before its first message, so that a client can resume it. Does nothing if it
   * is known.
   */
  open(session: string, stream: string): MaybePromise<void>;
  /**
   * Appends a message to a stream, which need not have been opened.
   *
   * @param data The message, as JSON text
   * @returns The event's number, or 0 if the stream has ended or the session was dropped
   */
  append(session: string, stream: string, data: string): MaybePromise<number>;
  /** Ends a stream: nothing more can be appended. An unknown stream becomes known and ended. */
  end(session: string, stream: string): MaybePromise<void>;
  /**
   * Appends a whole stream, which has ended and was delivered to its end: the same as appending its
   * messages one by one and ending it, but faster. Optional.
   *
   * @param stream The name of a new stream
   * @param frames The text of its messages as server-sent events, with numbers from 1
   * @param count The number of its messages, at least 1
   */
  appendStream?(session: string, stream: string, frames: string, count: number): MaybePromise<void>;
  /** Returns the part of a stream after event `after`, or `undefined` if the stream is unknown. */
  read(session: string, stream: string, after: number): MaybePromise<Slice | undefined>;
  /** Notes that a stream's events up to `n` have been delivered to a connection. Never decreases. */
  deliver(session: string, stream: string, n: number): MaybePromise<void>;
  /** Returns the highest number that `deliver` has noted, or 0. */
  delivered(session: string, stream: string): MaybePromise<number>;
  /**
   * Calls `wake`, which must not throw, after every append to a stream and at its end, until the
   * returned function is called, which is safe to call twice. The stream may be unknown. A synchronous
   * log passes the number of the oldest kept event, or of the next one if none is kept, and the
   * appended event, so that a watcher that has all events before it need not read.
   */
  watch(
    session: string,
    stream: string,
    wake: (oldest?: number, appended?: LoggedEvent) => void,
  ): () => void;
  /** Forgets a session's streams and wakes their watchers. */
  drop(session: string): MaybePromise<void>;
}

/** The limits of an {@linkcode EventLog}. */
export interface EventLogLimits {
  /**
   * Events for each session.
   *
   * @default {256}
   */
  readonly events?: number;
  /**
   * Bytes of messages for each session, as UTF-8.
   *
   * @default {1048576}
   */
  readonly eventBytes?: number;
  /**
   * The time for which a stream is kept after it has ended and was delivered, in milliseconds.
   *
   * @default {60000}
   */
  readonly retainMs?: number;
}
