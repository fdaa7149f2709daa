/**
 * One side of a JSON-RPC conversation, over anything that carries messages: answers find their
 * calls, progress and questions the call they belong to, and everything is bounded.
 *
 * What goes through is never rewritten but for ids and progress tokens, and never validated beyond
 * its envelope: fields that nobody here knows arrive as they were sent.
 *
 * @module
 */
import { type Delay, DelayLine } from "../internal/delay_line.ts";
import { isPromise } from "../internal/types.ts";
import { MetaKey } from "../protocol/envelope.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { Notification } from "../protocol/exchange.ts";
import {
  isObject,
  type JsonObject,
  type JsonRpcNotification,
  type JsonRpcRequest,
  type JsonRpcResponse,
  messageKind,
  type RequestId,
} from "../protocol/jsonrpc.ts";
import { onAbort } from "../calls/scope.ts";
import type { Channel, Message, PeerOptions } from "./channel.ts";
import { PeerQuestions } from "./peer_questions.ts";
import type { Downstream, UpstreamCall } from "./types.ts";
import { UpstreamError } from "./upstream_error.ts";

export type { Channel, Message, PeerOptions } from "./channel.ts";

/** The one request that is answered when it ends, which may be never (2026-07-28, Subscriptions). */
const LISTEN = "subscriptions/listen";

/** Notifications that are about the session, whichever stream they come on. */
const SESSION_WIDE: ReadonlySet<string> = new Set([
  "notifications/tools/list_changed",
  "notifications/prompts/list_changed",
  "notifications/resources/list_changed",
  "notifications/resources/updated",
  "notifications/elicitation/complete",
]);

/** A call that waits for its answer. */
interface Running {
  readonly id: RequestId;
  readonly call: UpstreamCall;
  /** The client's own progress token, if it gave one. */
  readonly token: unknown;
  readonly resolve: (result: JsonObject) => void;
  readonly reject: (error: unknown) => void;
  readonly ignore: () => void;
  readonly delay: Delay;
  asking: number;
}

/**
 * Sends requests over a {@linkcode Channel}, and answers those of the other side.
 *
 * @example
 * ```ts
 * import { systemClock } from "../internal/clock.ts";
 * import { type Channel, Peer } from "./peer.ts";
 *
 * const echo: Channel = {
 *   onmessage: undefined,
 *   onclose: undefined,
 *   send(message) {
 *     if ("id" in message) echo.onmessage?.({ jsonrpc: "2.0", id: message.id, result: {} });
 *   },
 *   close() {},
 * };
 * const downstream = { notified() {}, ask: () => Promise.resolve({}), ended() {} };
 * const peer = new Peer(echo, { clock: systemClock, downstream });
 * await peer.close();
 * ```
 */
export class Peer {
  readonly #channel: Channel;
  readonly #downstream: Downstream;
  readonly #maxCalls: number;
  readonly #calls = new Map<RequestId, Running>();
  readonly #questions: PeerQuestions;
  readonly #delays: DelayLine;
  #nextId = 1;
  /** What ended the conversation. */
  #over: { readonly error: unknown } | undefined;
  #closed: Promise<void> | undefined;

  /** Begins to listen. The channel must be ready to send. */
  constructor(channel: Channel, options: PeerOptions) {
    const { clock, downstream, maxCalls = 1000, maxQuestions = 100, timeoutMs = 300_000 } = options;
    this.#channel = channel;
    this.#downstream = downstream;
    this.#maxCalls = maxCalls;
    this.#questions = new PeerQuestions(maxQuestions, (response) => this.#tell(response));
    this.#delays = new DelayLine(clock, timeoutMs);
    channel.onmessage = (message, about) => this.#take(message, about);
    channel.onclose = (error) => this.fail(error);
  }

  /** How many calls wait for their answer. */
  get running(): number {
    return this.#calls.size;
  }

