/**
 * Speaks JSON-RPC with an upstream over a transport: relates answers, progress and questions to the
 * calls that they belong to, within bounds.
 *
 * Messages are only rewritten in their ids and progress tokens, and only validated in their
 * envelope: unknown fields pass through unchanged.
 *
 * @module
 */
import {
  type Clock,
  ErrorCode,
  type JsonObject,
  type JsonRpcResponse,
  McpError,
  type Notification,
  type RequestId,
} from "../../../mod.ts";
import {
  type Delay,
  DelayLine,
  isObject,
  isPromise,
  type JsonRpcNotification,
  type JsonRpcRequest,
  messageKind,
  MetaKey,
  onAbort,
} from "../../kit.ts";
import { UpstreamError } from "../shared/upstream_error.ts";
import type { Caller, Downstream, UpstreamCall } from "../types.ts";
import { UpstreamQuestions } from "./questions.ts";
import type { Message, Transport } from "./transport.ts";

/** Options for {@linkcode UpstreamConnection}. */
export interface ConnectionOptions {
  /** Provides the time. */
  readonly clock: Clock;
  /** Receives the messages that belong to no call. */
  readonly downstream: Downstream;
  /**
   * Limits the calls at a time.
   *
   * @default {1000}
   */
  readonly maxCalls?: number;
  /**
   * Limits the questions of the upstream at a time; more are answered with an error.
   *
   * @default {100}
   */
  readonly maxQuestions?: number;
  /**
   * Limits how long a call may wait for its answer or any other message of its own, in milliseconds.
   *
   * @default {300000}
   */
  readonly timeoutMs?: number;
  /**
   * Sets the id of the first request. Ids and progress tokens count up from it.
   *
   * @default {1}
   */
  readonly firstId?: number;
}

/** The name of the only request that may stay unanswered forever (2026-07-28, Subscriptions). */
const LISTEN = "subscriptions/listen";

/** The names of the notifications that belong to the session, on any stream. */
const SESSION_WIDE: ReadonlySet<string> = new Set([
  "notifications/tools/list_changed",
  "notifications/prompts/list_changed",
  "notifications/resources/list_changed",
  "notifications/resources/updated",
]);
/** The name of a notification that belongs to the session unless it comes on the stream of a call. */
const COMPLETE = "notifications/elicitation/complete";

/** A call that waits for its answer. */
interface UnansweredCall {
  readonly id: RequestId;
  readonly call: UpstreamCall;
  /** The client's own progress token, if it gave one. */
  readonly token: unknown;
  readonly resolve: (result: JsonObject) => void;
  readonly reject: (error: unknown) => void;
  /** Removes the listener of the call's signal. */
  readonly ignore: () => void;
  readonly timeout: Delay;
  /** The number of questions that the client has yet to answer for this call. */
  questions: number;
}

/**
 * Sends requests over a {@linkcode Transport}, and answers those of the upstream.
 *
 * @example
 * ```ts
 * import { systemClock } from "../../internal/clock.ts";
 * import { UpstreamConnection } from "./connection.ts";
 * import type { Transport } from "./transport.ts";
 *
 * const echo: Transport = {
 *   onmessage: undefined,
 *   onclose: undefined,
 *   send(message) {
 *     if ("id" in message) echo.onmessage?.({ jsonrpc: "2.0", id: message.id, result: {} });
 *   },
 *   close() {},
 * };
 * const downstream = { notified() {}, ask: () => Promise.resolve({}), ended() {} };
 * const connection = new UpstreamConnection(echo, { clock: systemClock, downstream });
 * await connection.close();
 * ```
 */
export class UpstreamConnection {
  readonly #transport: Transport;
  readonly #downstream: Downstream;
  readonly #maxCalls: number;
  readonly #calls = new Map<RequestId, UnansweredCall>();
  readonly #questions: UpstreamQuestions;
  readonly #timeouts: DelayLine;
  #nextId: number;
  /** The error that ended the connection. */
  #ended: { readonly error: unknown } | undefined;
  #closed: Promise<void> | undefined;

