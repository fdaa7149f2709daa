/**
 * Defines the contract of the event log, by which a stream outlives its connections.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { RequestId } from "../protocol/jsonrpc.ts";

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

/** The requests that a stream responds to, and the node that runs them. */
export interface StreamRun {
  /** The node's id; `undefined` for a handler that has its store to itself. */
  readonly node?: string | undefined;
  /** The ids of the requests without a response. */
  readonly requests: readonly RequestId[];
}

/** A {@linkcode StreamRun} as it is stored. */
export interface StoredRun extends StreamRun {
  /** The node's id. */
  readonly node: string;
  /** What another node needs to run the request again, if that is allowed. */
  readonly again: string | undefined;
  /** Differs from that of every other state of the stream's run. */
  readonly mark: string;
}

/**
 * Append-only logs, one for each stream, with limits for each session. Connections read from the log,
 * which doesn't know them.
 *
 * An implementation MUST
 * - number and keep an event atomically, so that numbers increase by one without gaps
 *   in the order of the calls of `append`;
 * - keep at most as many events and bytes for each session as the limits allow, dropping the oldest of
 *   the whole session first, but never the newest, unless that is larger than the limit by itself: then
 *   it need not be kept, but reaches the watchers;
 * - if it keeps events in this process's memory, bound that memory for all sessions together and for
 *   each share, dropping the oldest of the heaviest share first; it may then keep an undelivered
 *   response above the limits of its session;
 * - treat a stream that was never opened, appended to or ended, that was forgotten or that belongs to
 *   another session as unknown;
 * - wake the watchers of a stream after each append and at its end, on any node; it may wake them more
 *   often;
 * - forget a stream `retainMs` after it has ended and was delivered to its end, and an ended one
 *   without kept events as soon as it has no watchers;
 * - forget everything of a session in `drop`; later calls for the session must neither throw nor
 *   create anything.
 *
 * A log that other processes can use MUST have the methods about runs as well, since a process may die
 * before it has ended its streams, and MUST accept what is appended to a stream with a run, and its end,
 * only from the process that opened the run or moved it to itself: the calls of any other have no effect.
 */
export interface EventLog {
  /**
   * Whether an append and an end of one turn of the event loop are stored together or both fail, soon after the
   * turn. Without it the end of a stream waits for its last append, and a response that ended in one turn is
   * sent before it is stored. Optional.
   */
  readonly orderly?: boolean;
  /** The bytes that events take in this process's memory, if it keeps them there. Optional. */
  readonly bytes?: number;
  /**
   * Makes a stream known before its first message, so that a client can resume it. Does nothing if it
   * is known.
   *
   * @param run The requests that the stream responds to, at the first call for a stream that responds to
   * any: a log that outlives the process keeps it, so that the client can be told that the process is gone
   */
  open(session: string, stream: string, run?: StreamRun): MaybePromise<void>;
  /**
   * Appends a message to a stream, which need not have been opened.
   *
   * @param data The message, as JSON text
   * @param answer Whether the message is the response to a request, which the client must not lose
   * @returns The event's number, or 0 if the stream has ended or the session was dropped
   */
  append(
    session: string,
    stream: string,
    data: string,
    answer?: boolean,
  ): MaybePromise<number>;
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
   * log passes the number from which on all events are kept, or the next number if the last is not, and
   * the appended event, so that a watcher that has all events before it need not read.
   */
  watch(
    session: string,
    stream: string,
    wake: (oldest?: number, appended?: LoggedEvent) => void,
  ): () => void;
  /** Forgets a session's streams and wakes their watchers. */
  drop(session: string): MaybePromise<void>;
  /**
   * Waits until everything that has been appended or ended is stored or has failed. Never rejects, and
   * settles within the time limits of those. Optional: a synchronous log needs none.
   */
  written?(): Promise<void>;
  /**
   * Returns the run of a stream that has not ended: the requests that were passed to `open`, without those
   * whose response was appended since; `undefined` if it has none.
   */
  run?(session: string, stream: string): MaybePromise<StoredRun | undefined>;
  /**
   * Keeps what another node needs to run a stream's request again, until its response is appended. Keeps
   * nothing if the session would keep more of it than its limit of bytes.
   */
  keepRequest?(session: string, stream: string, request: string): MaybePromise<void>;
  /**
   * Appends messages to a stream and ends it, in one step, also where another node runs it.
   *
   * @returns `false` if its run is no longer `run`; then nothing has changed
   */
  endRun?(
    session: string,
    stream: string,
    run: StoredRun,
    messages: readonly string[],
  ): MaybePromise<boolean>;
  /**
   * Moves a stream's run to a node of this process, in one step; what is kept to run it again is deleted.
   *
   * @returns `false` if its run is no longer `run`; then nothing has changed
   */
  moveRun?(session: string, stream: string, run: StoredRun, node: string): MaybePromise<boolean>;
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
