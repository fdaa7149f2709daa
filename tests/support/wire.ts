/**
 * A bare client for tests of the wire: every status, header and frame is there to be looked at, and
 * every message of the server is held against the published schema.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Unauthorized } from "../../src/auth/errors.ts";
import { memoryStore } from "../../src/cluster/memory/store.ts";
import type { Backplane, Store } from "../../src/cluster/types.ts";
import { ErrorCode, McpError } from "../../src/protocol/errors.ts";
import type {
  Dispatcher,
  DispatcherHost,
  Exchange,
  NotificationExchange,
} from "../../src/protocol/exchange.ts";
import type { McpEvent } from "../../src/protocol/events.ts";
import { isObject, type JsonObject, type RequestId } from "../../src/protocol/jsonrpc.ts";
import type { ClientCapabilities } from "../../src/protocol/shapes.ts";
import type { RequestMessage, Route } from "../../src/protocol/route.ts";
import { assertServerMessage, SCHEMA_VERSIONS, type SchemaVersion } from "./schema.ts";

/** What answers requests: a handler. */
export type Fetch = (request: Request) => Promise<Response>;

/** Where the requests seem to go. */
export const URL_2025 = "http://localhost/mcp";
/** What most clients read. */
export const BOTH = "application/json, text/event-stream";
/** The newest version with sessions. */
export const LATEST = "2025-11-25";

/** How long a test waits for what must come, in milliseconds. */
const PATIENCE_MS = 4_000;

/** Waits for what must come, so that a test fails instead of hanging. */
export async function soon<T>(promise: PromiseLike<T>, what = "it", ms = PATIENCE_MS): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited ${ms} ms for ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether a promise is still pending after everything that could settle it has had its turn. */
export async function isPending(promise: PromiseLike<unknown>): Promise<boolean> {
  const pending = Symbol("pending");
  const turn = new Promise((resolve) => setTimeout(() => resolve(pending), 20));
  return await Promise.race([promise.then(() => 0, () => 0), turn]) === pending;
}

/** A response as its client sees it: every header, every byte. */
export interface Seen {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

/** Takes a whole response down, to be compared with another. */
export async function seen(response: Response): Promise<Seen> {
  const headers = [...response.headers].toSorted(([a], [b]) => a < b ? -1 : 1);
  return { status: response.status, headers, body: await soon(response.text(), "the body") };
}

/** Checks a refusal: plain JSON that holds a JSON-RPC error. Gives the error. */
export async function refused(
  response: Response,
  status: number,
  code: number,
  id: RequestId | null = null,
): Promise<{ readonly message: string; readonly data?: unknown }> {
  const { body } = await seen(response.clone());
  assert.equal(response.status, status, body);
  assert.equal(response.headers.get("content-type"), "application/json");
  const message: unknown = JSON.parse(body);
  assert.ok(isObject(message) && isObject(message.error));
  assertServerMessage(LATEST, message);
  const { error } = message;
  assert.deepEqual({ jsonrpc: message.jsonrpc, id: message.id, code: error.code }, {
    jsonrpc: "2.0",
    id,
    code,
  });
  await response.body?.cancel();
  return { message: String(error.message), data: error.data };
}

/** Checks the empty response to what needs no answer. */
export async function accepted(response: Response): Promise<void> {
  const { status, headers, body } = await seen(response);
  const names = headers.map(([name]) => name).filter((name) =>
    !/^access-control-|^vary$/.test(name)
  );
  assert.deepEqual({ status, names, body }, { status: 202, names: [], body: "" });
}

/** One block of a stream of events, as it was sent. */
export interface Frame {
  readonly raw: string;
  readonly id?: string;
  readonly event?: string;
  readonly retry?: number;
  readonly comment?: string;
  /** The data, if there is any line of it. */
  readonly data?: string;
  /** The message in the data. */
  readonly message?: JsonObject;
}

/** Reads the frames of a response one by one. */
export class Frames {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  readonly #check: (message: JsonObject) => void;
  #text = "";
  #done = false;

