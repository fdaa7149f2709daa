/**
 * The errors that go on the wire.
 *
 * @module
 */
import type { JsonRpcError, RequestId } from "./jsonrpc.ts";

/** The codes of JSON-RPC and of MCP, by name. */
export const ErrorCode = {
  /** The body is not JSON (JSON-RPC 2.0 §5.1). */
  ParseError: -32700,
  /** The JSON is not a valid message (JSON-RPC 2.0 §5.1). */
  InvalidRequest: -32600,
  /** Nobody serves the method (JSON-RPC 2.0 §5.1). */
  MethodNotFound: -32601,
  /** The parameters don't fit the method (JSON-RPC 2.0 §5.1). */
  InvalidParams: -32602,
  /** Something failed that is not the caller's fault (JSON-RPC 2.0 §5.1). */
  InternalError: -32603,
  /** Refused before or beside the protocol: an origin, a missing header, a full server. */
  Refused: -32000,
  /** No such session, no valid credentials, or no answer in time. */
  NotAvailable: -32001,
  /** No such resource (until 2025-11-25; later versions use `InvalidParams`). */
  ResourceNotFound: -32002,
  /** The user must visit a URL first (2025-11-25 only). */
  UrlElicitationRequired: -32042,
  /** Headers and body disagree (2026-07-28, Streamable HTTP). */
  HeaderMismatch: -32020,
  /** The client lacks a capability that the request needs (2026-07-28, Basic). */
  MissingClientCapability: -32021,
  /** The server doesn't speak the protocol version (2026-07-28, Versioning). */
  UnsupportedVersion: -32022,
} as const;

/** One of {@linkcode ErrorCode}'s numbers. */
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/**
 * An error whose code, message and data are sent to the client as they are. Thrown by a tool, a
 * resource or a prompt it makes the request fail with a JSON-RPC error.
 *
 * @example
 * ```ts
 * import { ErrorCode, McpError } from "@mooring/mcp";
 *
 * const error = new McpError(ErrorCode.InvalidParams, "Give a date after 1970", { field: "date" });
 * console.assert(error.code === -32602);
 * ```
 */
export class McpError extends Error {
  /** The JSON-RPC error code. */
  readonly code: number;
  /** What else the client is told, if anything: any JSON value. */
  readonly data: unknown;

  /**
   * Makes an error for the client.
   *
   * @param code One of {@linkcode ErrorCode}, or an application's own integer outside -32768 … -32000
   * @param message A sentence for the client: what to do differently
   * @param data What else the client is told: any JSON value
   * @throws {TypeError} If the code is not an integer
   */
  constructor(code: number, message: string, data?: unknown, options?: ErrorOptions) {
    super(message, options);
    if (!Number.isInteger(code)) throw new TypeError(`Give an integer as the error code: ${code}`);
    this.name = "McpError";
    this.code = code;
    this.data = data;
  }
}

/**
 * Thrown when a handler asks the client for something that the client never said it can do.
 * Catch it to go on without the answer.
 */
export class MissingCapabilityError extends McpError {
  /** The capability that the client lacks, such as `"sampling"` or `"elicitation.url"`. */
  readonly capability: string;

  /**
   * Makes the error.
   *
   * @param capability The missing capability, levels separated by a dot
   */
  constructor(capability: string) {
    // Only the first dot counts: the identifiers of extensions have dots of their own
    const [first = capability, ...rest] = capability.split(".");
    const requiredCapabilities = { [first]: rest.length === 0 ? {} : { [rest.join(".")]: {} } };
    super(
      ErrorCode.MissingClientCapability,
      `Declare the client capability "${capability}" to use this`,
      { requiredCapabilities },
    );
    this.name = "MissingCapabilityError";
    this.capability = capability;
  }
}

/** The wire form of an error. */
export function errorObject(code: number, message: string, data?: unknown): JsonRpcError {
  return data === undefined ? { code, message } : { code, message, data };
}

/** A response that carries an error, as JSON text. */
export function errorText(id: RequestId | null, error: JsonRpcError): string {
  return JSON.stringify({ jsonrpc: "2.0", id, error });
}

/**
 * The code that stands for an error in the 2026 era, which allows fewer: codes of earlier versions
 * become what replaced them, and reserved ones without a meaning an internal error (2026-07-28,
 * Basic, Error Codes).
 */
export function modernCode(code: number): number {
  if (code === ErrorCode.ResourceNotFound) return ErrorCode.InvalidParams;
  const defined = code <= ErrorCode.HeaderMismatch && code >= ErrorCode.UnsupportedVersion;
  const reserved = code <= ErrorCode.HeaderMismatch && code >= -32099;
  return reserved && !defined ? ErrorCode.InternalError : code;
}
