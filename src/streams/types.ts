/**
 * What a log of events must do, so that a stream outlives its connections.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";

/** One message of a stream. */
export interface LoggedEvent {
  /** Its place in its stream: 1, 2, 3, … */
  readonly n: number;
  /** The message, as JSON text. */
  readonly data: string;
}

/** What a stream holds after some place. */
export interface Slice {
  /** The events after that place that are still kept, in order. */
  readonly events: readonly LoggedEvent[];
  /** Whether nothing will ever follow these events. */
  readonly ended: boolean;
  /** Whether events after that place have been thrown away. */
  readonly gap: boolean;
  /** The number of the stream's newest event, kept or not; 0 before the first. */
  readonly last: number;
}

/**
 * Append-only logs, one for each stream of each session, bounded together for each session. A
 * connection is a cursor that reads; the log knows nothing of connections.
 *
 * An implementation MUST
 * - give an event its number and keep it in one step, so that numbers rise by one without a hole and
 *   in the order in which `append` was called;
 * - keep at most the limits' events and bytes for each session, throwing away the oldest of the
 *   whole session first, but never the newest;
 * - treat a stream that was never opened, appended to or ended, that was forgotten or that belongs to
 *   another session as unknown;
 * - wake the watchers of a stream after each append and at its end, on whatever node these happen; it
 *   may wake them more often;
 * - forget a stream `retainMs` after it has ended and was delivered to its end, and an ended one of
 *   which nothing is kept any more as soon as nobody watches it;
 * - forget everything of a session in `drop`, and neither throw nor bring the session back for any
 *   call that comes later.
 */
export interface EventLog {
  /**
   * Makes a stream known before its first message, so that a client that knows its name can resume
   * it. Nothing happens to a stream that is known already.
   */
  open(session: string, stream: string): MaybePromise<void>;
  /**
   * Adds a message at the end of a stream, which need not have been opened.
   *
   * @returns The event's number, or 0 when the stream has ended or the session was dropped
   */
  append(session: string, stream: string, data: string): MaybePromise<number>;
  /** Ends a stream: nothing more can be appended. An unknown stream comes into being ended. */
  end(session: string, stream: string): MaybePromise<void>;
  /**
   * Adds a whole stream: one that is over, and was delivered to its end. It comes to the same as adding
   * its messages one by one, for a fraction of the work. A log that takes its time need not have this.
   *
   * @param stream A name that is new
   * @param frames Its messages, each as {@linkcode frame} makes it, with numbers from 1
   * @param count How many there are; at least 1
   */
  appendStream?(session: string, stream: string, frames: string, count: number): MaybePromise<void>;
  /** What a stream holds after event `after`, or `undefined` when the stream is unknown. */
  read(session: string, stream: string, after: number): MaybePromise<Slice | undefined>;
  /** Notes that a stream's events up to `n` have been handed to a connection. Never goes back. */
  deliver(session: string, stream: string, n: number): MaybePromise<void>;
  /** The number that `deliver` noted last, or 0. */
  delivered(session: string, stream: string): MaybePromise<number>;
  /**
   * Calls `wake`, which must not throw, after every append to a stream and at its end, until the
   * returned function is called. Safe to call that twice. The stream may be unknown yet. Where the log
   * knows it at once, it tells the number of the oldest event that is kept, or that would be next, and
   * the event that was appended, so that whoever has all before it need not read.
   */
  watch(
    session: string,
    stream: string,
    wake: (oldest?: number, appended?: LoggedEvent) => void,
  ): () => void;
  /** Forgets a session's streams and wakes their watchers. */
  drop(session: string): MaybePromise<void>;
}

/** How much an {@linkcode EventLog} keeps. */
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
   * How long a stream is kept after it has ended and was delivered, in milliseconds.
   *
   * @default {60000}
   */
  readonly retainMs?: number;
}