  /** Starts to receive messages. The transport must be ready to send. */
  constructor(transport: Transport, options: ConnectionOptions) {
    const { clock, downstream, maxCalls = 1000, maxQuestions = 100, timeoutMs = 300_000 } = options;
    this.#transport = transport;
    this.#nextId = options.firstId ?? 1;
    this.#downstream = downstream;
    this.#maxCalls = maxCalls;
    this.#questions = new UpstreamQuestions(
      maxQuestions,
      (response) => this.#sendQuietly(response),
    );
    this.#timeouts = new DelayLine(clock, timeoutMs);
    transport.onmessage = (message, relatedId) => this.#receive(message, relatedId);
    transport.onclose = (error) => this.fail(error);
    transport.onunsent = (id, error) => this.#finish(id)?.reject(error);
  }

  /** The number of calls that wait for their answer. */
  get pendingCalls(): number {
    return this.#calls.size;
  }

  /**
   * Sends a request and waits for its result.
   *
   * @throws {McpError} If the upstream answers with an error, too many calls run, or the call times out
   * @throws {AbortSignal["reason"]} If the call's signal aborts
   */
  request(call: UpstreamCall): Promise<JsonObject> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        const { error } = this.#ended;
        const { kind, detail } = error instanceof UpstreamError ? error : unsentError();
        throw new UpstreamError(kind, { ...detail !== undefined && { detail }, unsent: true });
      }
      call.signal.throwIfAborted();
      if (this.#calls.size >= this.#maxCalls) {
        throw new McpError(ErrorCode.Refused, "Call again later: the upstream is busy");
      }
      const id = this.#nextId++;
      const meta = call.params._meta;
      const token = isObject(meta) ? meta.progressToken : undefined;
      // Clients reuse tokens, so the upstream gets one that only this call has.
      const params = token === undefined
        ? call.params
        : { ...call.params, _meta: { ...meta as JsonObject, progressToken: id } }; // a token was in it
      const timeout = this.#timeouts.add(() =>
        this.#cancel(id, new McpError(ErrorCode.NotAvailable, "Request timed out"))
      );
      if (call.method === LISTEN) timeout.cancel();
      const ignore = onAbort(call.signal, () => this.#cancel(id, call.signal.reason));
      this.#calls.set(id, { id, call, token, resolve, reject, ignore, timeout, questions: 0 });
      this.#sendRequest({ jsonrpc: "2.0", id, method: call.method, params }, id);
    });
  }

  /** Sends a notification. */
  async notify({ method, params }: Notification, caller?: Caller): Promise<void> {
    if (this.#ended !== undefined) return;
    await this.#transport.send({ jsonrpc: "2.0", method, ...params && { params } }, caller);
  }

  /** Ends the connection: rejects every call, cancels every question. Safe to call twice. */
  close(): Promise<void> {
    this.#end(new UpstreamError("closed"));
    return this.#closed ??= (async () => await this.#transport.close())();
  }

  /** Sends a request. If that fails, rejects its call or ends the connection. */
  #sendRequest(message: JsonRpcRequest, id: RequestId): void {
    const failed = (error: unknown) => {
      if (error instanceof McpError) return this.#finish(id)?.reject(error);
      if (!(error instanceof UpstreamError) || !error.unsent) {
        if (this.#calls.has(id)) this.fail(error);
        return;
      }
      this.#finish(id)?.reject(error);
      // The others may have been read.
      this.fail(new UpstreamError(error.kind));
    };
    try {
      const sent = this.#transport.send(message, this.#calls.get(id)?.call);
      if (isPromise(sent)) sent.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  /** Sends a message whose failure can be ignored. */
  #sendQuietly(message: Message, caller?: Caller): void {
    if (this.#ended !== undefined) return;
    // A broken connection shows in its calls.
    (async () => await this.#transport.send(message, caller))().catch(() => {});
  }

  /** Rejects a call, and cancels it at the upstream. */
  #cancel(id: RequestId, reason: unknown): void {
    const pending = this.#finish(id);
    if (pending === undefined) return;
    pending.reject(reason);
    if (!this.#transport.abortCancels && pending.call.method !== "initialize") {
      this.#sendQuietly({
        jsonrpc: "2.0",
        method: "notifications/cancelled",
        params: { requestId: id, reason: reason instanceof Error ? reason.message : "Cancelled" },
      }, pending.call);
    }
    this.#transport.abort?.(id);
  }

  /** Removes a call. */
  #finish(id: RequestId): UnansweredCall | undefined {
    const pending = this.#calls.get(id);
    if (pending === undefined) return undefined;
    this.#calls.delete(id);
    pending.timeout.cancel();
    pending.ignore();
    return pending;
  }

  #receive(message: unknown, relatedId: RequestId | undefined): void {
    if (this.#ended !== undefined) return;
    if (Array.isArray(message)) {
      for (const each of message) if (!Array.isArray(each)) this.#receive(each, relatedId);
      return;
    }
    // `messageKind` has checked everything that each message type promises.
    switch (messageKind(message)) {
      case "response":
        return this.#receiveResponse(message as JsonRpcResponse, relatedId);
      case "notification":
        return this.#receiveNotification(message as JsonRpcNotification, relatedId);
      case "request":
        void this.#receiveRequest(message as JsonRpcRequest, relatedId);
    }
  }

  #receiveResponse(
    { id, result, error }: JsonRpcResponse,
    relatedId: RequestId | undefined,
  ): void {
    // A response on the stream of a request can only answer that request.
    if (id === null || (relatedId !== undefined && id !== relatedId)) return;
    const pending = this.#finish(id);
    if (pending === undefined) return;
    if (error === undefined) pending.resolve(result ?? {});
    else pending.reject(new McpError(error.code, error.message, error.data));
  }

  #receiveNotification(
    { method, params }: JsonRpcNotification,
    relatedId: RequestId | undefined,
  ): void {
    if (method === "notifications/cancelled") {
      // An id of any other type matches no question.
      return this.#questions.cancel(params?.requestId as RequestId);
    }
    if (method === "notifications/progress") return this.#receiveProgress(params ?? {});
    const notification = params === undefined ? { method } : { method, params };
    const subscription = this.#subscriptionOf(params);
    if (subscription !== undefined) return subscription.call.notify(notification);
    const isSessions = SESSION_WIDE.has(method) || (method === COMPLETE && relatedId === undefined);
    const pending = isSessions ? undefined : this.#callOf(relatedId);
    if (pending === undefined) return this.#downstream.notified(notification);
    if (pending.questions === 0) pending.timeout.restart();
    pending.call.notify(notification);
  }

  #receiveProgress(params: JsonObject): void {
    // A token of any other type matches no call.
    const pending = this.#calls.get(params.progressToken as RequestId);
    if (pending?.token === undefined) return;
    if (pending.questions === 0) pending.timeout.restart();
    const method = "notifications/progress";
    pending.call.notify({ method, params: { ...params, progressToken: pending.token } });
  }

  /** Finds the `subscriptions/listen` request that a notification belongs to. */
  #subscriptionOf(params: JsonObject | undefined): UnansweredCall | undefined {
    const meta = params?._meta;
    if (!isObject(meta)) return undefined;
    // An id of any other type matches no call.
    const pending = this.#calls.get(meta[MetaKey.SubscriptionId] as RequestId);
    return pending?.call.method === LISTEN ? pending : undefined;
  }

  /** Finds the call that a message belongs to, if that is known. */
  #callOf(relatedId: RequestId | undefined): UnansweredCall | undefined {
    if (relatedId !== undefined) return this.#calls.get(relatedId);
    if (!this.#transport.singleStream) return undefined;
    let only: UnansweredCall | undefined;
    for (const pending of this.#calls.values()) {
      if (pending.call.method === LISTEN) continue;
      if (only !== undefined) return undefined;
      only = pending;
    }
    return only;
  }

  async #receiveRequest(message: JsonRpcRequest, relatedId: RequestId | undefined): Promise<void> {
    const { id, method, params = {} } = message;
    if (method === "ping") return this.#sendQuietly({ jsonrpc: "2.0", id, result: {} });
    const pending = this.#callOf(relatedId);
    await this.#questions.answer(message, async (signal) => {
      if (pending === undefined) return await this.#downstream.ask(method, params, signal);
      // The call now waits for the client, not for the upstream: its timeout pauses.
      pending.questions++;
      pending.timeout.cancel();
      try {
        return await pending.call.ask(method, params);
      } finally {
        if (--pending.questions === 0 && this.#calls.has(pending.id)) pending.timeout.restart();
      }
    });
  }

  /** Ends the connection because of an error, and reports the error downstream. */
  fail(error: unknown): void {
    if (!this.#end(error)) return;
    // Nothing depends on how the transport closes.
    this.close().catch(() => {});
    this.#downstream.ended(error);
  }

  #end(error: unknown): boolean {
    if (this.#ended !== undefined) return false;
    this.#ended = { error };
    for (const id of [...this.#calls.keys()]) this.#finish(id)?.reject(error);
    this.#questions.clear(error);
    this.#timeouts.clear();
    return true;
  }
}

/** Creates the error of a request that can't have reached the upstream. */
function unsentError(): UpstreamError {
  return new UpstreamError("closed", { unsent: true });
}
