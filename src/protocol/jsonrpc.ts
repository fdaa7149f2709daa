/**
 * JSON-RPC 2.0 messages as MCP uses them, and the check that a parsed value is one.
 *
 * @module
 */

/** Any JSON object. */
export type JsonObject = { readonly [key: string]: unknown };

/** The id of a request: a string or an integer. `1` and `"1"` are different ids. */
export type RequestId = string | number;

/** A call that expects an answer. */
export interface JsonRpcRequest {
  /** The version of JSON-RPC. */
  readonly jsonrpc: "2.0";
  /** The request's id. */
  readonly id: RequestId;
  /** What is called. */
  readonly method: string;
  /** What it is called with. */
  readonly params?: JsonObject;
}

/** A message that expects no answer. */
export interface JsonRpcNotification {
  /** The version of JSON-RPC. */
  readonly jsonrpc: "2.0";
  /** What is called. */
  readonly method: string;
  /** What it is called with. */
  readonly params?: JsonObject;
}

/** The error of a failed request. */
export interface JsonRpcError {
  /** What kind of error it is. */
  readonly code: number;
  /** What went wrong, in a sentence. */
  readonly message: string;
  /** What else there is to say. */
  readonly data?: unknown;
}

/** The answer to a request: exactly one of `result` and `error`. */
export interface JsonRpcResponse {
  /** The version of JSON-RPC. */
  readonly jsonrpc: "2.0";
  /** The request's id; `null` where it couldn't be told. */
  readonly id: RequestId | null;
  /** What it came to. */
  readonly result?: JsonObject;
  /** Why it failed. */
  readonly error?: JsonRpcError;
}

/** What a message is, with the message in its own type. */
export type Classified =
  | { readonly kind: "request"; readonly message: JsonRpcRequest }
  | { readonly kind: "notification"; readonly message: JsonRpcNotification }
  | { readonly kind: "response"; readonly message: JsonRpcResponse };

/** Whether a value is a JSON object: neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a value can be the id of a request: any string, or an integer that loses no digit. */
export function isRequestId(value: unknown): value is RequestId {
  return typeof value === "string" || Number.isSafeInteger(value);
}

/**
 * What kind of JSON-RPC message a value is, or `undefined` when it is none. Keys are compared
 * case-sensitively; `params`, where present, is an object, as MCP has it.
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
