/**
 * Repeats parts of a request's body in headers, as the 2026 era requires over HTTP (2026-07-28,
 * Standard Request Headers).
 *
 * @module
 */
import {
  ErrorCode,
  type HeaderParam,
  type JsonObject,
  McpError,
  type Notification,
} from "../../../mod.ts";
import {
  argumentAt,
  envelopeVersion,
  HeaderName,
  headerParamsOf,
  isObject,
  toBase64,
} from "../../kit.ts";
import { ownCall } from "../client/handshake.ts";
import type { Message } from "../client/transport.ts";
import type { Caller, OpenInit, UpstreamCall, UpstreamSession } from "../types.ts";

/** Maps names of headers, in lower case, to their values. */
export type HeaderFields = Readonly<Record<string, string>>;

/** The name of the parameter that `Mcp-Name` repeats (Standard Request Headers; Tasks, Routing Headers). */
const NAMED: Readonly<Record<string, string>> = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri",
  "tasks/get": "taskId",
  "tasks/update": "taskId",
  "tasks/cancel": "taskId",
};

const PLAIN = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

/** Returns the headers that repeat parts of a message; `undefined` if it isn't a request of 2026. */
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
    // `null` counts as missing, and the server rejects a value that isn't of the declared type.
    if (value === undefined || value === null || typeof value === "object") continue;
    headers[`mcp-param-${header.toLowerCase()}`] = encodeHeader(String(value));
  }
  return headers;
}

/** Encodes a text as a header's value (2026-07-28, Value Encoding). */
export function encodeHeader(text: string): string {
  if (PLAIN.test(text) && !(text.startsWith("=?base64?") && text.endsWith("?="))) return text;
  return `=?base64?${toBase64(new TextEncoder().encode(text))}?=`;
}

/** The most tools that are remembered. */
const MAX_TOOLS = 10_000;

/** Remembers which arguments of its tools an upstream wants in headers. */
export class HeaderParams {
  readonly #tools = new Map<string, readonly HeaderParam[]>();

  /** Returns the arguments of a tool that are repeated in headers. */
  of(tool: string): readonly HeaderParam[] | undefined {
    return this.#tools.get(tool);
  }

  /**
   * Reads the marked arguments from a list of tools.
   *
   * @returns The list without the tools whose marks are invalid
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
      const params = headerParamsOf(tool.inputSchema);
      this.#tools.delete(tool.name);
      if (params.length > 0 && this.#tools.size < MAX_TOOLS) this.#tools.set(tool.name, params);
      return true;
    } catch {
      return false;
    }
  }
}

/** The most pages of tools that are read to find marked arguments. */
const MAX_PAGES = 20;

/** Wraps a session, and keeps its {@linkcode HeaderParams} current. */
export class MirroringSession implements UpstreamSession {
  readonly facts: UpstreamSession["facts"];
  readonly #session: UpstreamSession;
  readonly #params: HeaderParams;
  readonly #init: OpenInit;

  constructor(session: UpstreamSession, params: HeaderParams, init: OpenInit) {
    this.facts = session.facts;
    this.#session = session;
    this.#params = params;
    this.#init = init;
  }

  async request(call: UpstreamCall): Promise<JsonObject> {
    if (call.method === "tools/list") {
      return this.#params.learn(await this.#session.request(call));
    }
    try {
      return await this.#session.request(call);
    } catch (error) {
      const mismatch = error instanceof McpError && error.code === ErrorCode.HeaderMismatch;
      if (!mismatch || call.method !== "tools/call") throw error;
      // A call that is rejected for its headers has not run, so it is safe to send again.
      await this.#relearn(call);
      return await this.#session.request(call);
    }
  }

  async #relearn(call: UpstreamCall): Promise<void> {
    const { downstream } = this.#init;
    let cursor: unknown;
    for (let page = 0; page < MAX_PAGES; page++) {
      const params = cursor === undefined ? {} : { cursor };
      const result = await this.request(
        ownCall(downstream, call, "tools/list", params, call.signal),
      );
      cursor = result.nextCursor;
      if (typeof cursor !== "string") return;
    }
  }

  notify(notification: Notification, caller?: Caller): Promise<void> {
    return this.#session.notify(notification, caller);
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}
