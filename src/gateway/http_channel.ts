/**
 * Carries messages over Streamable HTTP: a POST for each, whose answer is JSON or a stream, and in
 * the 2025 era a stream of the upstream's own.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { type Delay, DelayLine } from "../internal/delay_line.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import { HeaderName } from "../protocol/headers.ts";
import type { JsonRpcRequest, RequestId } from "../protocol/jsonrpc.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import { parseEvents } from "../streams/sse_parser.ts";
import { deadline } from "./bounded.ts";
import type { Channel, Message } from "./channel.ts";
import { discard, isAnswer, isStream, readJson } from "./http_body.ts";
import { HttpExchange } from "./http_exchange.ts";
import { type HeaderFields, type HeaderParams, mirroredHeaders } from "./http_headers.ts";
import type { HttpSettings } from "./http_options.ts";
import type { OpenInit, UpstreamCall } from "./types.ts";
import { fetchError, UpstreamError } from "./upstream_error.ts";

/** How long a stream may go on after its answer, in milliseconds. Read to its end it can be reused. */
const DRAIN_MS = 1000;
/** How long the upstream has to answer a GET with a stream, in milliseconds. */
const LISTEN_MS = 1000;
/** How long the upstream has to end the session, in milliseconds. */
const DELETE_MS = 2000;
/** How long it is before a broken stream is gone on with, in milliseconds; doubled each time. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** How long the upstream has to take what needs no answer, in milliseconds. */
const TELL_MS = 10_000;
/** How often in a row that may lead to nothing. */
const MOST_TRIES = 6;
/** How long the upstream has to answer each time, in milliseconds. */
const RESUME_MS = 10_000;

/** How far a stream was read, over all connections. */
interface Cursor {
  lastEventId: string | undefined;
  /** The wait that the upstream asked for, in milliseconds. */
  retryMs: number | undefined;
  /** How often in a row it ended without a message. */
  tries: number;
}

/** A session's messages over HTTP. */
export class HttpChannel implements Channel {
  onmessage: Channel["onmessage"];
  onclose: Channel["onclose"];
  onmissed: Channel["onmissed"];
  readonly #init: OpenInit;
  readonly #clock: Clock;
  readonly #exchange: HttpExchange;
  readonly #params: HeaderParams;
  readonly #open = new Map<RequestId, AbortController>();
  readonly #closing = new AbortController();
  readonly #draining: DelayLine;
  #closed: Promise<void> | undefined;

  constructor(settings: HttpSettings, init: OpenInit, params: HeaderParams) {
    this.#init = init;
    this.#clock = init.clock;
    this.#exchange = new HttpExchange(settings, init.principal);
    this.#params = params;
    this.#draining = new DelayLine(init.clock, DRAIN_MS);
  }

  get releaseCancels(): boolean {
    return this.#exchange.modern;
  }

  /** Keeps the version that was agreed on. */
  agree(version: ProtocolVersion): void {
    this.#exchange.agree(version);
  }

