/**
 * A bare client of the 2026 era. It sends what it is told, with the headers that belong to it, and
 * holds everything that it gets against the published schema.
 *
 * @module
 */
import assert from "node:assert/strict";
import { MetaKey } from "../../src/protocol/envelope.ts";
import { isObject, type JsonObject, type RequestId } from "../../src/protocol/jsonrpc.ts";
import type { ClientCapabilities, LogLevel } from "../../src/protocol/shapes.ts";
import { assertServerMessage, assertValid } from "./schema.ts";
import { BOTH, type Fetch, Frames, soon, URL_2025 } from "./wire.ts";

/** The version that is spoken. */
export const MODERN = "2026-07-28";

/** Everything that a client may be asked for. */
export const CAPABLE: ClientCapabilities = {
  elicitation: { form: {}, url: {} },
  sampling: {},
  roots: {},
};

/** What a complete result has to be, by its request. */
const COMPLETE: Readonly<Record<string, string>> = {
  "server/discover": "DiscoverResult",
  "tools/list": "ListToolsResult",
  "tools/call": "CallToolResult",
  "resources/list": "ListResourcesResult",
  "resources/templates/list": "ListResourceTemplatesResult",
  "resources/read": "ReadResourceResult",
  "prompts/list": "ListPromptsResult",
  "prompts/get": "GetPromptResult",
  "completion/complete": "CompleteResult",
  "subscriptions/listen": "SubscriptionsListenResult",
};

/** The requests that may be answered by asking for input (2026-07-28, Multi Round-Trip Requests). */
const ASKING: ReadonlySet<string> = new Set(["tools/call", "prompts/get", "resources/read"]);

/** How a {@linkcode ModernPeer} speaks. */
export interface ModernOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly capabilities?: ClientCapabilities;
  readonly accept?: string;
  readonly logLevel?: LogLevel;
}

type Extra = Readonly<Record<string, string | undefined>>;

/** What is sent besides a request. */
export interface SendOptions {
  /** Headers instead of, or besides, those that belong to the request; `undefined` leaves one out. */
  readonly headers?: Extra;
  /** Lets go of the request, as a client does that goes away. */
  readonly signal?: AbortSignal;
}

/** What a retry of a request brings. */
export interface Retry {
  readonly inputResponses?: unknown;
  readonly requestState?: unknown;
}

/** The `_meta` of a request. */
export function envelope(
  capabilities: ClientCapabilities = {},
  more: JsonObject = {},
): JsonObject {
  return {
    [MetaKey.ProtocolVersion]: MODERN,
    [MetaKey.ClientCapabilities]: capabilities,
    [MetaKey.ClientInfo]: { name: "modern-test", version: "1.0.0" },
    ...more,
  };
}

/** A text as a header says it, encoded where it must be. */
export function headerValue(text: string): string {
  const plain = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text);
  if (plain && !text.startsWith("=?base64?")) return text;
  return `=?base64?${btoa(String.fromCharCode(...new TextEncoder().encode(text)))}?=`;
}

/** The headers that belong to a message. */
export function headersFor(method: string, params: JsonObject = {}): Record<string, string> {
  const name = method === "resources/read" ? params.uri : params.name;
  const named = ASKING.has(method) && typeof name === "string";
  return {
    "mcp-protocol-version": MODERN,
    "mcp-method": method,
    ...named ? { "mcp-name": headerValue(name) } : {},
  };
}

/** One client of the 2026 era. Nothing connects its requests but what they say. */
export class ModernPeer {
  readonly fetch: Fetch;
  readonly options: ModernOptions;
  #id = 0;

  constructor(fetch: Fetch, options: ModernOptions = {}) {
    this.fetch = fetch;
    this.options = options;
  }

  /** The same client with something different about it. */
  with(options: ModernOptions): ModernPeer {
    return new ModernPeer(this.fetch, { ...this.options, ...options });
  }

  /** A request as it is sent. */
  message(method: string, params: JsonObject = {}, id: RequestId = ++this.#id): JsonObject {
    const { capabilities, logLevel } = this.options;
    const level = logLevel === undefined ? {} : { [MetaKey.LogLevel]: logLevel };
    const own = isObject(params._meta) ? params._meta : {};
    const _meta = envelope(capabilities, { ...level, ...own });
    return { jsonrpc: "2.0", id, method, params: { ...params, _meta } };
  }

  /** Posts any JSON. */
  async post(message: unknown, { headers: extra, signal }: SendOptions = {}): Promise<Response> {
    const { method, params } = isObject(message) ? message : {};
    const all: Extra = {
      "content-type": "application/json",
      "accept": this.options.accept ?? BOTH,
      ...headersFor(String(method), isObject(params) ? params : {}),
      ...this.options.headers,
      ...extra,
    };
    const headers = new Headers();
    for (const [name, value] of Object.entries(all)) {
      if (value !== undefined) headers.set(name, value);
    }
    const body = JSON.stringify(message);
    const request = new Request(URL_2025, { method: "POST", headers, body, signal });
    const response = await soon(this.fetch(request), `the response to ${method}`);
    assert.equal(response.headers.get("mcp-session-id"), null);
    return response;
  }

