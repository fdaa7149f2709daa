/**
 * One HTTP connection that reads one stream: a cursor in the log, and as much in its buffer as the
 * reader may lag behind.
 *
 * @module
 */
import type { Delay } from "../internal/delay_line.ts";
import { shortHash } from "../internal/random.ts";
import { isPromise } from "../internal/types.ts";
import type { StreamCloseReason } from "../protocol/events.ts";
import type { ConnectionOptions } from "./connection_options.ts";
import { eventId } from "./replay.ts";
import { frame, KEEP_ALIVE, primingFrame, retryFrame } from "./sse.ts";
import type { LoggedEvent, Slice } from "./types.ts";

const DEFAULT_BUFFER_BYTES = 65_536;
const encoder = new TextEncoder();

/**
 * Hands a stream's events over as fast as they are read and no faster: what the reader has no room
 * for waits in the log, and when the log has to throw it away the connection closes, so that the
 * client learns of it by coming back.
 */
export class Connection {
  /** The response's body. */
  readonly body: ReadableStream<Uint8Array>;
  readonly #options: ConnectionOptions;
  readonly #bufferBytes: number;
  readonly #quiet: Delay;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #unwatch: (() => void) | undefined;
  /** Lets the reader tell when it has room again. */
  #askAgain: (() => void) | undefined;
  #cursor: number;
  /** The message that was handed over last. */
  #newest: string | undefined;
  #open = true;
  /** Whether the constructor has returned. */
  #made = false;
  /** Whether there may be something to read. */
  #news = true;
  /** Whether a read, or the handing over of what it brought, is under way. */
  #busy = false;
  /** Whether the log has answered before. */
  #answered = false;
  /** Whether the stream was known then. */
  #known = false;

