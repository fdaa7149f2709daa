/**
 * Continues the stream of a response that another node has begun.
 *
 * @module
 */
import { accepted, type Reply } from "../http/reply.ts";
import { isObject } from "../protocol/jsonrpc.ts";
import type { ReplyStream } from "./reply_stream.ts";
import type { Streams, StreamSession } from "./streams.ts";

/** A stream that another node has begun. */
export interface ContinuedStream {
  /** The stream's name in its session. */
  readonly stream: string;
  /** The highest progress that was reported on it. */
  readonly progress: number;
}

/** A stream in the log that no client of this request reads: clients have resumed it, here or elsewhere. */
export class ContinuedReply implements ReplyStream {
  readonly #streams: Streams;
  readonly #session: StreamSession;
  readonly #stream: string;
  #progress: number;
  #answering: Promise<unknown> | undefined;
  #late = false;

  /** Continues a stream whose run has been moved to this node. */
  constructor(streams: Streams, session: StreamSession, { stream, progress }: ContinuedStream) {
    this.#streams = streams;
    this.#session = session;
    this.#stream = stream;
    this.#progress = progress;
  }

  /** Returns a reply that nobody gets. */
  reply(): Reply {
    return accepted();
  }

  send(text: string): void {
    const progress = progressOf(text);
    // The first run may have reported more.
    if (progress !== undefined && progress <= this.#progress) return;
    this.#progress = progress ?? this.#progress;
    this.#append(text, false);
  }

  answer(text: string): void {
    this.#answering = this.#append(text, true);
  }

  end(): void {
    const { log, reporter, lateAnswers } = this.#streams;
    const { id } = this.#session;
    const end = () => this.#late || log.end(id, this.#stream);
    const failed = () => lateAnswers?.addEnd(id, this.#stream);
    void Promise.resolve(this.#answering).then(() =>
      reporter.background("ending a stream", end, failed)
    );
  }

  release(retryMs: number): void {
    this.#connection?.close("released", { retryMs });
  }

  get #connection() {
    return this.#session.connections.get(this.#stream);
  }

  #append(text: string, answer: boolean): Promise<unknown> | undefined {
    const { log, reporter } = this.#streams;
    return reporter.background(
      "appending to a stream",
      () => log.append(this.#session.id, this.#stream, text, answer),
      answer ? () => this.#sendUnlogged(text) : undefined,
    );
  }

  #sendUnlogged(answer: string): void {
    const { lateAnswers } = this.#streams;
    if (lateAnswers?.add(this.#session.id, this.#stream, answer)) this.#late = true;
    this.#connection?.close("failed", { last: answer });
  }
}

/** Returns the value of a progress notification that the endpoint has written; `undefined` for others. */
export function progressOf(text: string): number | undefined {
  const message: unknown = JSON.parse(text);
  if (!isObject(message) || message.method !== "notifications/progress") return undefined;
  const { params } = message;
  return isObject(params) && typeof params.progress === "number" ? params.progress : undefined;
}
