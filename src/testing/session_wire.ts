/**
 * The 2025 era's way: a handshake, a session, POSTs that may answer with streams, and a stream of the
 * server's own.
 *
 * @module
 */
import { McpError } from "../protocol/errors.ts";
import {
  type Classified,
  isObject,
  type JsonObject,
  type JsonRpcRequest,
  type JsonRpcResponse,
} from "../protocol/jsonrpc.ts";
import { RefusedError } from "./errors.ts";
import { discard, Http, isStream, readJson } from "./http.ts";
import { type Cursor, readMessage, readMessages, withProgressToken } from "./messages.ts";
import { answerQuestion } from "./questions.ts";
import type { ProgressUpdate, RequestOptions } from "./types.ts";
import { pause, within } from "./wait.ts";
import type { ServerFacts, Wire, WireOptions } from "./wire.ts";

/** How often in a row a stream may end without a message before the client gives it up. */
const MOST_RETURNS = 20;
/** How long `close` waits for what it ends, in milliseconds. */
const CLOSE_MS = 5_000;

/** One request that waits for its answer. */
interface Waiting {
  readonly message: JsonRpcRequest;
  readonly onProgress: RequestOptions["onProgress"];
}

/** Shakes hands with a server of the 2025 era. */
export async function connectWithSession(options: WireOptions): Promise<Wire> {
  const wire = new SessionWire(options);
  await wire.begin();
  return wire;
}

class SessionWire implements Wire {
  readonly #options: WireOptions;
  readonly #http: Http;
  readonly #closing = new AbortController();
  #facts: ServerFacts | undefined;
  #listening: Promise<void> | undefined;
  #closed: Promise<void> | undefined;
  #nextId = 1;

  constructor(options: WireOptions) {
    this.#options = options;
    this.#http = new Http(options);
  }

