/**
 * Creates the errors for unknown tools and methods. Those that are hidden from a principal get the
 * same errors, so that a client can't tell the two cases apart.
 *
 * @module
 */
import { quote } from "../internal/quote.ts";
import { ErrorCode, McpError } from "./errors.ts";

/** Creates the error for an unknown method. */
export function unknownMethod(method: string): McpError {
  return new McpError(ErrorCode.MethodNotFound, `Unknown method: ${quote(method)}`);
}

/** Creates the error for a call of an unknown tool, or for a name that is not a string. */
export function unknownTool(name: unknown): McpError {
  const message = typeof name === "string"
    ? `Unknown tool: ${quote(name)}`
    : 'Give a tool\'s name as "name"';
  return new McpError(ErrorCode.InvalidParams, message);
}
