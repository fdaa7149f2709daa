/**
 * The stream that the answer to a POST becomes: the contract of its two kinds, with and without a log.
 *
 * @module
 */
import type { Reply } from "../http/reply.ts";

/** The stream that an answer becomes. */
export interface ReplyStream {
  /**
   * Makes the reply: the whole text when the stream has ended, else a connection to it. Called once.
   */
  reply(): Reply;
  /** Sends a message. */
  send(text: string): void;
  /** Sends the answer to a request: to the client that is connected, even where the log fails. */
  answer(text: string): void;
  /** Ends the stream after the messages sent; with `retryMs` the client gets a `retry` time. */
  end(options?: { readonly retryMs?: number }): void;
  /** Ends the connection, not the stream, so that the client resumes after `retryMs` milliseconds. */
  release(retryMs: number): void;
}

/** Opens the stream that an answer becomes; `undefined` when too many streams are open. */
export type OpenReplyStream = () => ReplyStream | undefined;
