/**
 * The official client's HTTP transport over a handler in the same process.
 *
 * @module
 */
import type {
  JSONRPCMessage,
  RequestId,
  StreamableHTTPClientTransport,
  Transport,
  TransportSendOptions,
} from "@modelcontextprotocol/client";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { Notification } from "../protocol/exchange.ts";
import { RefusedError } from "./errors.ts";
import { HandlerFetch, type HandlerFetchOptions } from "./handler_fetch.ts";
import type { ProgressUpdate } from "./types.ts";
import { within } from "./wait.ts";
import { official } from "./official.ts";

/** Time for the end of the session, and for the end of the streams, in milliseconds. */
const CLOSE_MS = 5_000;

/** Options of a {@linkcode HandlerTransport}. */
export interface HandlerTransportOptions extends HandlerFetchOptions {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Longest pause before a stream is resumed, in milliseconds. */
  readonly maxRetryMs: number;
  /** Receives every notification besides requested progress. */
  readonly onNotification: (notification: Notification) => void;
}

/**
 * Wraps the official transport to see messages as they were sent. The official client maps several
 * errors to others, reports its own progress for rounds of questions, and keeps waiting when a stream
 * ends without an answer.
 */
export class HandlerTransport implements Transport {
  readonly hasPerRequestStream = true;
  onclose: Transport["onclose"];
  onerror: Transport["onerror"];
  onmessage: Transport["onmessage"];
  /** Receivers of progress by token. */
  readonly progress: Map<unknown, (update: ProgressUpdate) => void> = new Map();
  readonly http: HandlerFetch;
  readonly #inner: StreamableHTTPClientTransport;
  readonly #onNotification: (notification: Notification) => void;
  readonly #waiting = new Map<RequestId, PromiseWithResolvers<void>>();
  readonly #ending = new AbortController();

  constructor(options: HandlerTransportOptions) {
    const { url, headers, maxRetryMs, onNotification } = options;
    this.http = new HandlerFetch(options);
    this.#onNotification = onNotification;
    this.#inner = new official.StreamableHTTPClientTransport(url, {
      requestInit: { headers },
      fetch: (url, init) => this.http.fetch(url, init),
      reconnectionOptions: {
        initialReconnectionDelay: 0,
        maxReconnectionDelay: maxRetryMs,
        reconnectionDelayGrowFactor: 1,
        maxRetries: 1,
      },
      // The official scheduler forgets the timers of all streams but one.
      reconnectionScheduler: (resume, ms) => {
        const { signal } = this.#ending;
        if (signal.aborted) return;
        const timer = setTimeout(resume, Math.min(ms, maxRetryMs));
        signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
      },
    });
    this.#inner.onmessage = (message) => this.#receive(message);
    this.#inner.onerror = (error) => this.onerror?.(error);
    this.#inner.onclose = () => this.onclose?.();
  }

  get sessionId(): string | undefined {
    return this.#inner.sessionId;
  }

  setProtocolVersion(version: string): void {
    this.#inner.setProtocolVersion(version);
  }

  async start(): Promise<void> {
    await this.#inner.start();
  }

  /**
   * Sends a message. A request settles with its answer.
   *
   * @throws {McpError} If the server answers a request with an error, or refuses it
   * @throws {Error} If a stream ends without an answer
   */
  async send(message: JSONRPCMessage, options: TransportSendOptions = {}): Promise<void> {
    // The official client itself notices the end of a stream when it passes `onRequestStreamEnd`.
    if (!("method" in message && "id" in message) || options.onRequestStreamEnd) {
      return await this.#inner.send(message, options as InnerSendOptions);
    }
    const { id, method } = message;
    const answer = Promise.withResolvers<void>();
    const ended = new Error(`The stream ended without an answer to ${method}`);
    const inner = { ...options, onRequestStreamEnd: () => answer.reject(ended) };
    this.#waiting.set(id, answer);
    try {
      await Promise.all([this.#inner.send(message, inner as InnerSendOptions), answer.promise]);
    } finally {
      this.#waiting.delete(id);
    }
  }

  /** Ends the session if there is one, then every stream and pending resume. */
  async end(): Promise<void> {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort();
    try {
      await within(this.#inner.terminateSession(), CLOSE_MS, "response to DELETE");
    } catch (error) {
      // 404: the session has ended already. 405: the server lets no client end one.
      if (!(error instanceof RefusedError && [404, 405].includes(error.status))) throw error;
    } finally {
      await this.close();
    }
  }

  /** Ends every stream and pending resume. */
  async close(): Promise<void> {
    this.#ending.abort();
    await this.#inner.close();
    await within(this.http.settled(), CLOSE_MS, "end of the streams");
  }

  #receive(message: JSONRPCMessage): void {
    if (!("method" in message)) {
      const waiting = message.id === undefined ? undefined : this.#waiting.get(message.id);
      if ("error" in message && waiting && message.error.code !== ErrorCode.HeaderMismatch) {
        const { code, message: text, data } = message.error;
        return waiting.reject(new McpError(code, text, data));
      }
      waiting?.resolve();
    } else if (!("id" in message)) {
      const { method, params } = message;
      const isProgress = method === "notifications/progress";
      const onProgress = isProgress ? this.progress.get(params?.progressToken) : undefined;
      // The server's params are passed on unchecked: judging them is what the test is for.
      if (onProgress) return onProgress(params as unknown as ProgressUpdate);
      // An acknowledgement answers `subscriptions/listen`.
      if (method !== "notifications/subscriptions/acknowledged") {
        this.#onNotification({ method, ...params && { params } });
      }
    }
    this.onmessage?.(message);
  }
}

/** The inner transport's options: the same, declared without `undefined`. */
type InnerSendOptions = Parameters<StreamableHTTPClientTransport["send"]>[1];