  /** @param check Called with every message */
  constructor(response: Response, check: (message: JsonObject) => void) {
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    assert.ok(response.body);
    this.#reader = response.body.getReader();
    this.#check = check;
  }

  /** The next frame, or `undefined` at the end. */
  async next(): Promise<Frame | undefined> {
    while (true) {
      const end = this.#text.indexOf("\n\n");
      if (end !== -1) {
        const raw = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        return this.#frame(raw);
      }
      if (this.#done) {
        assert.equal(this.#text, "", "a frame was cut short");
        return undefined;
      }
      const { done, value } = await soon(this.#reader.read(), "a frame");
      if (done) this.#done = true;
      else this.#text += this.#decoder.decode(value, { stream: true });
    }
  }

  /** The next message, skipping frames that carry none, or `undefined` at the end. */
  async message(): Promise<JsonObject | undefined> {
    for (let frame = await this.next(); frame !== undefined; frame = await this.next()) {
      if (frame.message !== undefined) return frame.message;
    }
    return undefined;
  }

  /** The next frame that carries a message, or `undefined` at the end. */
  async messageFrame(): Promise<Frame | undefined> {
    for (let frame = await this.next(); frame !== undefined; frame = await this.next()) {
      if (frame.message !== undefined) return frame;
    }
    return undefined;
  }

  /** Every frame to the end. */
  async rest(): Promise<Frame[]> {
    const frames: Frame[] = [];
    for (let frame = await this.next(); frame !== undefined; frame = await this.next()) {
      frames.push(frame);
    }
    return frames;
  }

  /** Every message to the end. */
  async messages(): Promise<JsonObject[]> {
    return (await this.rest()).flatMap(({ message }) => message === undefined ? [] : [message]);
  }

  /** Goes away, as a client does whose connection breaks. */
  async cancel(): Promise<void> {
    await soon(this.#reader.cancel(), "the cancellation");
  }

  #frame(raw: string): Frame {
    const fields: Record<string, string> = {};
    for (const line of raw.split("\n")) {
      const colon = line.indexOf(":");
      const name = line.slice(0, colon);
      const value = line.slice(colon + 1).replace(/^ /, "");
      assert.equal(Object.hasOwn(fields, name), false, `two fields of one name in ${raw}`);
      fields[name] = value;
    }
    const { id, event, retry, data } = fields;
    const comment = fields[""];
    const message = data ? JSON.parse(data) as JsonObject : undefined; // checked just below
    if (message !== undefined) this.#check(message);
    return {
      raw,
      data,
      comment,
      message,
      ...id !== undefined && { id },
      ...event !== undefined && { event },
      ...retry !== undefined && { retry: Number(retry) },
    };
  }
}

/** How a {@linkcode Peer} speaks. */
export interface PeerOptions {
  /** How long it waits for an answer, in milliseconds. 4,000 by default; more where processes start. */
  readonly patienceMs?: number;
  readonly version?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly capabilities?: ClientCapabilities;
  readonly accept?: string;
}

type Extra = Readonly<Record<string, string | undefined>>;

/** One client of a handler. It sends what it is told, and checks what it gets. */
export class Peer {
  readonly fetch: Fetch;
  readonly headers: Readonly<Record<string, string>>;
  readonly accept: string;
  readonly capabilities: ClientCapabilities;
  readonly patienceMs: number;
  version: string;
  sessionId: string | undefined;
  readonly #methods = new Map<RequestId, string>();

  constructor(fetch: Fetch, options: PeerOptions = {}) {
    this.fetch = fetch;
    this.version = options.version ?? LATEST;
    this.headers = options.headers ?? {};
    this.capabilities = options.capabilities ?? {};
    this.accept = options.accept ?? BOTH;
    this.patienceMs = options.patienceMs ?? PATIENCE_MS;
  }

  /** Another peer with the same session: another process of the same client, or a thief. */
  with(options: { readonly fetch?: Fetch; readonly headers?: Peer["headers"] }): Peer {
    const { version, headers, capabilities, accept, patienceMs } = this;
    const peer = new Peer(options.fetch ?? this.fetch, {
      version,
      capabilities,
      accept,
      patienceMs,
      headers: options.headers ?? headers,
    });
    peer.sessionId = this.sessionId;
    return peer;
  }

  /** Sends a request with a verb. Headers set to `undefined` are left out. */
  async send(method: string, extra: Extra = {}, body?: BodyInit): Promise<Response> {
    const all: Extra = {
      ...this.headers,
      "mcp-session-id": this.sessionId,
      "mcp-protocol-version": this.sessionId === undefined ? undefined : this.version,
      ...extra,
    };
    const headers = new Headers();
    for (const [name, value] of Object.entries(all)) {
      if (value !== undefined) headers.set(name, value);
    }
    const duplex = body instanceof ReadableStream ? { duplex: "half" } : {};
    return await soon(
      this.fetch(new Request(URL_2025, { method, headers, body, ...duplex })),
      `the response to ${method}`,
      this.patienceMs,
    );
  }

  /** Posts any JSON. */
  async post(message: unknown, extra: Extra = {}): Promise<Response> {
    this.#note(message);
    const headers = { "content-type": "application/json", "accept": this.accept, ...extra };
    return await this.send("POST", headers, JSON.stringify(message));
  }

  /** Posts a request. */
  async request(
    id: RequestId,
    method: string,
    params?: JsonObject,
    extra?: Extra,
  ): Promise<Response> {
    return await this.post({ jsonrpc: "2.0", id, method, params }, extra);
  }

  /** Calls a tool. */
  async call(
    id: RequestId,
    name: string,
    args: JsonObject = {},
    extra?: Extra,
  ): Promise<Response> {
    return await this.request(id, "tools/call", { name, arguments: args }, extra);
  }

  /** Posts a notification, which is always accepted. */
  async notify(method: string, params?: JsonObject, extra?: Extra): Promise<void> {
    const response = await this.post({ jsonrpc: "2.0", method, params }, extra);
    await accepted(response);
  }

  /** Cancels a request. */
  async cancel(requestId: RequestId, reason?: string): Promise<void> {
    await this.notify("notifications/cancelled", { requestId, reason });
  }

  /** Answers a question. */
  async reply(id: unknown, result: JsonObject): Promise<void> {
    const response = await this.post({ jsonrpc: "2.0", id, result });
    await accepted(response);
  }

  /** Opens or resumes a stream. */
  async get(lastEventId?: string, extra: Extra = {}): Promise<Response> {
    const headers = { "accept": "text/event-stream", "last-event-id": lastEventId, ...extra };
    return await this.send("GET", headers);
  }

  /** Opens or resumes a stream that must be there. */
  async listen(lastEventId?: string): Promise<Frames> {
    return this.frames(await this.get(lastEventId));
  }

  /** Ends the session. */
  async delete(extra: Extra = {}): Promise<Response> {
    return await this.send("DELETE", extra);
  }

  /** The frames of a response that is a stream. */
  frames(response: Response): Frames {
    assert.equal(response.status, 200);
    return new Frames(response, (message) => this.check(message));
  }

  /** The one message of a response that is JSON. */
  async json(response: Response, status = 200): Promise<JsonObject> {
    assert.equal(response.status, status);
    assert.equal(response.headers.get("content-type"), "application/json");
    const message: unknown = JSON.parse(await soon(response.text(), "the body"));
    assert.ok(isObject(message));
    this.check(message);
    return message;
  }

  /** The result in a response, which is JSON or the end of a stream. */
  async result(response: Response): Promise<JsonObject> {
    const stream = response.headers.get("content-type") === "text/event-stream";
    const message = stream
      ? (await this.frames(response).messages()).at(-1)
      : await this.json(response);
    assert.ok(isObject(message?.result), `No result: ${JSON.stringify(message)}`);
    return message.result;
  }

  /** Checks a message of the server against the schema of the version that is spoken. */
  check(message: JsonObject): void {
    if (!isSchemaVersion(this.version)) return;
    const { id } = message;
    const known = typeof id === "string" || typeof id === "number";
    const method = "method" in message || !known ? undefined : this.#methods.get(id);
    assertServerMessage(this.version, message, method);
  }

  /** The handshake's request. */
  initializeRequest(id: RequestId = 0): JsonObject {
    return {
      jsonrpc: "2.0",
      id,
      method: "initialize",
      params: {
        protocolVersion: this.version,
        capabilities: this.capabilities,
        clientInfo: { name: "wire-test", version: "1.0.0" },
      },
    };
  }

  /** Shakes hands and, unless told otherwise, says that it is ready. */
  async initialize(ready = true): Promise<JsonObject> {
    const response = await this.post(this.initializeRequest());
    this.sessionId = response.headers.get("mcp-session-id") ?? undefined;
    const result = await this.result(response);
    assert.equal(typeof result.protocolVersion, "string");
    this.version = String(result.protocolVersion);
    if (ready) await this.notify("notifications/initialized");
    return result;
  }

  #note(message: unknown): void {
    for (const part of Array.isArray(message) ? message : [message]) {
      if (!isObject(part) || typeof part.method !== "string") continue;
      const { id } = part;
      if (typeof id !== "string" && typeof id !== "number") continue;
      // With a task, the result is another one
      const isTask = isObject(part.params) && part.params.task !== undefined;
      if (KNOWN.has(part.method) && !isTask) this.#methods.set(id, part.method);
    }
  }
}

const KNOWN: ReadonlySet<string> = new Set([
  "initialize",
  "ping",
  "tools/list",
  "tools/call",
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "resources/subscribe",
  "resources/unsubscribe",
  "prompts/list",
  "prompts/get",
  "completion/complete",
  "logging/setLevel",
]);

/** A client that has shaken hands. */
export async function initialize(
  fetch: Fetch,
  options: PeerOptions & { readonly ready?: boolean } = {},
): Promise<Peer> {
  const peer = new Peer(fetch, options);
  await peer.initialize(options.ready);
  return peer;
}

/** What a {@linkcode Stub} does for a tool or a method. */
export type Act = (exchange: Exchange) => JsonObject | Promise<JsonObject>;

/** A dispatcher for tests: it does what each test says, and notes what the endpoint tells it. */
export class Stub implements Dispatcher {
  readonly listChanged: readonly string[];
  /** Requests in the order in which they came. */
  readonly exchanges: Exchange[] = [];
  /** Notifications in the order in which they came. */
  readonly notifications: NotificationExchange[] = [];
  /** Sessions that ended. */
  readonly ended: { readonly id: string; readonly reason: string }[] = [];
  host: DispatcherHost | undefined;
  /** Whether it notes anything: not where memory is measured. */
  noting = true;
  readonly #tools: Readonly<Record<string, Act>>;
  readonly #methods: Readonly<Record<string, Act>>;

