/**
 * Sends one stream of the event log over one HTTP connection.
 *
 * @module
 */
import type { Delay, DelayLine } from "../internal/delay_line.ts";
import { shortHash } from "../internal/random.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import type { McpEvent, StreamCloseReason } from "../protocol/events.ts";
import { eventId } from "./replay.ts";
import { frame, KEEP_ALIVE, primingFrame, retryFrame } from "./sse.ts";
import type { EventLog, LoggedEvent, Slice, StreamRun } from "./types.ts";

const DEFAULT_BUFFER_BYTES = 65_536;
const encoder = new TextEncoder();

/** Options for a {@linkcode LoggedConnection}. */
export interface LoggedConnectionOptions {
  /** The log to read from. */
  readonly log: EventLog;
  /** The session's id. */
  readonly session: string;
  /** The stream's name in its session. */
  readonly stream: string;
  /** The number of the last event that the client has received; reading begins after it. */
  readonly after: number;
  /** Whether to send a priming event first (2025-11-25). */
  readonly priming: boolean;
  /** The requests that a new stream responds to. */
  readonly run?: StreamRun | undefined;
  /** The `retry` time sent to the client, in milliseconds. */
  readonly retryMs: number;
  /** The delay line of keep-alive comments, shared by all connections. */
  readonly keepAlive: DelayLine;
  /**
   * Bytes of the response's buffer, which one event may exceed.
   *
   * @default {65536}
   */
  readonly bufferBytes?: number;
  /**
   * Called exactly once when the connection has closed, never before the constructor has returned. Must
   * not throw.
   */
  readonly onClose: (reason: StreamCloseReason) => void;
  /**
   * Receives events: failures of the log, and events that were dropped before the connection began. Must
   * not throw.
   */
  readonly report: (event: McpEvent) => void;
}

/**
 * Sends the events of a stream as fast as the client reads them: events that don't fit in the buffer stay
 * in the log. When the log drops an event that has not been sent, the connection closes, so that the
 * client resumes and detects the gap.
 */
export class LoggedConnection {
  /** The response's body. */
  readonly body: ReadableStream<Uint8Array>;
  readonly #options: LoggedConnectionOptions;
  readonly #bufferBytes: number;
  readonly #keepAliveDelay: Delay;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #unwatch: (() => void) | undefined;
  /** Resolves the pending `pull`, so that the body pulls again when it has room. */
  #resumePull: (() => void) | undefined;
  #lastSent: number;
  /** The last message sent. */
  #newest: string | undefined;
  #open = true;
  /** Whether the constructor has returned. */
  #constructed = false;
  /** Whether there may be unread events in the log. */
  #mayHaveEvents = true;
  /** Whether a read, or sending its result, is in progress. */
  #busy = false;
  /** Whether a read has completed. */
  #answered = false;
  /** Whether the stream was known at a read. */
  #known = false;

  /** Begins to read. Events of a synchronous log are in the body when this returns. */
  constructor(options: LoggedConnectionOptions) {
    this.#options = options;
    this.#bufferBytes = options.bufferBytes ?? DEFAULT_BUFFER_BYTES;
    this.#lastSent = options.after;
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#pull(),
      cancel: () => this.#finish("disconnected"),
    }, { highWaterMark: this.#bufferBytes, size: byteLength });
    this.#keepAliveDelay = options.keepAlive.add(() => this.#keepAlive());
    this.#begin();
    this.#constructed = true;
  }

  /** Whether the connection still sends events. */
  get open(): boolean {
    return this.#open;
  }

  /** The number of the last event sent. */
  get lastSent(): number {
    return this.#lastSent;
  }

  /** The bytes that the client has not read yet. */
  get buffered(): number {
    return this.#open ? Math.max(0, this.#bufferBytes - this.#room) : 0;
  }

  /** Whether events wait in the log because the client reads too slowly. */
  get behind(): boolean {
    return this.#mayHaveEvents && this.#room <= 0;
  }

