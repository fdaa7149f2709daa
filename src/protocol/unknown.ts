/**
 * What is answered to a request for something that isn't there, or that isn't there for its principal:
 * nobody can tell the one from the other.
 *
 * @module
 */
import { quote } from "../internal/quote.ts";
import { ErrorCode, McpError } from "./errors.ts";

/** What a method that nobody serves is answered with. */
export function unknownMethod(method: string): McpError {
  return new McpError(ErrorCode.MethodNotFound, `Unknown method: ${quote(method)}`);
}

/** What the call of a tool that isn't there is answered with. */
export function unknownTool(name: unknown): McpError {
  const message = typeof name === "string"
    ? `Unknown tool: ${quote(name)}`
    : 'Give a tool\'s name as "name"';
  return new McpError(ErrorCode.InvalidParams, message);
}