  constructor(
    tools: Readonly<Record<string, Act>> = {},
    methods: Readonly<Record<string, Act>> = {},
    listChanged: readonly string[] = [],
  ) {
    this.#tools = tools;
    this.#methods = methods;
    this.listChanged = listChanged;
  }

  route(message: RequestMessage): Route {
    const { method, params: { name } } = message;
    const isTool = method === "tools/call" && Object.hasOwn(this.#tools, String(name));
    return {
      ...message,
      ...isTool && { target: { tool: String(name) } },
      run: (exchange) => this.#answer(exchange),
    };
  }

  #answer(exchange: Exchange): JsonObject | Promise<JsonObject> {
    if (this.noting) this.exchanges.push(exchange);
    const { method, params } = exchange;
    const act = Object.hasOwn(this.#methods, method) ? this.#methods[method] : undefined;
    if (act !== undefined) return act(exchange);
    if (method === "initialize") {
      return {
        protocolVersion: exchange.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: "stub", version: "1.0.0" },
      };
    }
    if (method === "ping") return {};
    const tool = method === "tools/call" ? this.#tools[String(params.name)] : undefined;
    if (tool !== undefined) return tool(exchange);
    throw new McpError(ErrorCode.MethodNotFound, `Method not found: ${method}`);
  }

