/**
 * Creates the errors for unknown tools, prompts, resources and methods. Those that are hidden from a
 * principal get the same errors, so that a client can't tell the two cases apart.
 *
 * @module
 */
import { quote } from "../internal/quote.ts";
import { ErrorCode, McpError, modernCode } from "./errors.ts";
import { isModern, type ProtocolVersion } from "./versions.ts";

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

/** Creates the error for an unknown prompt, or for a name that is not a string. */
export function unknownPrompt(name: unknown): McpError {
  const message = typeof name === "string"
    ? `Unknown prompt: ${quote(name)}`
    : 'Give a prompt\'s name as "name"';
  return new McpError(ErrorCode.InvalidParams, message);
}

/**
 * Creates the error for an unknown resource, with the code of the client's era, or for a URI that is
 * not a string.
 */
export function unknownResource(version: ProtocolVersion, uri: unknown): McpError {
  if (typeof uri !== "string") {
    return new McpError(ErrorCode.InvalidParams, 'Give a resource\'s URI as "uri"');
  }
  const code = ErrorCode.ResourceNotFound;
  return new McpError(isModern(version) ? modernCode(code) : code, "Resource not found", { uri });
}
