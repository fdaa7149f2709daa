/**
 * Defines the contract of streams that respond to a POST, with and without an event log.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { Reply } from "../http/reply.ts";

/** The stream of a response to a POST. */
export interface ReplyStream {
  /**
   * Creates the reply: the whole text if the stream has ended, when that is stored, else a connection to it.
   * Called once.
   */
  reply(): MaybePromise<Reply>;
  /** Sends a message. */
  send(text: string): void;
  /** Sends the response to a request: to the connected client even if the log fails. */
  answer(text: string): void;
  /** Ends the stream after the messages sent; with `retryMs` the client gets a `retry` time. */
  end(options?: { readonly retryMs?: number }): void;
  /** Closes the connection, not the stream, so that the client resumes after `retryMs` milliseconds. */
  release(retryMs: number): void;
}

/** Opens the stream of a response; returns `undefined` if too many streams are open. */
export type OpenReplyStream = () => ReplyStream | undefined;