  notified(exchange: NotificationExchange): void {
    if (this.noting) this.notifications.push(exchange);
  }

  attach(host: DispatcherHost): () => void {
    this.host = host;
    return () => {
      this.host = undefined;
    };
  }

  sessionEnded(id: string, reason: string): void {
    if (this.noting) this.ended.push({ id, reason });
  }
}

/** A tool's result that holds one text. */
export function text(value: string): JsonObject {
  return { content: [{ type: "text", text: value }] };
}

/** The text in a tool's result. */
export function textOf(result: unknown): unknown {
  const content = isObject(result) ? result.content : undefined;
  const block: unknown = Array.isArray(content) ? content[0] : undefined;
  return isObject(block) ? block.text : undefined;
}

/** A log message, as a notification. */
export function logMessage(data: unknown): { method: string; params: JsonObject } {
  return { method: "notifications/message", params: { level: "info", data } };
}

/** The data of a log message. */
export function logData(message: JsonObject | undefined): unknown {
  return isObject(message?.params) ? message.params.data : undefined;
}

/** A promise that a test settles. */
export class Gate<T = void> {
  readonly promise: Promise<T>;
  readonly open: (value: T) => void;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<T>();
    this.promise = promise;
    this.open = resolve;
  }
}

/** A tool that runs until it is opened or stopped, and what is to be known about its runs. */
export class Blocker {
  readonly gate = new Gate<string>();
  /** The runs' exchanges. */
  readonly runs: Exchange[] = [];
  /** The reasons for which runs were stopped. */
  readonly reasons: unknown[] = [];
  readonly #arrivals: (() => void)[] = [];

