/**
 * Serves one client over a pair of byte streams, with one JSON-RPC message in a line. A message takes the
 * way of an HTTP request behind the gates; the messages of a reply, which HTTP sends as JSON or as a
 * stream, become lines.
 *
 * @module
 */
import { type Endpoint, route } from "../handler/handler.ts";
import { versionsOfEra } from "../handler/settings.ts";
import type { Body } from "../http/gates/arrivals.ts";
import { Inbound } from "../http/inbound.ts";
import { internalError } from "../http/refusals.ts";
import { isRefusal, jsonReply, type Refusal, refusal, type Reply } from "../http/reply.ts";
import { complete, reportRefusal } from "../http/respond.ts";
import { LONGEST_MS } from "../internal/clock.ts";
import { Lines } from "../internal/lines.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { ErrorCode, errorObject, errorText, McpError } from "../protocol/errors.ts";
import { notificationText, type Principal } from "../protocol/exchange.ts";
import { HeaderName } from "../protocol/headers.ts";
import { isRequestId, type JsonObject, type RequestId } from "../protocol/jsonrpc.ts";
import { ownerKey, shareKey } from "../sessions/owner.ts";
import { framedData } from "../streams/sse.ts";
import { idOfCut, idOfInvalid, responseIds } from "./line_ids.ts";
import { LineWriter } from "./line_writer.ts";
import { streamMessages } from "./stream_messages.ts";

/** The URL of the requests that dispatchers see. */
const REQUEST_URL = "stdio:";
/** Bytes of lines that wait to be written, above which no more input is read. */
const MAX_WAITING = 256 * 1024;
/** The time for the client to read the last lines, in milliseconds. */
const FLUSH_MS = 1_000;
/** The same without a grace period: official clients kill a program 2 seconds after a signal. */
const HURRIED_FLUSH_MS = 250;
/** The time before a server-to-client stream that brought nothing is opened again, in milliseconds. */
const REOPEN_MS = 1_000;

/** Options for {@linkcode StdioConnection}. */
export interface StdioConnectionInit {
  readonly endpoint: Endpoint;
  readonly principal: Principal;
  readonly input: ReadableStream<Uint8Array>;
  readonly output: WritableStream<Uint8Array>;
  /** The time that running requests have when the input ends, in milliseconds. */
  readonly graceMs: number;
}

/** The requests of one line that have no response yet. */
interface RunningLine {
  readonly ids: Set<RequestId>;
  /** Whether it is a `subscriptions/listen` request (2026). */
  readonly listen: boolean;
  readonly modern: boolean;
  /** The line's messages, and what they are about. */
  readonly inbound: Inbound;
  /** Aborts the request's signal. */
  readonly abort?: () => void;
  cancelled: boolean;
}

/** The session that `initialize` began (2025). */
interface Session {
  readonly id: string;
  readonly request: Request;
}

/** A client, from its first line to the end of its input. */
export class StdioConnection {
  /** Resolves when everything has ended. Never rejects. */
  readonly finished: Promise<void>;
  readonly #init: StdioConnectionInit;
  readonly #output: LineWriter;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #lines: Lines;
  /** The requests that wait for a response, and what writes their replies. */
  readonly #running = new Map<RunningLine, Promise<void>>();
  readonly #bare = new Request(REQUEST_URL, { method: "POST" });
  readonly #finish: () => void;
  readonly #endGrace = new AbortController();
  #session: Session | undefined;
  #closing = false;

  /**
   * Begins to read.
   *
   * @throws {TypeError} If a stream is locked
   */
  constructor(init: StdioConnectionInit) {
    this.#init = init;
    const { bodyBytes } = init.endpoint.components.settings.gates;
    // With room for the CR before the end.
    this.#lines = new Lines({ maxBytes: bodyBytes + 1, cut: true });
    this.#output = new LineWriter(init.output, MAX_WAITING);
    this.#reader = init.input.getReader();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#finish = resolve;
    void this.#output.ended.then(() => this.close(0));
    void this.#read();
  }

