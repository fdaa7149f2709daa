/**
 * Defines the messages between nodes.
 *
 * @module
 */
import type { JsonObject, JsonRpcResponse, RequestId } from "../../protocol/jsonrpc.ts";
import type { Notification } from "../../protocol/exchange.ts";
import type { SessionEndReason } from "../../protocol/events.ts";

/** A message to all other nodes. */
export type BusMessage =
  /** A client cancelled a request of its session. */
  | {
    readonly kind: "cancel";
    readonly session: string;
    readonly request: RequestId;
    readonly reason?: string;
    /** The time since the client did, in milliseconds: later requests with this id are others. */
    readonly agoMs?: number;
  }
  /** A client responded to a question of its session. */
  | { readonly kind: "response"; readonly session: string; readonly response: JsonRpcResponse }
  /** A session ended. */
  | { readonly kind: "ended"; readonly session: string; readonly reason: SessionEndReason }
  /** A client resumed a stream: another connection that reads the stream must close. */
  | { readonly kind: "resumed"; readonly session: string; readonly stream: string }
  /** A notification for every session. */
  | { readonly kind: "broadcast"; readonly notification: Notification }
  /** A shared document was replaced. */
  | { readonly kind: "document"; readonly name: string };

/** A message about a request that one node forwards to another. */
export type ForwardMessage =
  /** A request of a session that the other node has claimed. */
  | { readonly kind: "forward"; readonly id: string; readonly request: ForwardedRequest }
  /** The request has been received. */
  | { readonly kind: "forward-taken"; readonly id: string }
  /** The reply has begun. */
  | {
    readonly kind: "forward-head";
    readonly id: string;
    readonly status: number;
    readonly headers: Readonly<Record<string, string>>;
    /** The whole body if it is short; otherwise parts follow. */
    readonly whole?: string;
  }
  /** A part of the reply's body, numbered 1, 2, 3, … */
  | {
    readonly kind: "forward-part";
    readonly id: string;
    readonly n: number;
    readonly text: string;
  }
  /** The reply ends after `n` parts, complete unless it failed. */
  | {
    readonly kind: "forward-end";
    readonly id: string;
    readonly n: number;
    readonly failed?: boolean;
  }
  /** The forwarding node accepts the parts up to `n`. */
  | { readonly kind: "forward-more"; readonly id: string; readonly n: number }
  /** The forwarding node no longer waits for the reply. */
  | { readonly kind: "forward-gone"; readonly id: string }
  /**
   * The replies that the forwarding node waits for, each with the number of the last part that it accepts.
   * Sent regularly, since messages may be lost.
   */
  | { readonly kind: "forward-check"; readonly room: Readonly<Record<string, number>> }
  /** The checked requests that are unknown. */
  | { readonly kind: "forward-unknown"; readonly ids: readonly string[] };

/** A message by which a node finds out whether another one is alive. */
export type PresenceMessage =
  /** Asks for a `pong`. */
  | { readonly kind: "ping"; readonly id: string }
  /** The answer to a `ping`. */
  | { readonly kind: "pong"; readonly id: string };

/** A forwarded request, as parsed by the node that received it. */
export interface ForwardedRequest {
  readonly verb: "POST" | "GET" | "DELETE";
  readonly url: string;
  /** Headers and principal. */
  readonly sender: JsonObject;
  /** The body as JSON text, which has passed the gates. */
  readonly body?: string;
  /** Whether the client accepts JSON. */
  readonly json: boolean;
  /** Whether the client accepts an event stream. */
  readonly sse: boolean;
}

/** A message between the operators of two nodes. */
export interface OperatorMessage {
  readonly kind: "operator";
  /** What is asked or answered as JSON text, encrypted if processes share the store. */
  readonly text: string;
}

/** A message of a dispatcher to the same dispatcher at another node. */
export interface DispatcherMessage {
  readonly kind: "dispatcher";
  /** What only dispatchers understand. */
  readonly value: JsonObject;
}

/** Any message between nodes. */
export type NodeMessage =
  | BusMessage
  | ForwardMessage
  | PresenceMessage
  | OperatorMessage
  | DispatcherMessage;
