/**
 * Carries the messages of one session over Streamable HTTP: each in a POST, whose response is JSON or
 * a stream, and in the 2025 era also on a stream that a GET opens.
 *
 * @module
 */
import {
  type Clock,
  ErrorCode,
  McpError,
  type ProtocolVersion,
  type RequestId,
} from "../../../mod.ts";
import {
  type Delay,
  DelayLine,
  HeaderName,
  type JsonRpcRequest,
  randomFraction,
} from "../../kit.ts";
import type { Message, Transport } from "../client/transport.ts";
import { parseUpstreamJson } from "../shared/parse_json.ts";
import { abortable, deadline, withDeadline } from "../shared/deadline.ts";
import { TaskQueue } from "../shared/task_queue.ts";
import { fetchError, UpstreamError } from "../shared/upstream_error.ts";
import type { Caller, OpenInit } from "../types.ts";
import { discard, isAnswer, isStream, readEvents, readJson } from "./http_body.ts";
import { HttpRequests, type HttpTarget } from "./http_requests.ts";
import { type HeaderFields, type HeaderParams, mirroredHeaders } from "./mirrored_headers.ts";

/** The longest time a stream is read after its answer, to reuse its connection, in milliseconds. */
const LINGER_MS = 1000;
/** The longest wait for the upstream's own stream, in milliseconds. */
const SERVER_STREAM_MS = 1000;
/** The longest wait for the end of a session, in milliseconds. */
const DELETE_MS = 2000;
/** The longest wait for the response to a notification or an answer, in milliseconds. */
const NOTIFY_MS = 10_000;
/** The most notifications and answers that are sent at a time, and those that wait. */
const MAX_SENDS = 8;
const MAX_WAITING_SENDS = 256;
/**
 * Delays the resumption of a stream, in milliseconds, for any `retry` that the upstream sends; doubled
 * with each connection on which no message arrived.
 */
const FIRST_RESUME_MS = 1000;
const MAX_RESUME_MS = 30_000;
/** The longest wait for the response when resuming, in milliseconds. */
const RESUME_TIMEOUT_MS = 10_000;
/** The most resumptions in a row without a message. */
const MAX_RESUMES = 6;

/** Remembers how far a stream was read, over all of its connections. */
class StreamPosition {
  lastEventId: string | undefined;
  /** The delay before resuming that the upstream asked for, in milliseconds. */
  retryMs: number | undefined;
  /** The number of resumptions since the last message, or since a connection opened. */
  resumes = 0;
  /** The number of connections in a row that were short and without a message. */
  empty = 0;
  /** When the connection opened, in milliseconds since the epoch. */
  openedAt = 0;
  /** Stops reading a while after the answer; set once the answer has arrived. */
  lingering: Delay | undefined;
}

/** Carries the messages of one session over HTTP. */
export class HttpTransport implements Transport {
  onmessage: Transport["onmessage"];
  onclose: Transport["onclose"];
  onlost: Transport["onlost"];
  /** The latest caller, on whose behalf everything is sent that belongs to no other. */
  #caller: Caller;
  readonly #init: Pick<OpenInit, "name" | "report">;
  readonly #clock: Clock;
  readonly #requests: HttpRequests;
  readonly #params: HeaderParams;
  /** What aborts each request that waits for its answer. */
  readonly #pending = new Map<RequestId, AbortController>();
  readonly #closing = new AbortController();
  readonly #lingers: DelayLine;
  readonly #sends = new TaskQueue(MAX_SENDS, MAX_WAITING_SENDS);
  #closed: Promise<void> | undefined;

  constructor(target: HttpTarget, init: OpenInit, params: HeaderParams) {
    this.#caller = { principal: init.principal, request: init.request };
    this.#init = { name: init.name, report: init.report };
    this.#clock = init.clock;
    this.#requests = new HttpRequests(target, init.name);
    this.#params = params;
    this.#lingers = new DelayLine(init.clock, LINGER_MS);
  }

  get abortCancels(): boolean {
    return this.#requests.isModern;
  }

  /** Keeps the negotiated version. */
  setVersion(version: ProtocolVersion): void {
    this.#requests.setVersion(version);
  }

  async send(message: Message, given: Caller = this.#caller): Promise<void> {
    const { principal, request } = given;
    const caller = { principal, request };
    if ("method" in message && "id" in message) {
      this.#caller = caller;
      return await this.#sendRequest(message, caller);
    }
    const sent = this.#sends.run(() => this.#sendInTime(message, caller));
    if (sent !== undefined) return await sent;
    const method = "method" in message ? message.method : "response";
    this.#init.report({ type: "upstream-message-dropped", upstream: this.#init.name, method });
  }

