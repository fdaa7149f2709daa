/**
 * Defines what carries messages between the gateway and one upstream.
 *
 * @module
 */
import type { JsonRpcResponse, MaybePromise, RequestId } from "../../../mod.ts";
import type { JsonRpcNotification, JsonRpcRequest } from "../../kit.ts";
import type { Caller } from "../types.ts";

/** Any JSON-RPC message. */
export type Message = JsonRpcRequest | JsonRpcNotification | JsonRpcResponse;

/**
 * Carries the messages of one upstream session, both ways.
 *
 * An implementation MUST
 * - bound what it buffers for an upstream that doesn't read;
 * - throw or reject, if a request wasn't sent or can't be answered any more, an
 *   {@linkcode McpError} if only that request failed, any other error if the connection is over;
 * - call `onmessage` in the order of arrival, and `onclose` once, unless `close` ended it.
 */
export interface Transport {
  /** Takes a message of the upstream, and the id of the request that it relates to, if known. */
  onmessage: ((message: unknown, relatedId?: RequestId) => void) | undefined;
  /** Takes the error that ended the connection. */
  onclose: ((error: unknown) => void) | undefined;
  /** Takes the id of a request that can't have reached the upstream, before `onclose`. */
  onunsent?: ((id: RequestId, error: unknown) => void) | undefined;
  /** Takes the news that messages of the upstream may have been lost. */
  onlost?: (() => void) | undefined;
  /**
   * Tells whether all messages arrive on one stream, so that nothing relates them to a request.
   * While a single call runs, questions and log messages are then taken to belong to it.
   */
  readonly singleStream?: boolean;
  /** Whether `abort` cancels a request without a message (2026-07-28 over HTTP). */
  readonly abortCancels?: boolean;
  /**
   * Opens the stream for the upstream's messages outside calls, if that takes a request, and returns
   * whether there is one. Called once after the handshake, in the 2025 era only.
   */
  openServerStream?(): Promise<boolean>;
  /** Sends a message on behalf of its caller; on behalf of the latest one if none is given. */
  send(message: Message, caller?: Caller): MaybePromise<void>;
  /** Frees the state of a request whose response is no longer awaited. */
  abort?(id: RequestId): void;
  /** Ends the connection. Safe to call twice. */
  close(): MaybePromise<void>;
}
