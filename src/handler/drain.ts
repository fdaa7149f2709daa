/**
 * Draining: the endpoint takes no new sessions, on any node, until it is told otherwise.
 *
 * @module
 */
import { ErrorCode } from "../protocol/errors.ts";
import type { RequestId } from "../protocol/jsonrpc.ts";
import { refusal } from "../http/reply.ts";
import type { Endpoint } from "./endpoint.ts";
import type { McpHandler } from "./types.ts";

/** The name of the document that says whether the endpoint drains. */
const DRAIN = "mooring/drain";

/** Goes by what any node is told of draining. */
export function drainOf(endpoint: Endpoint): McpHandler["drain"] {
  const shared = endpoint.shares.share(DRAIN, ({ draining }) => {
    endpoint.draining = draining === true;
  });
  return async (draining = true) => {
    if (typeof draining !== "boolean") {
      throw new TypeError(`Give true or false to drain: ${typeof draining}`);
    }
    await shared.put({ draining });
  };
}

/** Refuses a new session. */
export function drained(endpoint: Endpoint, id: RequestId | null): Response {
  return refusal({
    status: 503,
    code: ErrorCode.Refused,
    message: "The server takes no new sessions: try again later",
    reason: "draining",
    id,
    headers: { "retry-after": "30" },
  }, endpoint.report);
}