  async send(message: Message, call?: UpstreamCall): Promise<void> {
    if ("method" in message && "id" in message) return await this.#ask(message, call);
    const { signal, stop } = deadline(this.#clock, TELL_MS, this.#closing.signal);
    try {
      const response = await this.#post(message, this.#init.request, signal);
      if (response.status < 400) return discard(response);
      const error = await this.#exchange.refusal(response);
      if (error instanceof UpstreamError && error.kind === "not-found") this.onclose?.(error);
      throw error;
    } finally {
      stop();
    }
  }

  release(id: RequestId): void {
    this.#open.get(id)?.abort(new DOMException("Nobody waits for it", "AbortError"));
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    const reason = new UpstreamError("closed");
    this.#closing.abort(reason);
    for (const opened of this.#open.values()) opened.abort(reason);
    this.#draining.clear();
    if (this.#exchange.sessionId === undefined || this.#exchange.modern) return;
    const late = new AbortController();
    const stop = this.#clock.timer(DELETE_MS, () => late.abort(new UpstreamError("timeout")));
    try {
      const { request } = this.#init;
      discard(await this.#exchange.send({ method: "DELETE", request, signal: late.signal }));
    } catch {
      // The session is over, or ends by itself.
    } finally {
      stop();
    }
  }

  async #post(message: Message, request: Request, signal: AbortSignal): Promise<Response> {
    const own = mirroredHeaders(message, (tool) => this.#params.of(tool));
    const body = JSON.stringify(message);
    return await this.#exchange.send({ method: "POST", request, signal, own, body });
  }

  async #ask(message: JsonRpcRequest, call: UpstreamCall | undefined): Promise<void> {
    const { id, method } = message;
    this.#closing.signal.throwIfAborted();
    const opened = new AbortController();
    this.#open.set(id, opened);
    try {
      const request = call?.request ?? this.#init.request;
      const response = await this.#post(message, request, opened.signal);
      if (response.status >= 400) throw await this.#exchange.refusal(response, id, method);
      if (method === "initialize") this.#exchange.begin(response);
      if (isStream(response)) return await this.#streamed(message, response, opened);
      const answer = await readJson(response);
      this.onmessage?.(answer, id);
      if (!isAnswer(answer, id)) {
        throw new UpstreamError("protocol", { detail: "an answer to something else" });
      }
    } catch (error) {
      throw error instanceof McpError ? error : fetchError(error, this.#exchange.origin);
    } finally {
      this.#open.delete(id);
    }
  }

  /** Reads a stream to its answer and its end, coming back as often as it breaks before. */
  async #streamed(
    { id, method }: JsonRpcRequest,
    first: Response,
    opened: AbortController,
  ): Promise<void> {
    const cursor: Cursor = { lastEventId: undefined, retryMs: undefined, tries: 0 };
    for (let response = first;;) {
      if (await this.#read(response, cursor, id, opened)) return;
      opened.signal.throwIfAborted();
      if (method === "subscriptions/listen") {
        throw new McpError(ErrorCode.NotAvailable, "The subscription ended");
      }
      if (this.#exchange.modern || cursor.lastEventId === undefined) break;
      const next = await this.#resume(cursor, opened.signal);
      if (next === undefined) break;
      response = next;
    }
    throw new UpstreamError("closed", { detail: "the stream ended without an answer" });
  }

  /** Reads one connection, and tells whether the answer was on it. */
  async #read(
    { body }: Response,
    cursor: Cursor,
    id: RequestId | undefined,
    opened: AbortController,
  ): Promise<boolean> {
    if (body === null) return false;
    let draining: Delay | undefined;
    const onRetry = (ms: number) => cursor.retryMs = ms;
    try {
      for await (const event of parseEvents(body, { onRetry })) {
        if (event.id !== undefined) cursor.lastEventId = event.id || undefined;
        if (event.data === "" || (event.event ?? "message") !== "message" || draining) continue;
        const message = parse(event.data);
        cursor.tries = 0;
        this.onmessage?.(message, id);
        if (id === undefined || !isAnswer(message, id)) continue;
        draining = this.#draining.add(() => opened.abort());
      }
    } catch (error) {
      if (error instanceof RangeError) {
        throw new UpstreamError("protocol", { detail: "a message over 16 MiB" });
      }
      // A broken connection is gone on with like one that ended.
    } finally {
      draining?.cancel();
    }
    return draining !== undefined;
  }

  /**
   * Goes on with a stream after a while.
   *
   * @returns `undefined` when nobody is there any more, or it has been in vain too often
   * @throws {UpstreamError} If the upstream doesn't let the stream be gone on with
   */
  async #resume(cursor: Cursor, signal: AbortSignal): Promise<Response | undefined> {
    const { request } = this.#init;
    const own: HeaderFields | undefined = cursor.lastEventId === undefined
      ? undefined
      : { [HeaderName.LastEventId]: cursor.lastEventId };
    while (cursor.tries < MOST_TRIES) {
      const wait = cursor.retryMs ?? FIRST_WAIT_MS * 2 ** cursor.tries;
      cursor.tries++;
      await this.#pause(Math.min(wait, LONGEST_WAIT_MS), signal);
      let gone = false;
      const late = new AbortController();
      const stop = this.#clock.timer(RESUME_MS, () => late.abort(new UpstreamError("timeout")));
      const either = AbortSignal.any([signal, late.signal]);
      try {
        const response = await this.#exchange.send({ method: "GET", request, signal: either, own })
          .catch((error: unknown) => void (gone = isGone(error)));
        signal.throwIfAborted();
        if (gone) return undefined;
        if (response === undefined) continue;
        if (response.status < 300 && isStream(response)) return response;
        const error = await this.#exchange.refusal(response);
        if (response.status < 500) throw error;
      } finally {
        stop();
      }
    }
    return undefined;
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = this.#clock.timer(ms, resolve);
    const end = () => resolve();
    signal.addEventListener("abort", end, { once: true });
    await promise;
    stop();
    signal.removeEventListener("abort", end);
    signal.throwIfAborted();
  }

  /** Opens the upstream's own stream; one that refuses it, or doesn't answer soon, has none. */
  async listen(): Promise<boolean> {
    const opened = new AbortController();
    const end = () => opened.abort(this.#closing.signal.reason);
    this.#closing.signal.addEventListener("abort", end, { once: true });
    const stop = this.#clock.timer(LISTEN_MS, () => opened.abort(new UpstreamError("timeout")));
    const { request } = this.#init;
    try {
      const { signal } = opened;
      const response = await this.#exchange.send({ method: "GET", request, signal });
      if (response.status >= 300 || !isStream(response)) {
        discard(response);
        return false;
      }
      void this.#keepListening(response, opened);
      return true;
    } catch {
      return false;
    } finally {
      stop();
    }
  }

  /** Reads the upstream's own stream until the session is over. */
  async #keepListening(first: Response, opened: AbortController): Promise<void> {
    const cursor: Cursor = { lastEventId: undefined, retryMs: undefined, tries: 0 };
    try {
      for (let response = first;;) {
        await this.#read(response, cursor, undefined, opened);
        const resumes = cursor.lastEventId !== undefined;
        const next = await this.#resume(cursor, opened.signal);
        if (next === undefined) throw new UpstreamError("closed");
        response = next;
        // A connection that holds is no failure, even if nothing is said on it.
        cursor.tries = Math.min(cursor.tries, 1);
        if (!resumes) this.onmissed?.();
      }
    } catch (error) {
      if (!opened.signal.aborted) this.onclose?.(error);
    }
  }
}

/** Whether a failure means that nobody is there, and not that a connection broke. */
function isGone(error: unknown): boolean {
  return error instanceof UpstreamError && ["refused", "dns", "tls"].includes(error.kind);
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}
