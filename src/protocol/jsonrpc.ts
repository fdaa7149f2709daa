/**
 * Defines JSON-RPC 2.0 messages as MCP uses them, and checks whether a parsed value is one.
 *
 * @module
 */

/** Any JSON object. */
export type JsonObject = { readonly [key: string]: unknown };

/** Identifies a request: a string or an integer. `1` and `"1"` are different ids. */
export type RequestId = string | number;

/** A call that expects a response. */
export interface JsonRpcRequest {
  /** The version of JSON-RPC. */
  readonly jsonrpc: "2.0";
  /** Identifies the request. */
  readonly id: RequestId;
  /** The method. */
  readonly method: string;
  /** The parameters. */
  readonly params?: JsonObject;
}

/** A message that expects no response. */
export interface JsonRpcNotification {
  /** The version of JSON-RPC. */
  readonly jsonrpc: "2.0";
  /** The method. */
  readonly method: string;
  /** The parameters. */
  readonly params?: JsonObject;
}

/** The error of a failed request. */
export interface JsonRpcError {
  /** The error code. */
  readonly code: number;
  /** Says in one sentence what went wrong. */
  readonly message: string;
  /** Additional data. */
  readonly data?: unknown;
}

/** The response to a request: exactly one of `result` and `error` is present. */
export interface JsonRpcResponse {
  /** The version of JSON-RPC. */
  readonly jsonrpc: "2.0";
  /** Repeats the request's id; `null` when the id is unknown. */
  readonly id: RequestId | null;
  /** The result. */
  readonly result?: JsonObject;
  /** The error. */
  readonly error?: JsonRpcError;
}

/** Pairs a message with its kind. */
export type Classified =
  | { readonly kind: "request"; readonly message: JsonRpcRequest }
  | { readonly kind: "notification"; readonly message: JsonRpcNotification }
  | { readonly kind: "response"; readonly message: JsonRpcResponse };

/** Tells whether a value is a JSON object: neither `null` nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Tells whether a value can be a request id: a string, or an integer in the safe range. */
export function isRequestId(value: unknown): value is RequestId {
  return typeof value === "string" || Number.isSafeInteger(value);
}

/**
 * Returns the kind of a JSON-RPC message, or `undefined` for a value that is not a valid message. Keys
 * are compared case-sensitively; `params`, if present, must be an object, as MCP requires.
 */
export function messageKind(value: unknown): Classified["kind"] | undefined {
  if (!isObject(value) || value.jsonrpc !== "2.0") return undefined;
  const { id, method } = value;
  if (method === undefined) return isResponse(value) ? "response" : undefined;
  if (typeof method !== "string" || method === "") return undefined;
  if (value.params !== undefined && !isObject(value.params)) return undefined;
  if (value.result !== undefined || value.error !== undefined) return undefined;
  if (id === undefined) return "notification";
  return isRequestId(id) ? "request" : undefined;
}

function isResponse(value: JsonObject): boolean {
  const { id, result, error } = value;
  if (error === undefined) return isObject(result) && isRequestId(id);
  if (result !== undefined || !isObject(error)) return false;
  if (!Number.isInteger(error.code) || typeof error.message !== "string") return false;
  return id === null || isRequestId(id);
}

/** Finds the id at the beginning of a response, where those of this package have it. */
const RESPONSE_ID = /^\{"jsonrpc":"2\.0","id":(-?\d+|"(?:[^"\\]|\\.)*"),"(?:result|error)":/;

/**
 * Returns the id of the request that a message answers, which this package has written: `null` if the
 * request's id could not be read, `undefined` for a message that is not a response.
 */
export function responseId(text: string): RequestId | null | undefined {
  const [, written] = RESPONSE_ID.exec(text) ?? [];
  if (written !== undefined) return JSON.parse(written);
  const message: unknown = JSON.parse(text);
  if (!isObject(message) || message.method !== undefined) return undefined;
  return isRequestId(message.id) ? message.id : null;
}
