/**
 * Defines what clients read when the node that worked for them is gone.
 *
 * @module
 */
import { ErrorCode, errorObject } from "./errors.ts";
import type { JsonRpcError } from "./jsonrpc.ts";

/**
 * The error for a request or a task whose node died, or could not reach the store for so long that the
 * others count it as dead. Nobody knows how much of it was done. For the 2026 era pass the code through
 * `modernCode`.
 */
export const NODE_LOST: JsonRpcError = errorObject(
  ErrorCode.NotAvailable,
  "The node that ran this stopped responding: the tool may have run, and its result is lost. " +
    "Find out what it has done before you call it again",
  { reason: "node-lost", mayHaveRun: true },
);