  /**
   * Lets running requests finish for `graceMs` milliseconds, cancels the rest, and writes what is left.
   * Closing again with 0 ends the grace period of the first time.
   */
  async close(graceMs: number): Promise<void> {
    if (graceMs === 0) this.#endGrace.abort();
    if (!this.#closing) {
      this.#closing = true;
      const { endpoint: { components: { reporter }, close } } = this.#init;
      this.#reader.cancel().catch(() => {});
      this.#abortQuestions();
      // The endpoint would cut off responses that wait to be written.
      const replies = [...this.#running].filter(([{ listen }]) => !listen);
      await within(graceMs, replies.map(([, written]) => written), this.#endGrace.signal);
      await close({ graceMs: 0 }).catch((error: unknown) => reporter.failed("closing", error));
      const flushMs = this.#endGrace.signal.aborted ? HURRIED_FLUSH_MS : FLUSH_MS;
      const flushed = await within(flushMs, [...this.#running.values()]);
      await this.#output.close(flushed ? flushMs : 0);
      this.#finish();
    }
    await this.finished;
  }

  async #read(): Promise<void> {
    const { endpoint: { components: { reporter } }, graceMs } = this.#init;
    try {
      while (!this.#closing) {
        const { done, value } = await this.#reader.read();
        if (this.#closing) return;
        // Some programs leave out the last line's end.
        const lines = done ? [this.#lines.rest()] : this.#lines.push(value);
        for (const line of lines) {
          // Also without a promise: a reply that is there counts as waiting when this continues.
          await this.#takeLine(line, this.#lines.cutEnd);
          const room = this.#output.room();
          if (room !== undefined) await room;
          if (this.#closing) return;
        }
        if (done) break;
      }
    } catch (error) {
      reporter.failed("reading the input", error);
    }
    await this.close(graceMs);
  }

  /**
   * Handles a line.
   *
   * @param cutEnd The last bytes of a line of which the rest is left out
   * @returns A promise if the lines that follow must wait
   */
  #takeLine(line: Uint8Array, cutEnd: Uint8Array | undefined): MaybePromise<void> {
    const { gates, settings, reporter } = this.#init.endpoint.components;
    const tooLong = cutEnd !== undefined || line.length > settings.gates.bodyBytes;
    if (!tooLong && isBlank(line)) return;
    const inbound = this.#inbound(this.#bare);
    const body: Body = tooLong ? { missing: "too-large" } : line;
    const refused = gates.passBody(inbound, body);
    if (refused === undefined) return this.#take(inbound);
    reportRefusal(refused, reporter);
    const { error } = refused;
    const id = refused.id ?? (tooLong ? idOfCut(line, cutEnd ?? line) : idOfInvalid(line));
    // The client can't answer a question with a line that long: the tool should know.
    if (id !== undefined && this.#failQuestion(id, error)) return;
    void this.#output.write(errorText(id ?? null, error));
  }

  /** Handles a message, or a batch of them. */
  #take(parsed: Inbound): MaybePromise<void> {
    const { content, bodyLength, isModern: modern } = parsed;
    const method = content.kind === "request" || content.kind === "notification"
      ? content.message.method
      : undefined;
    const aborter = modern ? new AbortController() : undefined;
    const inbound = this.#inbound(
      aborter === undefined
        ? this.#session?.request ?? this.#bare
        : new Request(REQUEST_URL, { method: "POST", signal: aborter.signal }),
    );
    inbound.content = content;
    inbound.bodyLength = bodyLength;
    if (content.kind === "notification" && method === "notifications/cancelled") {
      this.#cancel(content.message.params);
    }
    const running: RunningLine = {
      ids: new Set(inbound.requests.map(({ id }) => id)),
      listen: modern && method === "subscriptions/listen",
      modern,
      inbound,
      abort: aborter && (() => aborter.abort()),
      cancelled: false,
    };
    const reply = this.#answer(inbound, running);
    if (method === "initialize" && !modern) {
      // What follows belongs to the session that this begins.
      return Promise.resolve(reply).then((reply) => this.#begin(reply, running));
    }
    if (running.ids.size > 0) this.#deliver(reply, running);
  }

  #inbound(request: Request): Inbound {
    const inbound = new Inbound(request);
    const { principal } = this.#init;
    inbound.principal = principal;
    inbound.owner = ownerKey(principal);
    inbound.share = shareKey(inbound.owner);
    inbound.repeatsInHeaders = false;
    inbound.localPeer = "pipe";
    return inbound;
  }

  /** Returns the reply to a message. Never rejects. */
  #answer(inbound: Inbound, running: RunningLine): MaybePromise<Reply> {
    const { components, eras } = this.#init.endpoint;
    const { settings, reporter } = components;
    const done = (reply: Reply) => complete(inbound, reply, settings.gates, reporter);
    const failed = (error: unknown) => done(internalError(error));
    try {
      const reply = this.#tooEarly(inbound) ??
        route(components, eras, inbound, () => running.cancelled);
      return isPromise(reply) ? reply.then(done).catch(failed) : done(reply);
    } catch (error) {
      return failed(error);
    }
  }

  /** Answers what a client sends before `initialize` and without the `_meta` of the 2026 era. */
  #tooEarly(inbound: Inbound): Reply | undefined {
    const { content, isModern, requestId } = inbound;
    const { versions } = this.#init.endpoint.components.settings;
    if (this.#session !== undefined || isModern || versionsOfEra(versions, "2025").length === 0) {
      return undefined;
    }
    if (content.kind === "request") {
      const { id, method } = content.message;
      if (method === "initialize") return undefined;
      if (method === "ping") return jsonReply(JSON.stringify({ jsonrpc: "2.0", id, result: {} }));
    }
    return refusal({
      status: 400,
      code: ErrorCode.InvalidRequest,
      message: "Send initialize first, or with 2026-07-28 the protocol version in _meta",
      reason: "session-missing",
      id: requestId,
    });
  }

  /** Begins the session of an `initialize` response. The session before it ends. */
  async #begin(reply: Reply, running: RunningLine): Promise<void> {
    const id = reply.headers[HeaderName.SessionId];
    const { sessions } = this.#init.endpoint.components;
    if (id !== undefined) {
      const before = this.#session;
      const headers = { [HeaderName.SessionId]: id };
      this.#session = { id, request: new Request(REQUEST_URL, { method: "POST", headers }) };
      if (before !== undefined) await sessions.end(before.id, "ended");
    }
    this.#deliver(reply, running);
    if (id === undefined || this.#session?.id !== id) return;
    const { reporter } = this.#init.endpoint.components;
    this.#follow(this.#session)
      .catch((error: unknown) => reporter.failed("reading a stream", error));
  }

  /** Writes a reply when it is there. */
  #deliver(reply: MaybePromise<Reply>, running: RunningLine): void {
    const { reporter } = this.#init.endpoint.components;
    const written = Promise.resolve(reply)
      .then((reply) => this.#write(reply, running))
      .catch((error: unknown) => reporter.failed("writing a response", error))
      .then(() => this.#writeLost(running))
      .finally(() => this.#running.delete(running));
    this.#running.set(running, written);
  }

  /** Writes the messages of a reply. */
  async #write(reply: Reply, running: RunningLine): Promise<void> {
    const session = this.#session;
    let last = await this.#writeBody(reply, running);
    // The stream of a slow reader breaks off, as over HTTP, and is resumed when there is room again.
    while (last !== undefined && running.ids.size > 0 && !running.cancelled) {
      if (running.modern || session === undefined || this.#session !== session) break;
      const resumed = await this.#get(session, last, running);
      if (isRefusal(resumed)) break;
      last = await this.#writeBody(resumed, running);
    }
  }

  /** Answers the requests that have no response, unless the client cancelled them. */
  async #writeLost(running: RunningLine): Promise<void> {
    if (running.cancelled) return;
    for (const id of running.ids) {
      await this.#output.write(running.listen ? cancelledText(id) : errorText(id, LOST));
    }
  }

  /**
   * Writes the messages of a reply's body.
   *
   * @returns The event id to resume with, if the body is a stream that has one
   */
  async #writeBody(reply: Reply, running?: RunningLine): Promise<string | undefined> {
    const { body } = reply;
    if (body === null) return undefined;
    const stream = reply.headers["content-type"] === "text/event-stream";
    if (typeof body === "string") {
      // A priming event has an id only.
      const texts = stream
        ? framedData(body).filter((data) => data !== "")
        : this.#texts(reply, body, running);
      for (const text of texts) await this.#writeMessage(text, running);
      return undefined;
    }
    let last: string | undefined;
    for await (const { id, data } of streamMessages(body)) {
      last = id ?? last;
      if (data !== "" && !await this.#writeMessage(data, running)) return undefined;
    }
    return last;
  }

  /** Returns the messages of a JSON reply. A refusal that names no request is that of all in the line. */
  #texts(reply: Reply, body: string, running: RunningLine | undefined): string[] {
    if (!isRefusal(reply) || running === undefined) return [body];
    const { scopes } = running.inbound.route ?? {};
    const error = reply.reason === "forbidden" && scopes !== undefined
      ? errorObject(reply.error.code, SCOPES_NEEDED, { requiredScopes: scopes })
      : reply.error;
    return [...running.ids].map((id) => errorText(id, error));
  }

  /** Writes a message, unless its request was cancelled. Returns `false` if the client is gone. */
  async #writeMessage(text: string, running: RunningLine | undefined): Promise<boolean> {
    if (running === undefined) return await this.#output.write(text);
    if (running.cancelled) return true;
    for (const id of responseIds(text)) running.ids.delete(id);
    return await this.#output.write(text);
  }

  /** Writes what the server sends outside of requests, for as long as the session lasts. */
  async #follow(session: Session): Promise<void> {
    const { clock } = this.#init.endpoint.components.settings;
    let last: string | undefined;
    while (this.#session === session && !this.#closing) {
      const reply = await this.#get(session, last);
      if (isRefusal(reply) && reply.status !== 503) return;
      const newest = await this.#writeBody(isRefusal(reply) ? { ...reply, body: null } : reply);
      if (newest === undefined || newest === last) {
        await new Promise<void>((resolve) => clock.timer(REOPEN_MS, resolve));
      }
      last = newest ?? last;
    }
  }

