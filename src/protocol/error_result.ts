/**
 * Creates the result of a tool that failed, for the model to read.
 *
 * @module
 */
import type { JsonObject } from "./jsonrpc.ts";

/** Creates the result of a tool that failed (2025-11-25, Tools, Error Handling). */
export function errorResult(text: string): JsonObject {
  return { content: [{ type: "text", text }], isError: true };
}
