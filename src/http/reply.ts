/**
 * What a request that is turned away gets: plain JSON that holds a JSON-RPC error.
 *
 * @module
 */
import { textResponse } from "../internal/whole.ts";
import { errorObject, errorText } from "../protocol/errors.ts";
import type { McpEvent, RefusalReason } from "../protocol/events.ts";
import type { RequestId } from "../protocol/jsonrpc.ts";

/** Takes an event for the application's `onEvent`. It never throws. */
export type Report = (event: McpEvent) => void;

/** How a request is turned away. */
export interface RefusalInit {
  /** The HTTP status. */
  readonly status: number;
  /** The JSON-RPC error code. */
  readonly code: number;
  /** What the client is told. */
  readonly message: string;
  /** The true reason, which goes to the operator alone. */
  readonly reason: RefusalReason;
  /**
   * The id of the request that is refused, where it is known.
   *
   * @default {null}
   */
  readonly id?: RequestId | null;
  /** What else the client is told: any JSON value. */
  readonly data?: unknown;
  /** Headers besides the content type and the cache control. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Reports that a request is turned away, and makes its response. */
export function refusal(init: RefusalInit, report: Report): Response {
  const { status, code, message, reason, id = null, data, headers } = init;
  report({ type: "refused", status, reason });
  return textResponse(errorText(id, errorObject(code, message, data)), {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
  });
}

/** A caller's own words as they may stand in a message back to it: never long. */
export function quoted(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`;
}
