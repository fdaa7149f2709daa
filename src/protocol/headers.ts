/**
 * The headers that repeat parts of a 2026 request's body, so that what stands between client and
 * server can route by them (2026-07-28, Streamable HTTP, Request Metadata).
 *
 * @module
 */
import { clip } from "../internal/quote.ts";
import { isObject, type JsonObject } from "./jsonrpc.ts";
import { nameParam } from "./methods.ts";

/**
 * Names of headers. Case means nothing in them, but Deno finds a common one sooner under another
 * spelling than its own lower case, under which it goes through all names of the request again: four
 * reads of these cost 4 % of a whole call less.
 */
export const HeaderName = {
  Accept: "Accept",
  Authorization: "Authorization",
  ContentType: "Content-Type",
  Host: "Host",
  SessionId: "mcp-session-id",
  ProtocolVersion: "mcp-protocol-version",
  LastEventId: "last-event-id",
  Method: "mcp-method",
  Name: "mcp-name",
} as const;

/** An argument of a tool that is repeated in a header. */
export interface HeaderParam {
  /** What follows `Mcp-Param-` in the header's name. */
  readonly header: string;
  /** Where the argument is: the property's name, after those of the objects around it. */
  readonly path: readonly string[];
  /** What it is. */
  readonly type: "string" | "integer" | "boolean";
}

const PREFIX = "=?base64?";
const SUFFIX = "?=";
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const DECIMAL = /^-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?$/i;
const VISIBLE = /^[\t\x20-\x7e]*$/;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/** The value that a header stands for, or `undefined` when it stands for none. */
export function decodeHeader(value: string): string | undefined {
  if (!VISIBLE.test(value)) return undefined;
  if (!value.startsWith(PREFIX) || !value.endsWith(SUFFIX)) return value;
  const base64 = value.slice(PREFIX.length, -SUFFIX.length);
  if (!BASE64.test(base64)) return undefined;
  try {
    return utf8.decode(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)));
  } catch {
    return undefined;
  }
}

/** What is wrong with the standard headers of a request, or `undefined`. */
export function checkStandardHeaders(
  headers: Headers,
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

/** What is wrong with the headers that repeat a tool's arguments, or `undefined`. */
export function checkParamHeaders(
  headers: Headers,
  args: unknown,
  params: readonly HeaderParam[],
): string | undefined {
  for (const { header, path, type } of params) {
    const name = `Mcp-Param-${header}`;
    const sent = headers.get(name);
    const value = argumentAt(args, path);
    if (value === undefined || value === null) {
      if (sent !== null) return `Leave the ${name} header out: its argument is missing`;
      continue;
    }
    const decoded = sent === null ? undefined : decodeHeader(sent);
    if (decoded === undefined || !isSame(decoded, value, type)) {
      return `Send the argument ${path.join(".")} as the ${name} header`;
    }
  }
  return undefined;
}

/** The argument at a path of property names; `undefined` where there is none. */
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
  // Nothing else can be said in a header, and it need not even have a text.
  const sayable = typeof value === "string" || typeof value === "number" ||
    typeof value === "boolean";
  return sayable && text === String(value);
}