  /** Sends a notification or an answer. */
  async #sendInTime(message: Message, caller: Caller): Promise<void> {
    this.#closing.signal.throwIfAborted();
    const limit = { clock: this.#clock, ms: NOTIFY_MS, signal: this.#closing.signal };
    await withDeadline(limit, async (signal) => {
      const response = await this.#post(message, caller, signal);
      if (response.status < 400) return discard(response);
      const error = await this.#requests.errorOf(response);
      if (error instanceof UpstreamError && error.kind === "not-found") this.onclose?.(error);
      throw error;
    });
  }

  abort(id: RequestId): void {
    this.#pending.get(id)?.abort(new DOMException("The answer isn't awaited", "AbortError"));
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    const reason = new UpstreamError("closed");
    this.#closing.abort(reason);
    for (const controller of this.#pending.values()) controller.abort(reason);
    this.#lingers.clear();
    if (!this.#requests.hasSession) return;
    const caller = this.#caller;
    try {
      await withDeadline({ clock: this.#clock, ms: DELETE_MS }, async (signal) => {
        discard(await this.#requests.send({ method: "DELETE", caller, signal }));
      });
    } catch {
      // The session is over already, or expires at the upstream.
    }
  }

  async #post(message: Message, caller: Caller, signal: AbortSignal): Promise<Response> {
    const headers = mirroredHeaders(message, (tool) => this.#params.of(tool));
    const body = JSON.stringify(message);
    return await this.#requests.send({ method: "POST", caller, signal, headers, body });
  }

  async #sendRequest(message: JsonRpcRequest, caller: Caller): Promise<void> {
    const { id, method } = message;
    this.#closing.signal.throwIfAborted();
    const controller = new AbortController();
    this.#pending.set(id, controller);
    try {
      const response = await this.#post(message, caller, controller.signal);
      if (response.status >= 400) throw await this.#requests.errorOf(response, id, method);
      if (method === "initialize") this.#requests.setSession(response);
      if (isStream(response)) {
        return await this.#readToAnswer(message, caller, response, controller);
      }
      const answer = await readJson(response);
      this.onmessage?.(answer, id);
      if (!isAnswer(answer, id)) {
        throw new UpstreamError("protocol", { detail: "an answer to another request" });
      }
    } catch (error) {
      throw error instanceof McpError ? error : fetchError(error, this.#requests.origin);
    } finally {
      this.#pending.delete(id);
    }
  }

  /** Reads a stream until its answer, and to its end. Resumes it if it breaks before the answer. */
  async #readToAnswer(
    { id, method }: JsonRpcRequest,
    caller: Caller,
    first: Response,
    controller: AbortController,
  ): Promise<void> {
    const { signal } = controller;
    const position = new StreamPosition();
    const onMessage = (data: string) => {
      if (position.lingering !== undefined) return;
      const message = parse(data);
      this.onmessage?.(message, id);
      if (isAnswer(message, id)) position.lingering = this.#lingers.add(() => controller.abort());
    };
    for (let response = first;;) {
      try {
        await this.#readConnection(response, position, onMessage);
      } finally {
        position.lingering?.cancel();
      }
      if (position.lingering !== undefined) return;
      signal.throwIfAborted();
      if (method === "subscriptions/listen") {
        throw new McpError(ErrorCode.NotAvailable, "The subscription ended");
      }
      if (this.#requests.isModern || position.lastEventId === undefined) break;
      const next = await this.#resume(position, signal, caller);
      if (next === undefined) break;
      response = next;
    }
    throw new UpstreamError("closed", { detail: "the stream ended without an answer" });
  }

  /**
   * Reads one connection of a stream to its end, whether it ends regularly or breaks.
   *
   * @throws {UpstreamError} If a message is too large
   */
  async #readConnection(
    { body }: Response,
    position: StreamPosition,
    onMessage: (data: string) => void,
  ): Promise<void> {
    position.openedAt = this.#clock.now();
    if (body === null) return;
    try {
      await readEvents(body, {
        onId: (id) => position.lastEventId = id || undefined,
        onRetry: (ms) => position.retryMs = ms,
        onMessage: (data) => {
          position.resumes = 0;
          position.empty = 0;
          onMessage(data);
        },
      });
    } catch (error) {
      if (error instanceof UpstreamError && error.kind === "protocol") throw error;
      // A broken connection is resumed like one that ended.
    }
  }

  /**
   * Resumes a stream after a delay, and again until it works or was tried too often.
   *
   * @param caller Whose call the stream belongs to; by default the latest caller each time
   * @returns The response with the rest; `undefined` if the upstream is gone or too many tries failed
   * @throws {UpstreamError} If the upstream rejects the resumption
   */
  async #resume(
    position: StreamPosition,
    signal: AbortSignal,
    caller?: Caller,
  ): Promise<Response | undefined> {
    const { lastEventId } = position;
    while (position.resumes < MAX_RESUMES) {
      position.resumes++;
      await this.#sleep(this.#resumeDelay(position), signal);
      const outcome = await this.#tryResume(lastEventId, signal, caller ?? this.#caller);
      if (outcome === "gone") return undefined;
      if (outcome !== "failed") return outcome;
    }
    return undefined;
  }

  /**
   * Returns how long to wait before a stream is resumed: what the upstream asked for within bounds, and up
   * to a quarter more, so that streams that broke together aren't resumed together.
   */
  #resumeDelay(position: StreamPosition): number {
    const lasted = this.#clock.now() - position.openedAt;
    if (lasted >= MAX_RESUME_MS && position.resumes === 1) position.empty = 0;
    const least = Math.min(FIRST_RESUME_MS * 2 ** position.empty++, MAX_RESUME_MS);
    const ms = Math.min(Math.max(position.retryMs ?? 0, least), MAX_RESUME_MS);
    return ms * (1 + randomFraction() / 4);
  }