  /** Posts a request. */
  async request(method: string, params?: JsonObject, options?: SendOptions): Promise<Response> {
    return await this.post(this.message(method, params), options);
  }

  /** Calls a tool. */
  async call(
    name: string,
    args: JsonObject = {},
    retry: Retry & { readonly _meta?: JsonObject } = {},
    options?: SendOptions,
  ): Promise<Response> {
    return await this.request("tools/call", { name, arguments: args, ...retry }, options);
  }

  /** The frames of a stream. None may have an id, and nothing may be asked on it. */
  frames(response: Response, method = "tools/call"): ModernFrames {
    assert.equal(response.status, 200);
    return new ModernFrames(response, method);
  }

  /** The one message that answers a request, however it comes. */
  async answer(
    response: Response,
    method = "tools/call",
  ): Promise<{ readonly status: number; readonly message: JsonObject }> {
    const { status, headers } = response;
    if (headers.get("content-type") === "text/event-stream") {
      const message = (await this.frames(response, method).messages()).at(-1);
      assert.ok(message, "the stream ended without an answer");
      return { status, message };
    }
    assert.equal(headers.get("content-type"), "application/json");
    const message: unknown = JSON.parse(await soon(response.text(), "the body"));
    assert.ok(isObject(message));
    checkMessage(message, method);
    return { status, message };
  }

  /** The result in a response. */
  async result(response: Response, method = "tools/call"): Promise<JsonObject> {
    const { status, message } = await this.answer(response, method);
    assert.ok(isObject(message.result), `No result: ${JSON.stringify(message)}`);
    assert.equal(status, 200);
    return message.result;
  }

  /** Sends a request that has a result. */
  async ask(method: string, params?: JsonObject, options?: SendOptions): Promise<JsonObject> {
    return await this.result(await this.request(method, params, options), method);
  }

  /** Calls a tool that has a result, whatever kind of one. */
  async say(name: string, args?: JsonObject, retry?: Retry): Promise<JsonObject> {
    return await this.result(await this.call(name, args, retry));
  }

  /** The error in a response, with its status. */
  async error(response: Response, method = "tools/call"): Promise<WireError> {
    const { status, message } = await this.answer(response, method);
    const { error, id } = message;
    assert.ok(isObject(error), `No error: ${JSON.stringify(message)}`);
    return { status, id, code: error.code, message: String(error.message), data: error.data };
  }

  /** Opens a subscription, whose acknowledgement is the first message. */
  async listen(
    notifications: JsonObject,
    id: RequestId = ++this.#id,
    options?: SendOptions,
  ): Promise<ModernFrames> {
    const message = this.message("subscriptions/listen", { notifications }, id);
    return this.frames(await this.post(message, options), "subscriptions/listen");
  }
}

/** An error as it came. */
export interface WireError {
  readonly status: number;
  readonly id: unknown;
  readonly code: unknown;
  readonly message: string;
  readonly data: unknown;
}

/** The frames of a stream of the 2026 era, which nobody can come back to. */
export class ModernFrames extends Frames {
  constructor(response: Response, method: string) {
    super(response, (message) => checkMessage(message, method));
  }

  override async next(): ReturnType<Frames["next"]> {
    const frame = await super.next();
    if (frame !== undefined) {
      const { id, event, retry } = frame;
      assert.deepEqual({ id, retry }, { id: undefined, retry: undefined }, frame.raw);
      assert.ok(event === undefined || event === "message", frame.raw);
    }
    return frame;
  }
}

/** The questions that a result asks. */
export function questionsOf(
  result: JsonObject,
): Readonly<Record<string, { readonly method: string; readonly params: JsonObject }>> {
  assert.equal(result.resultType, "input_required", JSON.stringify(result));
  const { inputRequests } = result;
  assert.ok(isObject(inputRequests));
  // Each of them has been held against the schema
  return inputRequests as Record<string, { method: string; params: JsonObject }>;
}

/** The state that a result leaves with the client. */
export function stateOf(result: JsonObject): string {
  assert.ok(typeof result.requestState === "string", JSON.stringify(result));
  return result.requestState;
}

/** Checks what a server may send in the 2026 era. */
export function checkMessage(message: JsonObject, method: string): void {
  assertServerMessage(MODERN, message);
  if (!isObject(message.result)) return;
  const { result } = message;
  const definition = Object.hasOwn(COMPLETE, method) ? COMPLETE[method] : undefined;
  assert.ok(definition, `name a request of the era: ${method}`);
  if (result.resultType !== "input_required") {
    assert.equal(result.resultType, "complete");
    assertValid(MODERN, definition, result);
    return;
  }
  assert.ok(ASKING.has(method), `${method} may not ask for input`);
  assertValid(MODERN, "InputRequiredResult", result);
  const { inputRequests = {}, requestState } = result;
  assert.ok(isObject(inputRequests));
  assert.ok(Object.keys(inputRequests).length > 0 || requestState !== undefined);
  for (const request of Object.values(inputRequests)) assertValid(MODERN, "InputRequest", request);
}