  /**
   * Sends a request and waits for its result.
   *
   * @throws {McpError} What the other side answered, or that too much runs already or it took too long
   * @throws {AbortSignal["reason"]} When the call's signal aborts
   */
  request(call: UpstreamCall): Promise<JsonObject> {
    return new Promise((resolve, reject) => {
      if (this.#over !== undefined) throw this.#over.error;
      call.signal.throwIfAborted();
      if (this.#calls.size >= this.#maxCalls) {
        throw new McpError(ErrorCode.Refused, "Call again later: the upstream is busy");
      }
      const id = this.#nextId++;
      const meta = call.params._meta;
      const token = isObject(meta) ? meta.progressToken : undefined;
      // Clients reuse tokens, so the upstream gets one that is this call's alone.
      const params = token === undefined
        ? call.params
        : { ...call.params, _meta: { ...meta as JsonObject, progressToken: id } }; // a token was in it
      const delay = this.#delays.add(() =>
        this.#abandon(id, new McpError(ErrorCode.NotAvailable, "Request timed out"))
      );
      if (call.method === LISTEN) delay.cancel();
      const ignore = onAbort(call.signal, () => this.#abandon(id, call.signal.reason));
      this.#calls.set(id, { id, call, token, resolve, reject, ignore, delay, asking: 0 });
      this.#send({ jsonrpc: "2.0", id, method: call.method, params }, id);
    });
  }

  /** Sends a notification. */
  async notify({ method, params }: Notification): Promise<void> {
    if (this.#over !== undefined) return;
    await this.#channel.send({ jsonrpc: "2.0", method, ...params && { params } });
  }

  /** Ends the conversation: every call fails, every question is let go of. Safe to call twice. */
  close(): Promise<void> {
    this.#end(new UpstreamError("closed"));
    return this.#closed ??= (async () => await this.#channel.close())();
  }

  /** Sends a request; what keeps it from being sent or answered fails it, or everything. */
  #send(message: JsonRpcRequest, id: RequestId): void {
    const failed = (error: unknown) => {
      if (error instanceof McpError) this.#finish(id)?.reject(error);
      else if (this.#calls.has(id)) this.fail(error);
    };
    try {
      const sent = this.#channel.send(message, this.#calls.get(id)?.call);
      if (isPromise(sent)) sent.catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  /** Sends what nobody waits for. */
  #tell(message: Message): void {
    if (this.#over !== undefined) return;
    // A connection that broke shows in its calls.
    (async () => await this.#channel.send(message))().catch(() => {});
  }

  /** Gives a call up, and tells the other side. */
  #abandon(id: RequestId, reason: unknown): void {
    const running = this.#finish(id);
    if (running === undefined) return;
    running.reject(reason);
    if (!this.#channel.releaseCancels && running.call.method !== "initialize") {
      this.#tell({
        jsonrpc: "2.0",
        method: "notifications/cancelled",
        params: { requestId: id, reason: reason instanceof Error ? reason.message : "Cancelled" },
      });
    }
    this.#channel.release?.(id);
  }

  /** Takes a call out. */
  #finish(id: RequestId): Running | undefined {
    const running = this.#calls.get(id);
    if (running === undefined) return undefined;
    this.#calls.delete(id);
    running.delay.cancel();
    running.ignore();
    return running;
  }

  #take(message: unknown, about: RequestId | undefined): void {
    if (this.#over !== undefined) return;
    if (Array.isArray(message)) {
      for (const each of message) if (!Array.isArray(each)) this.#take(each, about);
      return;
    }
    // `messageKind` looked at everything that each message's type promises.
    switch (messageKind(message)) {
      case "response":
        return this.#answered(message as JsonRpcResponse, about);
      case "notification":
        return this.#notified(message as JsonRpcNotification, about);
      case "request":
        void this.#asked(message as JsonRpcRequest, about);
    }
  }

  #answered({ id, result, error }: JsonRpcResponse, about: RequestId | undefined): void {
    // What a stream brings can only answer the request that it is the stream of.
    if (id === null || (about !== undefined && id !== about)) return;
    const running = this.#finish(id);
    if (running === undefined) return;
    if (error === undefined) running.resolve(result ?? {});
    else running.reject(new McpError(error.code, error.message, error.data));
  }

  #notified({ method, params }: JsonRpcNotification, about: RequestId | undefined): void {
    if (method === "notifications/cancelled") {
      // An id of any other type is the id of nothing.
      return this.#questions.cancel(params?.requestId as RequestId);
    }
    if (method === "notifications/progress") return this.#progressed(params ?? {});
    const notification = params === undefined ? { method } : { method, params };
    const listening = this.#listening(params);
    if (listening !== undefined) return listening.call.notify(notification);
    const running = SESSION_WIDE.has(method) ? undefined : this.#owner(about);
    if (running === undefined) return this.#downstream.notified(notification);
    if (running.asking === 0) running.delay.restart();
    running.call.notify(notification);
  }

  #progressed(params: JsonObject): void {
    // A token of any other type is nobody's
    const running = this.#calls.get(params.progressToken as RequestId);
    if (running?.token === undefined) return;
    if (running.asking === 0) running.delay.restart();
    const method = "notifications/progress";
    running.call.notify({ method, params: { ...params, progressToken: running.token } });
  }

  /** The subscription that a notification belongs to, which may last for ever. */
  #listening(params: JsonObject | undefined): Running | undefined {
    const meta = params?._meta;
    if (!isObject(meta)) return undefined;
    // An id of any other type is nobody's
    const running = this.#calls.get(meta[MetaKey.SubscriptionId] as RequestId);
    return running?.call.method === LISTEN ? running : undefined;
  }

  /** The call that something belongs to, where that is known. */
  #owner(about: RequestId | undefined): Running | undefined {
    if (about !== undefined) return this.#calls.get(about);
    if (!this.#channel.unlabelled) return undefined;
    let only: Running | undefined;
    for (const running of this.#calls.values()) {
      if (running.call.method === LISTEN) continue;
      if (only !== undefined) return undefined;
      only = running;
    }
    return only;
  }

  async #asked(message: JsonRpcRequest, about: RequestId | undefined): Promise<void> {
    const { id, method, params = {} } = message;
    if (method === "ping") return this.#tell({ jsonrpc: "2.0", id, result: {} });
    const owner = this.#owner(about);
    await this.#questions.answer(message, async (signal) => {
      if (owner === undefined) return await this.#downstream.ask(method, params, signal);
      // While the client is asked, the call waits for the client and not for the upstream.
      owner.asking++;
      owner.delay.cancel();
      try {
        return await owner.call.ask(method, params);
      } finally {
        if (--owner.asking === 0 && this.#calls.has(owner.id)) owner.delay.restart();
      }
    });
  }

  /** Ends the conversation because of what happened to it. */
  fail(error: unknown): void {
    if (!this.#end(error)) return;
    // What is left of it is let go of; nobody waits for that.
    this.close().catch(() => {});
    this.#downstream.ended(error);
  }

  #end(error: unknown): boolean {
    if (this.#over !== undefined) return false;
    this.#over = { error };
    for (const id of [...this.#calls.keys()]) this.#finish(id)?.reject(error);
    this.#questions.clear(error);
    this.#delays.clear();
    return true;
  }
}
