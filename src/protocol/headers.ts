/**
 * Checks the headers that repeat parts of a 2026 request's body, so that intermediaries can route
 * by them (2026-07-28, Streamable HTTP, Request Metadata).
 *
 * @module
 */
import { fromBase64 } from "../internal/base64.ts";
import { clip } from "../internal/quote.ts";
import { isObject, type JsonObject } from "./jsonrpc.ts";
import { nameParam } from "./methods.ts";

/** Lists header names, in lower case: the form in which hosts keep them and find them fastest. */
export const HeaderName = {
  Accept: "accept",
  Authorization: "authorization",
  ContentLength: "content-length",
  ContentType: "content-type",
  Host: "host",
  Origin: "origin",
  SessionId: "mcp-session-id",
  ProtocolVersion: "mcp-protocol-version",
  LastEventId: "last-event-id",
  Method: "mcp-method",
  Name: "mcp-name",
} as const;

/** A tool argument that is repeated in a header. */
export interface HeaderParam {
  /** The part of the header name after `Mcp-Param-`. */
  readonly header: string;
  /** Locates the argument: the property names from the outermost object inwards. */
  readonly path: readonly string[];
  /** The JSON type of the argument. */
  readonly type: "string" | "integer" | "boolean";
}

const PREFIX = "=?base64?";
const SUFFIX = "?=";
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const DECIMAL = /^-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?$/i;
const VISIBLE = /^[\t\x20-\x7e]*$/;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Decodes a header value, which may be Base64 in `=?base64?…?=`. Returns `undefined` for a value
 * that can't be decoded.
 */
export function decodeHeader(value: string): string | undefined {
  if (!VISIBLE.test(value)) return undefined;
  if (!value.startsWith(PREFIX) || !value.endsWith(SUFFIX)) return value;
  const base64 = value.slice(PREFIX.length, -SUFFIX.length);
  const bytes = BASE64.test(base64) ? fromBase64(base64) : undefined;
  if (bytes === undefined) return undefined;
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Checks the `Mcp-Method` and `Mcp-Name` headers of a request.
 *
 * @returns A message that says what to send, or `undefined` when the headers match the body
 */
export function checkStandardHeaders(
  headers: Pick<Headers, "get">,
  method: string,
  params: JsonObject,
): string | undefined {
  if (headers.get(HeaderName.Method) !== method) {
    return `Send the method as the Mcp-Method header: ${clip(method, 100)}`;
  }
  const key = nameParam(method);
  const name = key === undefined ? undefined : params[key];
  if (typeof name !== "string") return undefined;
  const header = headers.get(HeaderName.Name);
  if (header !== null && decodeHeader(header) === name) return undefined;
  return `Send params.${key} as the Mcp-Name header`;
}

/**
 * Checks the `Mcp-Param-*` headers of a tool call.
 *
 * @param args The arguments of the call
 * @param params The arguments that headers repeat
 * @returns A message that says what to send, or `undefined` when the headers match the arguments
 */
export function checkParamHeaders(
  headers: Pick<Headers, "get">,
  args: unknown,
  params: readonly HeaderParam[],
): string | undefined {
  for (const { header, path, type } of params) {
    const name = `Mcp-Param-${header}`;
    const sent = headers.get(name);
    const value = argumentAt(args, path);
    if (value === undefined || value === null) {
      if (sent !== null) return `Leave out the ${name} header when its argument is missing`;
      continue;
    }
    const decoded = sent === null ? undefined : decodeHeader(sent);
    if (decoded === undefined || !isSame(decoded, value, type)) {
      return `Send the argument ${path.join(".")} as the ${name} header`;
    }
  }
  return undefined;
}

/** Returns the argument at a path of property names, or `undefined` when there is none. */
export function argumentAt(args: unknown, path: readonly string[]): unknown {
  let value: unknown = args;
  for (const key of path) {
    if (!isObject(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

function isSame(text: string, value: unknown, type: HeaderParam["type"]): boolean {
  if (type === "integer" && typeof value === "number") {
    return DECIMAL.test(text) && Number(text) === value;
  }
  // A header can't express any other value, and `String()` may throw for one.
  const isPrimitive = typeof value === "string" || typeof value === "number" ||
    typeof value === "boolean";
  return isPrimitive && text === String(value);
}
