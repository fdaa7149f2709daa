/**
 * Says in the words of the conventions what an operation was, and how it ended.
 *
 * @module
 */
import { clip } from "../internal/quote.ts";
import { McpError } from "../protocol/errors.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { methodFacts } from "../protocol/methods.ts";
import { StopError } from "../calls/lifetime/stop.ts";
import { Attribute, CALLER_ERRORS, OTHER, TOOL_ERROR } from "./conventions.ts";

/** The network under a session: TCP (HTTP/1.1, HTTP/2), QUIC (HTTP/3), or the pipes of a program. */
export type NetworkTransport = "tcp" | "quic" | "pipe";

/** What an operation is. No value of it may be one that a client can make up. */
export interface Operation {
  /** The method, or {@linkcode OTHER}. */
  readonly method: string;
  /** The name of the tool. */
  readonly tool?: string | undefined;
  /** The name of the prompt. */
  readonly prompt?: string | undefined;
  /** The protocol version. */
  readonly protocolVersion?: string | undefined;
  /** The network under the session; `undefined` within the process. */
  readonly transport?: NetworkTransport | undefined;
  /** The name of the gateway's upstream, for a request to it. */
  readonly upstream?: string | undefined;
}

/** How an operation ended. Empty if it succeeded. */
export interface Ending {
  /** Why it failed; absent where it is not an error of this side. */
  readonly errorType?: string;
  /** The code of the JSON-RPC error, as a text. */
  readonly statusCode?: string;
  /** The message of the JSON-RPC error. */
  readonly message?: string;
}

/** Which side of an operation is described: every error code counts as an error of a client's span. */
export type SpanSide = "server" | "client";

/** Attributes of a span or a series. */
export type Attributes = Record<string, string>;

/** The most characters of a message in the status of a span. */
const MOST_MESSAGE = 256;
/** Names methods of extensions, which {@linkcode methodFacts} leaves out. */
const EXTENSION_METHODS: ReadonlySet<string> = new Set([
  "tasks/get",
  "tasks/update",
  "tasks/cancel",
  "tasks/list",
  "tasks/result",
]);

/** An operation that succeeded. */
export const SUCCESS: Ending = Object.freeze({});

/** Tells whether a method is one of MCP or of an extension that Mooring has. */
export function isKnownMethod(method: string): boolean {
  return methodFacts(method) !== undefined || EXTENSION_METHODS.has(method);
}

/** Returns the attributes that an operation has in spans and metrics alike. */
export function operationAttributes(operation: Operation, ending: Ending = SUCCESS): Attributes {
  const { method, tool, prompt, protocolVersion, transport, upstream } = operation;
  const attributes: Attributes = { [Attribute.Method]: method };
  if (tool !== undefined) attributes[Attribute.Tool] = tool;
  if (method === "tools/call") attributes[Attribute.Operation] = "execute_tool";
  if (prompt !== undefined) attributes[Attribute.Prompt] = prompt;
  if (protocolVersion !== undefined) attributes[Attribute.ProtocolVersion] = protocolVersion;
  if (transport !== undefined) {
    attributes[Attribute.Transport] = transport;
    if (transport !== "pipe") attributes[Attribute.Protocol] = "http";
  }
  if (upstream !== undefined) attributes[Attribute.Upstream] = upstream;
  return Object.assign(attributes, endingAttributes(ending));
}

/** Returns a text that is the same for operations with the same attributes, and for no others. */
export function operationKey(operation: Operation, { errorType, statusCode }: Ending): string {
  const { method, tool, prompt, protocolVersion, transport, upstream } = operation;
  // A name may have any other character
  return `${method}\0${tool}\0${prompt}\0${upstream}\0${protocolVersion}\0${transport}\0` +
    `${errorType}\0${statusCode}`;
}

/** Returns the attributes for how an operation ended. */
export function endingAttributes({ errorType, statusCode }: Ending): Attributes {
  return {
    ...statusCode !== undefined && { [Attribute.StatusCode]: statusCode },
    ...errorType !== undefined && { [Attribute.ErrorType]: errorType },
  };
}

/** Says how an operation ended that has a result. */
export function endingOfResult({ method }: Operation, { isError }: JsonObject): Ending {
  return isError === true && method === "tools/call" ? { errorType: TOOL_ERROR } : SUCCESS;
}

/** Says how an operation ended that has a JSON-RPC error. */
export function endingOfCode(code: string, side: SpanSide, message?: string): Ending {
  const isError = side === "client" || !CALLER_ERRORS.has(Number(code));
  return {
    statusCode: code,
    ...isError && { errorType: code },
    ...message !== undefined && { message: clip(message, MOST_MESSAGE) },
  };
}

/** Says how an operation ended that threw. */
export function endingOfError(error: unknown, side: SpanSide): Ending {
  if (error instanceof McpError) return endingOfCode(String(error.code), side, error.message);
  if (error instanceof StopError) {
    return error.kind === "input-required" ? SUCCESS : { errorType: error.kind };
  }
  // What a client gets for any other error; its own message may hold a secret
  if (side === "server") return endingOfCode("-32603", side, "Internal error");
  return { errorType: kindOf(error) };
}

/** Returns the kind of an error of the gateway, such as "timeout". */
function kindOf(error: unknown): string {
  const { kind } = (error ?? {}) as { readonly kind?: unknown };
  return typeof kind === "string" && /^[a-z-]{1,40}$/.test(kind) ? kind : OTHER;
}