  get facts(): ServerFacts {
    if (this.#facts === undefined) throw new TypeError("Connect first");
    return this.#facts;
  }

  get sessionId(): string | undefined {
    return this.#http.sessionId;
  }

  async begin(): Promise<void> {
    const { protocolVersion, capabilities, clientInfo, listen } = this.#options;
    const params = { protocolVersion, capabilities, clientInfo };
    this.#facts = factsOf(await this.request("initialize", params, {}));
    this.#http.protocolVersion = this.#facts.protocolVersion;
    await this.notify("notifications/initialized", undefined);
    if (listen && this.sessionId !== undefined) await this.#listen();
  }

  async request(
    method: string,
    params: JsonObject,
    { onProgress, signal, timeoutMs = this.#options.timeoutMs }: RequestOptions,
  ): Promise<JsonObject> {
    const id = this.#nextId++;
    const full = onProgress === undefined ? params : withProgressToken(params, id);
    const message: JsonRpcRequest = { jsonrpc: "2.0", id, method, params: full };
    const closing = this.#closing.signal;
    const stop = signal === undefined ? closing : AbortSignal.any([signal, closing]);
    const over = new AbortController();
    try {
      stop.throwIfAborted();
      const answer = this.#answer({ message, onProgress }, over.signal);
      return await within(answer, timeoutMs, `answer to ${method}`, stop);
    } catch (error) {
      const abandoned = signal?.aborted || isTimeout(error);
      if (abandoned && method !== "initialize") this.#cancel(id, error);
      throw error;
    } finally {
      over.abort();
    }
  }

  async notify(method: string, params: JsonObject | undefined): Promise<void> {
    const message = { jsonrpc: "2.0", method, params };
    discard(await this.#http.post(message, this.#closing.signal));
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#closing.abort(new DOMException("The client was closed", "AbortError"));
    if (this.#listening !== undefined) {
      await within(this.#listening, CLOSE_MS, "end of the server's stream");
    }
    if (this.sessionId === undefined) return;
    try {
      const { signal } = new AbortController();
      await within(this.#http.delete(signal), CLOSE_MS, "response to DELETE");
    } catch (error) {
      // The session is over already, or ends by itself: this server lets nobody end one.
      if (error instanceof RefusedError && [404, 405].includes(error.status)) return;
      throw error;
    }
  }

  async #answer(waiting: Waiting, signal: AbortSignal): Promise<JsonObject> {
    const { message } = waiting;
    const response = await this.#http.post(message, signal);
    if (message.method === "initialize") {
      this.#http.sessionId = response.headers.get("mcp-session-id") ?? undefined;
    }
    if (isStream(response)) return await this.#streamed(waiting, response, signal);
    if (response.status === 202) throw new Error(`The server didn't answer ${message.method}`);
    const answer = readMessage(await readJson(response, this.#options.timeoutMs, signal));
    if (answer.kind === "response" && answer.message.id === message.id) {
      return resultOf(answer.message);
    }
    throw new TypeError(`The server answered something else than ${message.method}`);
  }

  /** Reads a stream to the answer, coming back as often as the stream breaks before. */
  async #streamed(waiting: Waiting, first: Response, signal: AbortSignal): Promise<JsonObject> {
    const cursor: Cursor = { lastEventId: undefined, retryMs: 0 };
    let response = first;
    for (let returns = 0; returns <= MOST_RETURNS; returns++) {
      const { body } = response;
      if (body === null) break;
      for await (const message of readMessages(body, cursor, signal)) {
        returns = 0;
        if (message.kind === "response") {
          if (message.message.id === waiting.message.id) return resultOf(message.message);
        } else this.#take(message, waiting);
      }
      if (cursor.lastEventId === undefined) break;
      await this.#pause(cursor, signal);
      response = await this.#http.get(cursor.lastEventId, signal);
    }
    throw new Error(`The stream ended without an answer to ${waiting.message.method}`);
  }

  /** Opens the server's own stream. A server that has none answers 405. */
  async #listen(): Promise<void> {
    try {
      const first = await this.#http.get(undefined, this.#closing.signal);
      this.#listening = this.#keepListening(first);
    } catch (error) {
      if (!(error instanceof RefusedError && error.status === 405)) throw error;
    }
  }

  /** Reads the server's own stream until the client closes or the server has had enough. */
  async #keepListening(first: Response): Promise<void> {
    const { signal } = this.#closing;
    const cursor: Cursor = { lastEventId: undefined, retryMs: 0 };
    let response = first;
    for (let returns = 0; returns <= MOST_RETURNS && response.body !== null; returns++) {
      try {
        for await (const message of readMessages(response.body, cursor, signal)) {
          returns = 0;
          if (message.kind !== "response") this.#take(message);
        }
      } catch {
        // It broke, or the client closes.
      }
      await this.#pause(cursor, signal);
      if (signal.aborted) return;
      try {
        response = await this.#http.get(cursor.lastEventId, signal);
      } catch {
        return;
      }
    }
  }

  async #pause({ retryMs }: Cursor, signal: AbortSignal): Promise<void> {
    await pause(Math.min(retryMs, this.#options.maxRetryMs), signal);
  }

  #take(
    { kind, message }: Exclude<Classified, { readonly kind: "response" }>,
    waiting?: Waiting,
  ): void {
    if (kind === "request") {
      void this.#reply(message);
      return;
    }
    const { method, params } = message;
    const own = method === "notifications/progress" && waiting?.onProgress !== undefined &&
      params?.progressToken === waiting.message.id;
    // The server's params are handed on as they came: judging them is what the test is for.
    if (own) waiting.onProgress?.(params as unknown as ProgressUpdate);
    else this.#options.notified({ method, ...params && { params } });
  }

  /** Answers a question. What becomes of the reply shows in what the server does next. */
  async #reply(question: JsonRpcRequest): Promise<void> {
    const reply = await answerQuestion(question, this.#options.answers);
    await this.#tell(reply);
  }

  #cancel(requestId: number, error: unknown): void {
    const reason = error instanceof Error ? error.message : undefined;
    const params = { requestId, reason };
    void this.#tell({ jsonrpc: "2.0", method: "notifications/cancelled", params });
  }

  async #tell(message: object): Promise<void> {
    try {
      discard(await this.#http.post(message, this.#closing.signal));
    } catch {
      // The session is over, or the client closes: nobody waits for it any more.
    }
  }
}

function resultOf({ result, error }: JsonRpcResponse): JsonObject {
  if (error !== undefined) throw new McpError(error.code, error.message, error.data);
  return result ?? {};
}

function factsOf(result: JsonObject): ServerFacts {
  const { protocolVersion, serverInfo, capabilities, instructions } = result;
  if (typeof protocolVersion !== "string" || !isObject(serverInfo) || !isObject(capabilities)) {
    throw new TypeError("The server answered initialize with something else");
  }
  return {
    protocolVersion,
    serverInfo: { ...serverInfo, name: `${serverInfo.name}`, version: `${serverInfo.version}` },
    capabilities,
    instructions: typeof instructions === "string" ? instructions : undefined,
  };
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}
