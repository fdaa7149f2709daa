/**
 * Makes the HTTP request of a call: its URL, headers and body. Only the path and the query of the URL
 * depend on arguments, and neither leads out of the operation's own path.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { fromBase64, isObject, isWithinBytes, quote } from "../../kit.ts";
import {
  type ApiParameter,
  ArgumentError,
  cookieText,
  formPairs,
  formText,
  headerText,
  pathText,
  queryText,
} from "./arguments.ts";
import type { ApiBody, ApiOperation } from "./operations.ts";

/** A request before it has credentials. */
export interface ApiRequest {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly cookies: readonly string[];
  readonly body: string | Uint8Array<ArrayBuffer> | FormData | undefined;
}

/** The most characters of a URL. */
const MOST_URL = 16_384;

/**
 * Makes the request of a call.
 *
 * @param args The arguments, which fit the operation's schema, or are judged by the API
 * @param mostBytes The most bytes of its body
 * @throws {ArgumentError} If an argument can't be written into a request
 */
export function requestOf(
  operation: ApiOperation,
  args: JsonObject,
  mostBytes: number,
): ApiRequest {
  const { method, base, body, accept } = operation;
  const query: string[] = [];
  const cookies: string[] = [];
  const headers: Record<string, string> = { accept };
  for (const parameter of operation.parameters) {
    const value = Object.hasOwn(args, parameter.argument) ? args[parameter.argument] : undefined;
    if (parameter.in === "path" || value === undefined || value === null) continue;
    if (parameter.in === "query") query.push(queryText(parameter, value));
    else if (parameter.in === "cookie") cookies.push(cookieText(parameter, value));
    else headers[parameter.name.toLowerCase()] = headerText(parameter, value);
  }
  const url = urlOf(base, pathOf(operation, args), query.filter((part) => part !== "").join("&"));
  const given = body !== undefined && Object.hasOwn(args, body.argument)
    ? args[body.argument]
    : undefined;
  const written = body === undefined || given === undefined
    ? undefined
    : bodyOf(body, given, mostBytes);
  // The type of a form has a boundary, which is known when it is sent.
  if (body !== undefined && written !== undefined && body.kind !== "multipart") {
    headers["content-type"] = body.mediaType;
  }
  return { url, method, headers, cookies, body: written };
}

function pathOf({ path, parameters }: ApiOperation, args: JsonObject): string {
  return path.replace(/\{([^{}]*)\}/g, (_whole, name: string) => {
    const parameter = parameters.find((each) => each.in === "path" && each.name === name);
    // The converter has found a parameter for each.
    const { argument } = parameter as ApiParameter;
    const value = Object.hasOwn(args, argument) ? args[argument] : undefined;
    if (value === undefined) throw new ArgumentError(`Give the argument ${quote(argument)}`);
    return pathText(parameter as ApiParameter, value);
  });
}

/** Checks that a URL parser finds the same path in a URL: it removes the parts `.` and `..`. */
function urlOf(base: string, path: string, query: string): string {
  const text = query === "" ? `${base}${path}` : `${base}${path}?${query}`;
  if (text.length > MOST_URL) throw new ArgumentError("Give shorter values: the URL is too long");
  const dots = path.split("/").some((part) => /^(?:\.|%2e){1,2}$/i.test(part));
  const url = dots ? null : URL.parse(text);
  if (url === null || url.hash !== "" || !url.href.startsWith(`${new URL(base).origin}/`)) {
    throw new ArgumentError('Give values that can be part of a path, not "." or ".."');
  }
  return url.href;
}

function bodyOf(body: ApiBody, value: unknown, mostBytes: number): NonNullable<ApiRequest["body"]> {
  const written = writeBody(body, value);
  const isSmall = typeof written === "string"
    ? isWithinBytes(written, mostBytes)
    : written instanceof FormData
    ? formBytes(written) <= mostBytes
    : written.byteLength <= mostBytes;
  if (isSmall) return written;
  throw new ArgumentError(
    `Give a smaller ${quote(body.argument)}: at most ${mostBytes} bytes are sent`,
  );
}

function writeBody(body: ApiBody, value: unknown): NonNullable<ApiRequest["body"]> {
  const { kind, argument } = body;
  if (kind === "json") return JSON.stringify(value);
  if (kind === "text") return typeof value === "string" ? value : JSON.stringify(value);
  if (kind === "bytes") return bytesOf(value, argument);
  if (!isObject(value)) throw new ArgumentError(`Give an object as ${quote(argument)}`);
  const members = Object.entries(value).filter(([, each]) => each !== undefined && each !== null);
  if (kind === "form") {
    return members.map(([name, each]) => {
      // What most APIs understand where the document doesn't say.
      const byDefault = isObject(each) || (Array.isArray(each) && each.some(isObject))
        ? { style: "deepObject", explode: true }
        : { style: "form", explode: true };
      return formText(name, each, body.encoding.get(name) ?? byDefault);
    }).filter((part) => part !== "").join("&");
  }
  const form = new FormData();
  for (const [name, each] of members) addParts(form, name, each, body);
  return form;
}

/** Adds a member to a multipart body: in the style of its encoding, or as one part for each item. */
function addParts(form: FormData, name: string, value: unknown, body: ApiBody): void {
  const style = body.files.has(name) ? undefined : body.encoding.get(name);
  if (style !== undefined) {
    for (const [key, text] of formPairs(name, value, style)) form.append(key, text);
    return;
  }
  const type = body.types.get(name);
  for (const item of Array.isArray(value) ? value : [value]) {
    if (body.files.has(name)) {
      form.append(name, new Blob([bytesOf(item, name)], type === undefined ? {} : { type }), name);
    } else if (typeof item === "object") {
      const json = JSON.stringify(item);
      form.append(name, new Blob([json], { type: type ?? "application/json" }));
    } else form.append(name, String(item));
  }
}

function bytesOf(value: unknown, name: string): Uint8Array<ArrayBuffer> {
  const bytes = typeof value === "string" ? fromBase64(value) : undefined;
  if (bytes !== undefined) return bytes;
  throw new ArgumentError(`Give the bytes of ${quote(name)} in Base64`);
}

function formBytes(form: FormData): number {
  let bytes = 0;
  for (const [name, value] of form) {
    bytes += name.length + (typeof value === "string" ? value.length : value.size);
  }
  return bytes;
}
