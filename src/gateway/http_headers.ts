/**
 * The headers of a request to an upstream over HTTP.
 *
 * @module
 */
import { envelopeVersion } from "../protocol/envelope.ts";
import { argumentAt, HeaderName, type HeaderParam } from "../protocol/headers.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import type { Message } from "./channel.ts";

/** Headers by their names, in lower case. */
export type HeaderFields = Readonly<Record<string, string>>;

/** Which parameter `Mcp-Name` repeats (2026-07-28, Standard Request Headers; Tasks, Routing Headers). */
const NAMED: Readonly<Record<string, string>> = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri",
  "tasks/get": "taskId",
  "tasks/update": "taskId",
  "tasks/cancel": "taskId",
};

const PLAIN = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

/** What a request of the 2026 era repeats of its body in headers; nothing for any other message. */
export function mirroredHeaders(
  message: Message,
  paramsOf: (tool: string) => readonly HeaderParam[] | undefined,
): HeaderFields | undefined {
  if (!("method" in message)) return undefined;
  const { method, params = {} } = message;
  const version = envelopeVersion(params);
  if (typeof version !== "string") return undefined;
  const headers: Record<string, string> = {
    [HeaderName.ProtocolVersion]: version,
    [HeaderName.Method]: encodeHeader(method),
  };
  const key = Object.hasOwn(NAMED, method) ? NAMED[method] : undefined;
  const name = key === undefined ? undefined : params[key];
  if (typeof name !== "string") return headers;
  headers[HeaderName.Name] = encodeHeader(name);
  if (method !== "tools/call") return headers;
  for (const { header, path } of paramsOf(name) ?? []) {
    const value = argumentAt(params.arguments, path);
    // `null` is sent as nothing, and what isn't of the marked type is for the server to refuse.
    if (value === undefined || value === null || typeof value === "object") continue;
    headers[`mcp-param-${header.toLowerCase()}`] = encodeHeader(String(value));
  }
  return headers;
}

/** A text as a header can carry it (2026-07-28, Value Encoding). */
export function encodeHeader(text: string): string {
  if (PLAIN.test(text) && !(text.startsWith("=?base64?") && text.endsWith("?="))) return text;
  const bytes = new TextEncoder().encode(text);
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return `=?base64?${btoa(binary)}?=`;
}

/** How many tools' marks are remembered. */
const MOST_TOOLS = 10_000;

/** Remembers which arguments an upstream wants repeated in headers, from the tools that it lists. */
export class HeaderParams {
  readonly #tools = new Map<string, readonly HeaderParam[]>();
  readonly #read: (schema: JsonObject) => readonly HeaderParam[];

  /** @param read Reads the marks of a schema, and throws where they break the rules */
  constructor(read: (schema: JsonObject) => readonly HeaderParam[]) {
    this.#read = read;
  }

  /** The marked arguments of a tool. */
  of(tool: string): readonly HeaderParam[] | undefined {
    return this.#tools.get(tool);
  }

  /**
   * Learns from a list of tools.
   *
   * @returns The list without the tools whose marks break the rules
   */
  learn(result: JsonObject): JsonObject {
    if (!Array.isArray(result.tools)) return result;
    const tools = result.tools.filter((tool) => this.#learnTool(tool));
    return tools.length === result.tools.length ? result : { ...result, tools };
  }

  #learnTool(tool: unknown): boolean {
    if (!isObject(tool) || typeof tool.name !== "string" || !isObject(tool.inputSchema)) {
      return true;
    }
    try {
      const params = this.#read(tool.inputSchema);
      this.#tools.delete(tool.name);
      if (params.length > 0 && this.#tools.size < MOST_TOOLS) this.#tools.set(tool.name, params);
      return true;
    } catch {
      return false;
    }
  }
}
