/**
 * Sends the response to a POST of a session as a stream in the session's event log.
 *
 * @module
 */
import { shortHash } from "../internal/random.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { Reply } from "../http/reply.ts";
import { VERSIONS } from "../protocol/versions.ts";
import { eventId } from "./replay.ts";
import type { ReplyStream } from "./reply_stream.ts";
import { frame, primingFrame, sseReply } from "./sse.ts";
import type { Reader, Streams } from "./streams.ts";

/** Options for {@linkcode openLoggedReply}. */
export interface LoggedReplyInit extends Reader {
  /** Called when the first connection has closed. */
  readonly onClose?: () => void;
  /** Called with the stream's name when its run has been passed to a log of several processes. */
  readonly onRun?: (stream: string) => void;
}

/**
 * Opens a stream in the session's event log.
 *
 * @returns `undefined` if too many connections are open
 */
export function openLoggedReply(
  streams: Streams,
  reader: LoggedReplyInit,
): ReplyStream | undefined {
  return streams.slots.take(reader.share) ? new LoggedReply(streams, reader) : undefined;
}

/** A message that was sent before the reply was created. */
interface PendingResponse {
  readonly data: string;
  /** Whether it is the response to a request. */
  readonly answer: boolean;
}

/** A stream in the log: its messages are appended to the log before they are sent. */
class LoggedReply implements ReplyStream {
  readonly #streams: Streams;
  readonly #reader: LoggedReplyInit;
  readonly #stream: string;
  /** The messages sent before the reply was created, if the log accepts whole streams. */
  #pending: PendingResponse[] | undefined;
  /** A response that the log failed to append before the connection. */
  #unlogged: string | undefined;
  #ended = false;
  /** Whether a response is appended later, which then ends the stream. */
  #late = false;
  #answering: Promise<unknown> | undefined;

  constructor(streams: Streams, reader: LoggedReplyInit) {
    this.#streams = streams;
    this.#reader = reader;
    this.#stream = reader.session.nameStream();
    if (streams.log.appendStream !== undefined) this.#pending = [];
    else this.#openLog();
  }

  reply(): MaybePromise<Reply> {
    const pending = this.#pending ?? [];
    if (this.#ended && pending.length > 0) return this.#whole(pending);
    const stream = this.#stream;
    if (this.#pending !== undefined) this.#openLog();
    this.#pending = undefined;
    const { reply } = this.#streams.connectInSlot({
      ...this.#reader,
      stream,
      after: 0,
      kind: "request",
    });
    // The log doesn't keep a very large event: the connection must be there to send it.
    for (const { data, answer } of pending) this.#append(data, answer);
    if (this.#ended) this.end();
    if (this.#unlogged !== undefined) this.#connection?.close("failed", { last: this.#unlogged });
    return reply;
  }

  send(text: string): void {
    this.#append(text, false);
  }

  answer(text: string): void {
    this.#append(text, true);
  }

  end({ retryMs }: { readonly retryMs?: number } = {}): void {
    this.#ended = true;
    if (this.#pending !== undefined) return;
    if (retryMs !== undefined) this.#connection?.close("shutdown", { retryMs });
    if (this.#answering === undefined || this.#streams.log.orderly) this.#end();
    else this.#answering.then(() => this.#end());
  }

  release(retryMs: number): void {
    // The client may have resumed meanwhile: the current connection is closed.
    const present = this.#connection;
    // Without an event id the client can't resume.
    const resumable = VERSIONS[this.#reader.version].priming || (present?.lastSent ?? 0) > 0;
    if (resumable) present?.close("released", { retryMs });
  }

  /** Makes the stream known, first of all: the responses that are appended are those of the run. */
  #openLog(): void {
    this.#streams.openLog(this.#reader.session, this.#stream, this.#reader.run);
    this.#reader.onRun?.(this.#stream);
  }

  get #connection() {
    return this.#reader.session.connections.get(this.#stream);
  }

  #append(data: string, answer: boolean): void {
    if (this.#pending !== undefined) {
      this.#pending.push({ data, answer });
      return;
    }
    const { log, reporter } = this.#streams;
    const appended = reporter.background(
      "appending to a stream",
      () => log.append(this.#reader.session.id, this.#stream, data, answer),
      answer ? () => this.#sendUnlogged(data) : undefined,
    );
    if (answer) this.#answering = appended;
  }

  /**
   * Sends a response that the log failed to append to the connected client. One that has resumed elsewhere
   * gets it once the log is back.
   */
  #sendUnlogged(answer: string): void {
    const { lateAnswers } = this.#streams;
    if (lateAnswers?.add(this.#reader.session.id, this.#stream, answer)) this.#late = true;
    this.#unlogged = answer;
    this.#connection?.close("failed", { last: answer });
  }

  #end(): void {
    if (this.#late) return;
    const { log, reporter, lateAnswers } = this.#streams;
    const { id } = this.#reader.session;
    reporter.background("ending a stream", () => log.end(id, this.#stream), () => {
      // Readers at other nodes would wait for the end.
      lateAnswers?.addEnd(id, this.#stream);
      // An answer that failed too is sent first.
      const close = () => this.#connection?.close("failed");
      if (this.#answering === undefined) close();
      else void this.#answering.then(close);
    });
  }

  /**
   * Creates the reply of a stream that has already ended: one text, which is cheaper than a connection. It
   * is sent even if the log fails to append it.
   */
  #whole(pending: readonly PendingResponse[]): MaybePromise<Reply> {
    const { session, share, version } = this.#reader;
    const { log, slots, settings, reporter } = this.#streams;
    const stream = this.#stream;
    let frames = "";
    let n = 0;
    for (const { data } of pending) frames += frame(eventId(stream, ++n), data);
    const stored = reporter.background(
      "appending to a stream",
      () => log.appendStream?.(session.id, stream, frames, n),
    );
    slots.give(share);
    if (reporter.enabled) this.#reportWhole(shortHash(session.id));
    const text = VERSIONS[version].priming
      ? primingFrame(eventId(stream, 0), settings.retryMs) + frames
      : frames;
    // Another log may take long, or never tell.
    if (stored === undefined || log.orderly !== true) return sseReply(text);
    return stored.then(() => sseReply(text));
  }

  #reportWhole(session: string): void {
    const { report } = this.#streams.reporter;
    report({ type: "stream-opened", session, stream: "request" });
    report({ type: "stream-closed", session, stream: "request", reason: "ended" });
  }
}