  /** Opens the server-to-client stream, or resumes a stream. */
  async #get(session: Session, last: string | undefined, running?: RunningLine): Promise<Reply> {
    const headers = {
      [HeaderName.SessionId]: session.id,
      ...last !== undefined && { [HeaderName.LastEventId]: last },
    };
    const inbound = this.#inbound(new Request(REQUEST_URL, { headers }));
    const { components, eras } = this.#init.endpoint;
    try {
      return await route(components, eras, inbound, () => running?.cancelled === true);
    } catch (error) {
      components.reporter.failed("opening a stream", error);
      return internalError(error);
    }
  }

  /** Cancels the requests with an id; those of the 2025 era are cancelled by their session. */
  #cancel({ requestId, reason }: JsonObject = {}): void {
    if (!isRequestId(requestId)) return;
    const { calls } = this.#init.endpoint.components;
    // It comes before the signal, whose reason would be that the client disconnected.
    calls.sessionless.cancel(requestId, typeof reason === "string" ? reason : undefined);
    for (const running of this.#running.keys()) {
      if (!running.ids.has(requestId)) continue;
      // The others of a batch go on, and no response is made.
      if (running.ids.size === 1) running.cancelled = true;
      else running.ids.delete(requestId);
      running.abort?.();
    }
  }

  get #questions() {
    const { live } = this.#init.endpoint.components.sessions;
    return this.#session && live.get(this.#session.id)?.questions;
  }

  /** Fails a question to the client. Returns `false` if there is none of that id. */
  #failQuestion(id: RequestId, error: Refusal["error"]): boolean {
    return this.#questions?.settle({ jsonrpc: "2.0", id, error }) === true;
  }

  /** Fails all questions: when the input has ended, no answer can come. */
  #abortQuestions(): void {
    this.#questions?.abortAll(new McpError(ErrorCode.NotAvailable, "The client closed the input"));
  }
}

const SCOPES_NEEDED = 'Give the scopes that this tool needs in the option "principal"';
const LOST = errorObject(
  ErrorCode.InternalError,
  "The response was dropped: read the output faster, or raise the option limits.eventBytes",
);

/** Ends a `subscriptions/listen` request without a result (2026-07-28, Cancellation). */
function cancelledText(requestId: RequestId): string {
  return notificationText({ method: "notifications/cancelled", params: { requestId } });
}

function isBlank(line: Uint8Array): boolean {
  return line.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d);
}

/**
 * Waits for work for at most `ms` milliseconds, and no longer when the signal aborts.
 *
 * @returns Whether the work is done
 */
async function within(
  ms: number,
  work: readonly Promise<void>[],
  signal?: AbortSignal,
): Promise<boolean> {
  if (work.length === 0 || signal?.aborted) return work.length === 0;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), Math.min(ms, LONGEST_MS));
  signal?.addEventListener("abort", () => resolve(false), { once: true });
  Promise.all(work).then(() => resolve(true));
  const done = await promise;
  clearTimeout(timer);
  return done;
}
