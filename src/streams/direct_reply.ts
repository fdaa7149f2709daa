/**
 * Sends the response to a POST as a stream, without an event log: it can't be resumed.
 *
 * @module
 */
import { callAt } from "../internal/call_at.ts";
import type { Reply } from "../http/reply.ts";
import { DirectConnection } from "./direct_connection.ts";
import type { ReplyStream } from "./reply_stream.ts";
import { sseReply, sseReplyOf } from "./sse.ts";
import type { Streams } from "./streams.ts";

/** Options for {@linkcode openDirectReply}. */
export interface DirectReplyInit {
  /** The share key of the owner, for counting connections. */
  readonly share: string;
  /** When the owner's credentials expire, in milliseconds since the epoch. */
  readonly expiresAt: number | undefined;
  /**
   * Called if the client can't receive the rest: it disconnected, is too slow, or its credentials expired.
   */
  readonly onLost?: () => void;
}

/**
 * Opens a stream that lasts as long as its one connection.
 *
 * @returns `undefined` if too many connections are open
 */
export function openDirectReply(streams: Streams, init: DirectReplyInit): ReplyStream | undefined {
  return streams.slots.take(init.share) ? new DirectReply(streams, init) : undefined;
}

class DirectReply implements ReplyStream {
  readonly #streams: Streams;
  readonly #init: DirectReplyInit;
  /** Messages that were sent before the connection. */
  #pending: string[] = [];
  #ended = false;
  #connection: DirectConnection | undefined;

  constructor(streams: Streams, init: DirectReplyInit) {
    this.#streams = streams;
    this.#init = init;
  }

  reply(): Reply {
    const pending = this.#pending;
    this.#pending = [];
    if (this.#ended) {
      this.#streams.slots.give(this.#init.share);
      return sseReplyOf(...pending);
    }
    const connection = this.#connect();
    for (const text of pending) connection.send(text);
    return sseReply(connection.body);
  }

  send(text: string): void {
    if (this.#connection === undefined) this.#pending.push(text);
    else this.#connection.send(text);
  }

  answer(text: string): void {
    this.send(text);
  }

  end(): void {
    this.#ended = true;
    this.#connection?.close("ended");
  }

  /** Does nothing: without a log the client couldn't resume. */
  release(): void {}

  #connect(): DirectConnection {
    const { settings, keepAlive, slots, clock } = this.#streams;
    const { share, expiresAt, onLost } = this.#init;
    const connection = this.#connection = new DirectConnection({
      bufferBytes: settings.bufferBytes,
      keepAlive,
      onClose(reason) {
        stopExpiry?.();
        slots.give(share);
        if (reason !== "ended") onLost?.();
      },
    });
    const stopExpiry = callAt(clock, expiresAt, () => connection.close("unauthorized"));
    return connection;
  }
}