  /**
   * Sends a message of another stream, whether the buffer has room or not. It has no event id, so that the
   * client resumes this stream.
   *
   * @returns `false` if the connection is closed
   */
  sendOther(data: string): boolean {
    if (this.#open) this.#enqueue(frame(undefined, data));
    return this.#open;
  }

  /**
   * Closes the connection, not the stream, after the events already sent. Closing again does nothing.
   *
   * @param reason The reason, for `onClose`
   * @param options `retryMs` is a `retry` time for the client, in milliseconds; none is sent when it is
   * left out. `last` is a message that the log failed to append: it is sent without an id, unless it was
   * the last one sent
   */
  close(
    reason: StreamCloseReason,
    options: { readonly retryMs?: number; readonly last?: string } = {},
  ): void {
    const { retryMs, last } = options;
    if (this.#open && last !== undefined && last !== this.#newest) {
      this.#enqueue(frame(undefined, last));
    }
    this.#finish(reason, retryMs);
  }

  /**
   * Continues reading when the buffer has room. After the first message, the returned promise stays
   * pending until the buffer is full, which saves a `pull` for each message.
   */
  #pull(): Promise<void> | undefined {
    this.#pump();
    if (this.#newest === undefined || this.#room <= 0) return undefined;
    return new Promise((resolve) => this.#resumePull = resolve);
  }

  #begin(): void {
    const { log, session, stream, after, priming } = this.#options;
    try {
      if (priming) {
        // From then on the client may resume the stream, even before its first event.
        const opened = after === 0 ? this.#openLog() : true;
        if (opened === true) this.#prime();
        else if (opened !== false) {
          opened.then((known) => known && this.#prime(), (error: unknown) => this.#fail(error));
        }
      }
      this.#unwatch = log.watch(session, stream, this.#wake);
      this.#pump();
    } catch (error) {
      this.#fail(error);
    }
    // The log may have ended the connection before `watch` returned.
    if (!this.#open) this.#stopWatching();
  }

  /**
   * Makes the stream known. One that responds to a request goes on if that fails, which is reported where the
   * request runs: without an id its response comes on this connection or never.
   *
   * @returns Whether the client can resume it
   */
  #openLog(): MaybePromise<boolean> {
    const { log, session, stream, run } = this.#options;
    const failed = (error: unknown): boolean => {
      if (run === undefined) throw error;
      return false;
    };
    try {
      return log.open(session, stream, run)?.then(() => true, failed) ?? true;
    } catch (error) {
      return failed(error);
    }
  }

  /** Sends the priming event, unless an event with an id was faster. */
  #prime(): void {
    const { stream, after, retryMs } = this.#options;
    if (!this.#open || this.#lastSent !== after) return;
    this.#enqueue(primingFrame(eventId(stream, after), retryMs));
  }

  readonly #wake = (oldest = 0, appended?: LoggedEvent): void => {
    const next = appended?.n === this.#lastSent + 1 && this.#known && !this.#mayHaveEvents &&
      !this.#busy;
    // This comes first: the log may not have kept the event, as it is too large.
    if (next && this.#open && this.#room > 0) return this.#sendNext(appended);
    // The next event has already been dropped: don't wait until the buffer has room for it.
    if (this.#answered && oldest > this.#lastSent + 1) return this.#tooSlow();
    this.#mayHaveEvents = true;
    this.#pump();
  };

  /** Sends the event that was just appended, without reading it back from the log. */
  #sendNext(event: LoggedEvent): void {
    this.#busy = true;
    try {
      this.#send(event);
      this.#noteDelivered();
    } catch (error) {
      this.#fail(error);
    }
    this.#busy = false;
    if (this.#mayHaveEvents) this.#pump();
  }

  /** Reads and sends while there may be events and the buffer has room. */
  #pump(): void {
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.#open && this.#mayHaveEvents && this.#room > 0) {
        this.#mayHaveEvents = false;
        const { log, session, stream } = this.#options;
        const slice = log.read(session, stream, this.#lastSent);
        if (isPromise(slice)) return this.#later(slice);
        this.#take(slice);
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#busy = false;
  }

  /** Continues when an asynchronous read has completed. Until then the connection is busy. */
  #later(slice: Promise<Slice | undefined>): void {
    const proceed = (take: () => void) => {
      try {
        if (this.#open) take();
      } catch (error) {
        this.#fail(error);
      }
      this.#busy = false;
      this.#pump();
    };
    slice.then(
      (value) => proceed(() => this.#take(value)),
      (error) => proceed(() => this.#fail(error)),
    );
  }

  #take(slice: Slice | undefined): void {
    const first = !this.#answered;
    this.#answered = true;
    if (slice === undefined) {
      // A stream that was known before was dropped with its session.
      if (this.#known) this.#finish("session-ended");
      return;
    }
    this.#known = true;
    if (slice.gap) {
      if (!first) return this.#tooSlow();
      this.#skip(slice);
    }
    const begin = this.#lastSent;
    for (const event of slice.events) {
      if (!this.#open) return;
      if (this.#room <= 0) {
        this.#mayHaveEvents = true;
        break;
      }
      this.#send(event);
    }
    if (this.#lastSent > begin) this.#noteDelivered();
    if (slice.ended && this.#lastSent >= slice.last) this.#finish("ended");
  }

  #send({ n, data }: LoggedEvent): void {
    this.#enqueue(frame(eventId(this.#options.stream, n), data));
    this.#lastSent = n;
    this.#newest = data;
  }

  /** Skips events that were dropped before the connection began. */
  #skip({ events, last }: Slice): void {
    const [oldest] = events;
    this.#lastSent = oldest === undefined ? last : oldest.n - 1;
    const { session, report } = this.#options;
    report({ type: "resume-failed", session: shortHash(session), reason: "gap" });
  }

  #noteDelivered(): void {
    const { log, session, stream } = this.#options;
    this.#keepAliveDelay.restart();
    this.#settle(log.deliver(session, stream, this.#lastSent));
  }

  #settle(done: void | Promise<void>): void {
    if (done !== undefined) done.catch((error: unknown) => this.#fail(error));
  }

  #keepAlive(): void {
    // With unread bytes in the buffer a comment is useless.
    if (this.#room >= this.#bufferBytes) this.#enqueue(KEEP_ALIVE);
    this.#keepAliveDelay.restart();
  }

  /** The free bytes of the buffer; any positive number is enough for one event. */
  get #room(): number {
    return this.#controller?.desiredSize ?? 0;
  }

  #enqueue(text: string): void {
    this.#controller?.enqueue(encoder.encode(text));
    if (this.#room > 0) return;
    this.#resumePull?.();
    this.#resumePull = undefined;
  }

  #tooSlow(): void {
    this.#finish("slow", this.#options.retryMs);
  }

  #fail(error: unknown): void {
    this.#options.report({ type: "error", during: "reading a stream", error });
    this.#finish("failed", this.#options.retryMs);
  }

  #stopWatching(): void {
    const unwatch = this.#unwatch;
    this.#unwatch = undefined;
    try {
      unwatch?.();
    } catch (error) {
      this.#options.report({ type: "error", during: "reading a stream", error });
    }
  }

  #finish(reason: StreamCloseReason, retryMs?: number): void {
    if (!this.#open) return;
    this.#open = false;
    this.#keepAliveDelay.cancel();
    this.#stopWatching();
    if (reason !== "disconnected") {
      try {
        if (retryMs !== undefined) this.#enqueue(retryFrame(retryMs));
        this.#controller?.close();
      } catch {
        // The body is closed already.
      }
    }
    const { onClose } = this.#options;
    if (this.#constructed) onClose(reason);
    else queueMicrotask(() => onClose(reason));
  }
}

function byteLength(chunk: Uint8Array): number {
  return chunk.byteLength;
}
