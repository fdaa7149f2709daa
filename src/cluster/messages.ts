/**
 * What nodes tell each other.
 *
 * @module
 */
import type { JsonRpcResponse, RequestId } from "../protocol/jsonrpc.ts";
import type { Notification } from "../protocol/exchange.ts";
import type { SessionEndReason } from "../protocol/events.ts";

/** What a node tells all others. */
export type BusMessage =
  /** A client cancelled a request of its session. */
  | {
    readonly kind: "cancel";
    readonly session: string;
    readonly request: RequestId;
    readonly reason?: string;
  }
  /** A client answered a question that was asked in its session. */
  | { readonly kind: "reply"; readonly session: string; readonly response: JsonRpcResponse }
  /** A session ended. */
  | { readonly kind: "ended"; readonly session: string; readonly reason: SessionEndReason }
  /** A client came back to a stream: whatever else reads it is an old connection. */
  | { readonly kind: "resumed"; readonly session: string; readonly stream: string }
  /** Something for every session. */
  | { readonly kind: "broadcast"; readonly notification: Notification }
  /** A document that all nodes go by was put. */
  | { readonly kind: "document"; readonly name: string };

/** What two nodes tell each other about a request that one hands on to the other. */
export type ForwardMessage =
  /** A request for a session that the other node holds. */
  | { readonly kind: "forward"; readonly id: string; readonly request: ForwardedRequest }
  /** The request has arrived and is being answered. */
  | { readonly kind: "forward-taken"; readonly id: string }
  /** The response has begun. */
  | {
    readonly kind: "forward-head";
    readonly id: string;
    readonly status: number;
    readonly headers: readonly (readonly [string, string])[];
    /** The whole body, where it is short; else parts of it follow. */
    readonly whole?: string;
  }
  /** A part of the response's body: 1, 2, 3, … */
  | {
    readonly kind: "forward-part";
    readonly id: string;
    readonly n: number;
    readonly text: string;
  }
  /** The response ends after `n` parts: it is whole, or it never will be. */
  | {
    readonly kind: "forward-end";
    readonly id: string;
    readonly n: number;
    readonly failed?: boolean;
  }
  /** There is room for the parts up to `n`. */
  | { readonly kind: "forward-more"; readonly id: string; readonly n: number }
  /** Nobody waits for the response any more. */
  | { readonly kind: "forward-gone"; readonly id: string }
  /** These are waited for, with room up to so many parts of each. Messages may have got lost. */
  | { readonly kind: "forward-check"; readonly room: Readonly<Record<string, number>> }
  /** Of these nothing is known. */
  | { readonly kind: "forward-unknown"; readonly ids: readonly string[] };

/** A request on its way to another node, as the node that got it has understood it. */
export interface ForwardedRequest {
  readonly verb: "POST" | "GET" | "DELETE";
  readonly url: string;
  /** Headers and principal, sealed: they may hold what nobody else may see. */
  readonly sealed: string;
  /** The body: JSON that has been checked. */
  readonly body?: string;
  /** Whether the client takes JSON. */
  readonly json: boolean;
  /** Whether the client takes a stream. */
  readonly sse: boolean;
}

/** Anything that nodes tell each other. */
export type NodeMessage = BusMessage | ForwardMessage;