  async #tryResume(
    lastEventId: string | undefined,
    signal: AbortSignal,
    caller: Caller,
  ): Promise<Response | "gone" | "failed"> {
    const headers: HeaderFields = lastEventId === undefined
      ? {}
      : { [HeaderName.LastEventId]: lastEventId };
    const limit = deadline(this.#clock, RESUME_TIMEOUT_MS);
    // The limit is cleared with the response's headers; `signal` still aborts the body.
    const either = AbortSignal.any([signal, limit.signal]);
    try {
      const response = await this.#requests
        .send({ method: "GET", caller, signal: either, headers })
        .catch((error: unknown) => isGone(error) ? "gone" : "failed");
      signal.throwIfAborted();
      if (typeof response === "string") return response;
      if (response.status < 300 && isStream(response)) return response;
      const error = await this.#requests.errorOf(response);
      if (response.status < 500) throw error;
      return "failed";
    } finally {
      limit.clear();
    }
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stopTimer = this.#clock.timer(ms, resolve);
    try {
      await abortable(promise, signal);
    } finally {
      stopTimer();
    }
  }

  /** Opens the upstream's own stream. An upstream that rejects it, or answers late, has none. */
  async openServerStream(): Promise<boolean> {
    const caller = this.#caller;
    const limit = deadline(this.#clock, SERVER_STREAM_MS);
    const signal = AbortSignal.any([this.#closing.signal, limit.signal]);
    try {
      const response = await this.#requests.send({ method: "GET", caller, signal });
      if (response.status >= 300 || !isStream(response)) {
        discard(response);
        return false;
      }
      void this.#readServerStream(response, signal);
      return true;
    } catch {
      return false;
    } finally {
      limit.clear();
    }
  }

  /** Reads the upstream's own stream until the session is over. */
  async #readServerStream(first: Response, signal: AbortSignal): Promise<void> {
    const position = new StreamPosition();
    const onMessage = (data: string) => this.onmessage?.(parse(data));
    try {
      for (let response = first;;) {
        await this.#readConnection(response, position, onMessage);
        const isReplayed = position.lastEventId !== undefined;
        const next = await this.#resume(position, signal);
        if (next === undefined) throw new UpstreamError("closed");
        response = next;
        // A connection that opens is a success, even if no message arrives on it.
        position.resumes = Math.min(position.resumes, 1);
        if (!isReplayed) this.onlost?.();
      }
    } catch (error) {
      if (!signal.aborted) this.onclose?.(error);
    }
  }
}

/** Tells whether a failure means that the upstream is gone, not just that a connection broke. */
function isGone(error: unknown): boolean {
  return error instanceof UpstreamError && ["refused", "dns", "tls"].includes(error.kind);
}

function parse(data: string): unknown {
  try {
    return parseUpstreamJson(data);
  } catch {
    return undefined;
  }
}
