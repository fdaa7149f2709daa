/**
 * Defines the errors that go on the wire.
 *
 * @module
 */
import type { JsonRpcError, RequestId } from "./jsonrpc.ts";

/** The error codes of JSON-RPC and MCP by name. */
export const ErrorCode = {
  /** Reports a body that is not JSON (JSON-RPC 2.0 §5.1). */
  ParseError: -32700,
  /** Reports JSON that is not a valid message (JSON-RPC 2.0 §5.1). */
  InvalidRequest: -32600,
  /** Reports an unknown method (JSON-RPC 2.0 §5.1). */
  MethodNotFound: -32601,
  /** Reports parameters that don't fit the method (JSON-RPC 2.0 §5.1). */
  InvalidParams: -32602,
  /** Reports a failure that the caller did not cause (JSON-RPC 2.0 §5.1). */
  InternalError: -32603,
  /**
   * Reports a refusal outside the protocol: a foreign origin, a missing header, a full server (until
   * 2025-11-25; later versions use `InternalError`).
   */
  Refused: -32000,
  /**
   * Reports an unknown session, invalid credentials, or a timeout (until 2025-11-25; later versions
   * use `InternalError`).
   */
  NotAvailable: -32001,
  /** Reports an unknown resource (until 2025-11-25; later versions use `InvalidParams`). */
  ResourceNotFound: -32002,
  /** Reports that the user must visit a URL first (2025-11-25 only). */
  UrlElicitationRequired: -32042,
  /** Reports headers that differ from the body (2026-07-28, Streamable HTTP). */
  HeaderMismatch: -32020,
  /** Reports a client without a capability that the request needs (2026-07-28, Basic). */
  MissingClientCapability: -32021,
  /** Reports a protocol version that the server doesn't support (2026-07-28, Versioning). */
  UnsupportedVersion: -32022,
} as const;

/** One of the codes of {@linkcode ErrorCode}. */
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/**
 * Represents an error whose code, message and data are sent to the client unchanged. Throw it in a
 * tool, a resource or a prompt to fail the request with a JSON-RPC error.
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
  /** Additional data for the client: any JSON value, or `undefined`. */
  readonly data: unknown;

  /**
   * Creates an error for the client.
   *
   * @param code One of {@linkcode ErrorCode}, or an application's own integer outside -32768 … -32000
   * @param message A sentence for the client that says what to do differently
   * @param data Additional data for the client: any JSON value
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
 * Reports that a question to the client (`ctx.elicit`, `ctx.sample`, `ctx.roots`) has no usable
 * answer: the client responded with an error, whose `code`, `message` and `data` it has, with an
 * answer that doesn't fit the question (-32602), or not in time (-32001); it has no stream on which
 * it can be asked (-32000), or lacks the capability ({@linkcode MissingCapabilityError}).
 *
 * Catch it to continue without the answer. A tool that doesn't catch it ends with an `isError` result;
 * any other 2025 request with -32603. So the error's code is never the code of the request, except
 * that of a {@linkcode MissingCapabilityError} in 2026-07-28.
 */
export class QuestionError extends McpError {
  /**
   * Creates the error.
   *
   * @param code The JSON-RPC error code
   * @param message Why there is no answer
   * @param data Additional data: any JSON value
   * @throws {TypeError} If the code is not an integer
   */
  constructor(code: number, message: string, data?: unknown, options?: ErrorOptions) {
    super(code, message, data, options);
    this.name = "QuestionError";
  }
}

/**
 * Reports that a handler asked the client for something that the client has not declared it can do.
 * Catch it to continue without the answer. A 2026 request that isn't served without the capability
 * ends with this error (2026-07-28, Basic); for 2025 requests see {@linkcode QuestionError}.
 */
export class MissingCapabilityError extends QuestionError {
  /** The name of the missing capability, such as `"sampling"` or `"elicitation.url"`. */
  readonly capability: string;

  /**
   * Creates the error.
   *
   * @param capability The missing capability, levels separated by a dot
   */
  constructor(capability: string) {
    // Only the first dot counts: the identifiers of extensions have dots of their own
    const [first = capability, ...rest] = capability.split(".");
    const requiredCapabilities = { [first]: rest.length === 0 ? {} : { [rest.join(".")]: {} } };
    super(
      ErrorCode.MissingClientCapability,
      // A model may read it as well, which can't change its client
      `The client lacks the capability "${capability}", which this needs`,
      { requiredCapabilities },
    );
    this.name = "MissingCapabilityError";
    this.capability = capability;
  }
}

/**
 * Refuses a call of a principal that lacks scopes. Where the request came over HTTP, the response is a
 * 403 with an `insufficient_scope` challenge (2025-11-25 and 2026-07-28, Runtime Insufficient Scope
 * Errors); in a batch, or once the response is a stream, it is an ordinary error.
 */
export class MissingScopesError extends McpError {
  /** The scopes that the call needs. */
  readonly scopes: readonly string[];

  /**
   * Creates the error.
   *
   * @param scopes The scopes that the call needs, including those that the principal has
   */
  constructor(scopes: readonly string[]) {
    const message = "Send a token with the scopes that this tool needs";
    super(ErrorCode.NotAvailable, message, { requiredScopes: [...scopes] });
    this.name = "MissingScopesError";
    this.scopes = scopes;
  }
}

/** What a client does that has no stream on which it can be asked. */
export const NO_STREAM = "Accept text/event-stream or open a GET stream to be asked something";

/** Returns the wire form of an error. */
export function errorObject(code: number, message: string, data?: unknown): JsonRpcError {
  return data === undefined ? { code, message } : { code, message, data };
}

/** Returns an error response as JSON text. */
export function errorText(id: RequestId | null, error: JsonRpcError): string {
  return JSON.stringify({ jsonrpc: "2.0", id, error });
}

/**
 * Returns the code that replaces an error code in the 2026 era: codes of earlier versions become
 * their successors, and codes without a meaning between -32000 and -32099, which JSON-RPC leaves to
 * servers, become `InternalError`: new servers should not use the first twenty, and must not use the
 * others (2026-07-28, Basic, Error Codes). Other codes stay as they are.
 */
export function modernCode(code: number): number {
  if (code === ErrorCode.ResourceNotFound) return ErrorCode.InvalidParams;
  const defined = code <= ErrorCode.HeaderMismatch && code >= ErrorCode.UnsupportedVersion;
  const reserved = code <= ErrorCode.Refused && code >= -32099;
  return reserved && !defined ? ErrorCode.InternalError : code;
}