  readonly act: Act = async (exchange) => {
    this.runs.push(exchange);
    for (const arrived of this.#arrivals.splice(0)) arrived();
    exchange.signal.addEventListener("abort", () => this.reasons.push(exchange.signal.reason));
    return text(await this.gate.promise);
  };

  /** Waits until so many runs have begun. */
  async running(count = 1): Promise<void> {
    while (this.runs.length < count) {
      await soon(new Promise<void>((resolve) => this.#arrivals.push(resolve)), "a run");
    }
  }
}

/** Authenticates by the `authorization` header: `Bearer alice` is alice. No header, nobody. */
export function byToken(request: Request): { readonly id: string } {
  const [, id] = /^Bearer (\w+)$/.exec(request.headers.get("authorization") ?? "") ?? [];
  if (id === undefined) throw new Unauthorized();
  return { id };
}

/** Headers of a principal. */
export function as(id: string): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${id}` };
}

/** Events in the order in which they were told. */
export class Events {
  readonly all: McpEvent[] = [];
  readonly onEvent = (event: McpEvent): void => {
    this.all.push(event);
  };

  /** Those of one type. */
  of<T extends McpEvent["type"]>(type: T): Extract<McpEvent, { type: T }>[] {
    return this.all.filter((event): event is Extract<McpEvent, { type: T }> => event.type === type);
  }

  /** The true reasons of what was refused. */
  get refusals(): string[] {
    return this.of("refused").map(({ reason }) => reason);
  }
}

/** A store whose inside a test can look at. */
export function openStore(): Store & { readonly backplane: () => Backplane } {
  const store = memoryStore();
  let backplane: Backplane | undefined;
  return {
    open(settings) {
      backplane = store.open(settings);
      return backplane;
    },
    backplane() {
      assert.ok(backplane, "no handler has opened the store");
      return backplane;
    },
  };
}

function isSchemaVersion(version: string): version is SchemaVersion {
  return (SCHEMA_VERSIONS as readonly string[]).includes(version);
}
