/**
 * What carries the messages between the gateway and an upstream, both ways.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { MaybePromise } from "../internal/types.ts";
import type {
  JsonRpcNotification,
  JsonRpcRequest,
  JsonRpcResponse,
  RequestId,
} from "../protocol/jsonrpc.ts";
import type { Downstream, UpstreamCall } from "./types.ts";

/** Any message that a peer sends. */
export type Message = JsonRpcRequest | JsonRpcNotification | JsonRpcResponse;

/**
 * What carries messages, both ways.
 *
 * An implementation MUST
 * - be bounded in what it keeps of messages that the other side doesn't read;
 * - throw or reject, when a request was not sent or can't be answered any more, an
 *   {@linkcode McpError} if only that request failed, anything else if the conversation is over;
 * - call `onmessage` in the order of arrival, and `onclose` once, when it ended by itself.
 */
export interface Channel {
  /** Takes what the other side says, and the id of the request that it is about, where that is known. */
  onmessage: ((message: unknown, about?: RequestId) => void) | undefined;
  /** Told with what ended the conversation. */
  onclose: ((error: unknown) => void) | undefined;
  /**
   * Whether everything comes one way, so that nothing tells what a message is about. While a single
   * call runs, questions and log messages are then taken to belong to it.
   */
  readonly unlabelled?: boolean;
  /** Whether letting go of a request cancels it, so that no message needs to (2026-07-28 over HTTP). */
  readonly releaseCancels?: boolean;
  /** Told when something may have been said that did not arrive. */
  onmissed?: (() => void) | undefined;
  /**
   * Opens the way for what the other side says outside of calls, where it has to be opened, and tells
   * whether there is one. Only asked in the 2025 era, once, after the handshake.
   */
  listen?(): Promise<boolean>;
  /** Sends a message; for a request, with the call that it is for. */
  send(message: Message, call?: UpstreamCall): MaybePromise<void>;
  /** Lets go of whatever is held for a request whose answer nobody waits for any more. */
  release?(id: RequestId): void;
  /** Ends the conversation. Safe to call twice. */
  close(): MaybePromise<void>;
}

/** Options for the peer that speaks over a channel. */
export interface PeerOptions {
  /** Where the time comes from. */
  readonly clock: Clock;
  /** Where everything goes that belongs to no call. */
  readonly downstream: Downstream;
  /**
   * Calls at a time.
   *
   * @default {1000}
   */
  readonly maxCalls?: number;
  /**
   * Questions of the other side at a time; more are answered with an error.
   *
   * @default {100}
   */
  readonly maxQuestions?: number;
  /**
   * How long a call may go without its answer or anything else that belongs to it, in milliseconds.
   *
   * @default {300000}
   */
  readonly timeoutMs?: number;
}
