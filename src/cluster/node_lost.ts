/**
 * Words the error for work whose node died before it had a result.
 *
 * @module
 */
import { ErrorCode, errorObject } from "../protocol/errors.ts";
import type { JsonRpcError } from "../protocol/jsonrpc.ts";

/**
 * The error for a request or a task whose node died, or could not reach the store for so long that the
 * others count it as dead. Nobody knows how much of it was done. For the 2026 era pass the code through
 * `modernCode`.
 */
export const NODE_LOST: JsonRpcError = errorObject(
  ErrorCode.NotAvailable,
  "The node that ran the request died: the tool may have run, and its result is lost. " +
    "Find out what was done before you call it again",
  { reason: "node-lost", mayHaveRun: true },
);