  /** Begins to read: what the log can tell at once is in the body when this returns. */
  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#bufferBytes = options.bufferBytes ?? DEFAULT_BUFFER_BYTES;
    this.#cursor = options.after;
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#pull(),
      cancel: () => this.#finish("disconnected"),
    }, { highWaterMark: this.#bufferBytes, size: byteLength });
    this.#quiet = options.keepAlive.add(() => this.#keepAlive());
    this.#begin();
    this.#made = true;
  }

  /** Whether the connection still hands events over. */
  get open(): boolean {
    return this.#open;
  }

  /** The number of the last event handed over. */
  get cursor(): number {
    return this.#cursor;
  }

  /**
   * Ends the connection, not the stream, after what has been handed over. Doing it again changes
   * nothing.
   *
   * @param reason Why, for `onClose`
   * @param options `retryMs` is how long the client is told to wait before it comes back, in
   * milliseconds; it is told nothing when this is left out. `last` is a message that the log couldn't
   * take, and that is handed over without it unless it has been all the same
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
   * The reader has room. On a stream with messages it isn't asked again before there was none: a question
   * after each would be a tenth of what a message costs, and the promise is half a kilobyte.
   */
  #pull(): Promise<void> | undefined {
    this.#pump();
    if (this.#newest === undefined || this.#room <= 0) return undefined;
    return new Promise((resolve) => this.#askAgain = resolve);
  }

  #begin(): void {
    const { log, session, stream, after, priming, retryMs } = this.#options;
    try {
      if (priming) {
        this.#enqueue(primingFrame(eventId(stream, after), retryMs));
        // From here on the client may come back to the stream, even before its first event.
        if (after === 0) this.#settle(log.open(session, stream));
      }
      this.#unwatch = log.watch(session, stream, this.#wake);
      this.#pump();
    } catch (error) {
      this.#fail(error);
    }
    // The log may have woken it, and so ended it, before it said how to stop watching.
    if (!this.#open) this.#stopWatching();
  }

  readonly #wake = (oldest = 0, appended?: LoggedEvent): void => {
    // What comes next is gone already: no need to wait until the reader has room for it.
    if (this.#answered && oldest > this.#cursor + 1) return this.#tooSlow();
    const next = appended?.n === this.#cursor + 1 && this.#known && !this.#news && !this.#busy;
    if (next && this.#open && this.#room > 0) return this.#takeNext(appended);
    this.#news = true;
    this.#pump();
  };

  /** Hands over what comes next, without reading it: that would be a quarter of what an event costs. */
  #takeNext(event: LoggedEvent): void {
    this.#busy = true;
    try {
      this.#handOver(event);
      this.#noteDelivered();
    } catch (error) {
      this.#fail(error);
    }
    this.#busy = false;
    if (this.#news) this.#pump();
  }

  /** Reads and hands over while there are news and room for them. */
  #pump(): void {
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.#open && this.#news && this.#room > 0) {
        this.#news = false;
        const { log, session, stream } = this.#options;
        const slice = log.read(session, stream, this.#cursor);
        if (isPromise(slice)) return this.#later(slice);
        this.#take(slice);
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#busy = false;
  }

  /** Goes on when the log has answered. Until then the connection stays busy, and news are noted. */
  #later(slice: Promise<Slice | undefined>): void {
    const goOn = (take: () => void) => {
      try {
        if (this.#open) take();
      } catch (error) {
        this.#fail(error);
      }
      this.#busy = false;
      this.#pump();
    };
    slice.then(
      (value) => goOn(() => this.#take(value)),
      (error) => goOn(() => this.#fail(error)),
    );
  }

  #take(slice: Slice | undefined): void {
    const first = !this.#answered;
    this.#answered = true;
    if (slice === undefined) {
      // A stream that was there and is gone went with its session.
      if (this.#known) this.#finish("session-ended");
      return;
    }
    this.#known = true;
    if (slice.gap) {
      if (!first) return this.#tooSlow();
      this.#skip(slice);
    }
    const begin = this.#cursor;
    for (const event of slice.events) {
      if (!this.#open) return;
      if (this.#room <= 0) {
        this.#news = true;
        break;
      }
      this.#handOver(event);
    }
    if (this.#cursor > begin) this.#noteDelivered();
    if (slice.ended && this.#cursor >= slice.last) this.#finish("ended");
  }

  #handOver({ n, data }: LoggedEvent): void {
    this.#enqueue(frame(eventId(this.#options.stream, n), data));
    this.#cursor = n;
    this.#newest = data;
  }

  /** Begins after what was thrown away before anybody could have read it here. */
  #skip({ events, last }: Slice): void {
    const [oldest] = events;
    this.#cursor = oldest === undefined ? last : oldest.n - 1;
    const { session, report } = this.#options;
    report({ type: "resume-failed", session: shortHash(session), reason: "gap" });
  }

  #noteDelivered(): void {
    const { log, session, stream } = this.#options;
    this.#quiet.restart();
    this.#settle(log.deliver(session, stream, this.#cursor));
  }

  #settle(done: void | Promise<void>): void {
    if (done !== undefined) done.catch((error: unknown) => this.#fail(error));
  }

  #keepAlive(): void {
    // With something unread in the buffer a comment would only join the queue.
    if (this.#room >= this.#bufferBytes) this.#enqueue(KEEP_ALIVE);
    this.#quiet.restart();
  }

  /** The bytes for which the buffer has room; more than nothing is enough for an event. */
  get #room(): number {
    return this.#controller?.desiredSize ?? 0;
  }

  #enqueue(text: string): void {
    this.#controller?.enqueue(encoder.encode(text));
    if (this.#room > 0) return;
    this.#askAgain?.();
    this.#askAgain = undefined;
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
    this.#quiet.cancel();
    this.#stopWatching();
    if (reason !== "disconnected") {
      try {
        if (retryMs !== undefined) this.#enqueue(retryFrame(retryMs));
        this.#controller?.close();
      } catch {
        // The body is closed already, which is all that was wanted.
      }
    }
    const { onClose } = this.#options;
    if (this.#made) onClose(reason);
    else queueMicrotask(() => onClose(reason));
  }
}

function byteLength(chunk: Uint8Array): number {
  return chunk.byteLength;
}
