/**
 * Starts the requests of a POST, and runs each through the dispatcher.
 *
 * @module
 */
import type { Inbound } from "../http/inbound.ts";
import { serverBusy } from "../http/refusals.ts";
import type { Reply } from "../http/reply.ts";
import type { Delay } from "../internal/delay_line.ts";
import { clip } from "../internal/quote.ts";
import { shortHash } from "../internal/random.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { McpEvent, RequestOutcome } from "../protocol/events.ts";
import {
  type ClientFacts,
  type Exchange,
  type Notification,
  notificationText,
  type Principal,
} from "../protocol/exchange.ts";
import type { JsonObject, JsonRpcRequest } from "../protocol/jsonrpc.ts";
import type { LogLevel } from "../protocol/shapes.ts";
import { type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import type { OpenReplyStream } from "../streams/reply_stream.ts";
import { Answer } from "./answer.ts";
import { ask } from "./ask.ts";
import { dispatchVisible, mayCallOf } from "./authorize_filter.ts";
import type { Calls } from "./calls.ts";
import { watchDisconnect } from "./disconnect.ts";
import type { InFlight } from "./inflight.ts";
import { encodeError, encodeResult } from "./encode_response.ts";
import { Progress, progressToken } from "./progress.ts";
import { RequestScope } from "./scope.ts";
import type { CallSession } from "./session.ts";
import type { StateBinding } from "./state.ts";
import { StopError } from "./stop.ts";

const NO_PARAMS: JsonObject = {};
/** The maximum number of characters of a method in an event: a client may send a very long one. */
const MOST_REPORTED = 100;

/** A running request, and the dispatcher's view of it. */
export class Call extends RequestScope implements Exchange {
  readonly #calls: Calls;
  readonly #inbound: Inbound;
  readonly #session: CallSession | undefined;
  readonly #message: JsonRpcRequest;
  readonly #answer: Answer;
  #progress: Progress | undefined;
  #timeout: Delay | undefined;
  #maxTimeout: Delay | undefined;
  #startedAt = 0;
  #outcome: RequestOutcome | undefined;
  #watching = false;
  /** Whether the call has a hold on its session. */
  #holding = false;
  #mayCall: Exchange["mayCall"];

  /** Creates a call that hasn't started, in a slot that the caller has taken. */
  constructor(
    calls: Calls,
    inbound: Inbound,
    session: CallSession | undefined,
    message: JsonRpcRequest,
    answer: Answer,
  ) {
    super(message.id);
    this.#calls = calls;
    this.#inbound = inbound;
    this.#session = session;
    this.#message = message;
    this.#answer = answer;
  }

  get method(): string {
    return this.#message.method;
  }
  get params(): JsonObject {
    return this.#message.params ?? NO_PARAMS;
  }
  get protocolVersion(): ProtocolVersion {
    return this.#inbound.version;
  }
  get principal(): Principal {
    return this.#inbound.principal;
  }
  get request(): Request {
    return this.#inbound.request;
  }
  get session(): CallSession | undefined {
    return this.#session;
  }
  get client(): ClientFacts {
    return this.#inbound.client;
  }
  get logLevel(): LogLevel | undefined {
    return this.#session === undefined ? this.#inbound.logLevel : this.#session.logLevel;
  }
  get supportedVersions(): readonly ProtocolVersion[] {
    return this.#calls.settings.versions;
  }
  get pageSize(): number {
    return this.#calls.settings.page;
  }
  get mayCall(): Exchange["mayCall"] {
    const { authorize } = this.#calls.settings;
    return authorize && (this.#mayCall ??= mayCallOf(authorize, this.principal));
  }

  /** The outcome; `undefined` while the call runs. */
  get outcome(): RequestOutcome | undefined {
    return this.#outcome;
  }

  /** Dispatches the request. */
  start(): void {
    const { dispatcher, settings, reporter } = this.#calls;
    this.#inflight.add(this);
    if (reporter.enabled) this.#reportStarted();
    // Another call of the batch, or an event listener, may have ended the session.
    if (this.#session?.ended) this.stop(new StopError("session-ended"));
    if (this.over) return;
    try {
      const hidden = this.#inbound.hidden?.has(this.#message) === true;
      if (hidden) this.#reportHidden();
      const result = settings.authorize === undefined
        ? dispatcher.dispatch(this)
        : dispatchVisible(dispatcher, this, hidden);
      if (!isPromise(result)) return this.#succeed(result);
      this.#wait();
      result.then((value) => this.#succeed(value), (error) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
  }

  notify(notification: Notification): void {
    if (this.over) return this.#dropped(notification, "finished");
    if (notification.method === "notifications/progress") {
      const verdict = this.#ownProgress()?.admit(notification.params) ?? "no-progress-token";
      if (verdict !== "ok") return this.#dropped(notification, verdict);
      this.#restartTimeout();
    }
    if (this.#answer.send(notificationText(notification))) return;
    this.#dropped(notification, "no-stream");
  }

  ask(method: string, params: JsonObject): Promise<JsonObject> {
    const send = (text: string) => this.#answer.send(text);
    const response = ask(this, send, method, params);
    // A handler may finish without awaiting it: its rejection must not end the process.
    response.catch(() => {});
    return response;
  }

  async openState(): Promise<JsonObject | undefined> {
    const { requestState } = this.params;
    if (requestState === undefined) return undefined;
    const state = typeof requestState === "string"
      ? await this.#calls.states.open(requestState, this.#binding)
      : undefined;
    if (state !== undefined) return state;
    throw new McpError(ErrorCode.InvalidParams, "Invalid requestState: retry without it");
  }

  sealState(data: JsonObject): Promise<string> {
    return this.#calls.states.seal(data, this.#binding);
  }

  requireInput(result: JsonObject): void {
    if (!this.finish(new StopError("input-required"))) return;
    const { text, outcome, status } = encodeResult(this.#calls, this, result);
    this.#release(outcome === "result" ? "input-required" : outcome);
    this.#answer.deliver(text, status);
  }

  /** Stops the call when its HTTP request is aborted. For answers that are not streams. */
  watchClient(): void {
    if (this.#watching || this.over) return;
    this.#watching = true;
    this.onOver(watchDisconnect(this, this.request, this.#calls.delays.disconnect));
  }

  closeStream(options?: { readonly retryMs?: number }): void {
    if (this.over) return;
    this.#answer.release(options?.retryMs ?? this.#calls.settings.retryMs);
  }

  report(event: McpEvent): void {
    this.#calls.reporter.report(event);
  }

  protected override stopped(reason: StopError): void {
    this.#release(reason.kind);
    this.#answer.stopped(this.id, reason);
  }

  #succeed(result: JsonObject): void {
    if (!this.finish()) return;
    const { text, outcome, status } = encodeResult(this.#calls, this, result);
    this.#release(outcome);
    this.#answer.deliver(text, status);
  }

  #fail(error: unknown): void {
    if (!this.finish()) return;
    const { text, outcome, status } = encodeError(this.#calls, this, error);
    this.#release(outcome);
    this.#answer.deliver(text, status);
  }

  /** Releases everything that the call uses. */
  #release(outcome: RequestOutcome): void {
    const { slots, reporter } = this.#calls;
    this.#outcome = outcome;
    this.#timeout?.cancel();
    this.#maxTimeout?.cancel();
    this.#progress?.stop();
    slots.give();
    this.#inflight.delete(this);
    if (this.#holding) this.#session?.release();
    if (reporter.enabled) this.#reportFinished(outcome);
  }

  /** Sets up what only an asynchronous call needs: hold, timeouts, heartbeat. */
  #wait(): void {
    if (this.over) return;
    const { settings, delays } = this.#calls;
    const answer = this.#answer;
    if (this.#session !== undefined) {
      this.#session.hold();
      this.#holding = true;
    }
    if (settings.timeoutMs > 0) this.#restartTimeout();
    if (settings.maxTimeoutMs > 0) {
      this.#maxTimeout = delays.maxTimeout.add(() => this.stop(new StopError("timeout")));
    }
    // On a stream, the connection detects that the client disconnected.
    if (VERSIONS[this.protocolVersion].era === "2026" && !answer.streams) {
      this.watchClient();
    }
    if (answer.streams && settings.progressHeartbeatMs > 0) {
      this.#ownProgress()?.beat(delays.heartbeat, (notification) => {
        answer.send(notificationText(notification));
      });
    }
  }

  #restartTimeout(): void {
    const { settings, delays } = this.#calls;
    if (settings.timeoutMs === 0) return;
    if (this.#timeout !== undefined) this.#timeout.restart();
    else this.#timeout = delays.timeout.add(() => this.stop(new StopError("timeout")));
  }

  /** The binding of this request's state. */
  get #binding(): StateBinding {
    const { method, params } = this;
    return { owner: this.#inbound.owner, method, params };
  }

  #ownProgress(): Progress | undefined {
    if (this.#progress !== undefined) return this.#progress;
    const token = progressToken(this.params);
    if (token !== undefined) this.#progress = new Progress(token);
    return this.#progress;
  }

  #dropped(
    { method }: Notification,
    reason: Extract<McpEvent, { type: "message-dropped" }>["reason"],
  ): void {
    const { reporter } = this.#calls;
    if (!reporter.enabled) return;
    reporter.report({ type: "message-dropped", session: this.#sessionName, method, reason });
  }

  #reportStarted(): void {
    const { clock, reporter } = this.#calls;
    this.#startedAt = clock.now();
    const method = clip(this.method, MOST_REPORTED);
    reporter.report({ type: "request-started", session: this.#sessionName, method });
  }

  /** Reports that the call is answered as if its method or tool didn't exist. */
  #reportHidden(): void {
    const modern = VERSIONS[this.protocolVersion].era === "2026";
    const status = modern && this.method !== "tools/call" ? 404 : 200;
    this.#calls.reporter.report({ type: "refused", status, reason: "hidden" });
  }

  #reportFinished(outcome: RequestOutcome): void {
    const { clock, reporter } = this.#calls;
    const ms = clock.now() - this.#startedAt;
    const method = clip(this.method, MOST_REPORTED);
    reporter.report({ type: "request-finished", session: this.#sessionName, method, ms, outcome });
  }

  /** The in-flight calls that this one belongs to. */
  get #inflight(): InFlight {
    return this.#session?.inflight ?? this.#calls.sessionless;
  }

  get #sessionName(): string | undefined {
    return this.#session === undefined ? undefined : shortHash(this.#session.id);
  }
}

/**
 * Starts the call of a POST with one request.
 *
 * @param open Opens a stream for its answer, if the client accepts one
 */
export function startCall(
  calls: Calls,
  inbound: Inbound,
  message: JsonRpcRequest,
  session: CallSession | undefined,
  open: OpenReplyStream | undefined,
): MaybePromise<Reply> {
  if (!calls.slots.take()) return serverBusy("request-limit", message.id);
  const answer = new Answer(calls, inbound, open);
  new Call(calls, inbound, session, message, answer).start();
  return answer.reply();
}

/**
 * Starts all calls of a batch, or none if there are not enough slots.
 *
 * @param open Opens a stream for their answers, if the client accepts one
 * @param begin Called when all have their slots, before the first call starts
 */
export function startBatch(
  calls: Calls,
  inbound: Inbound,
  messages: readonly JsonRpcRequest[],
  session: CallSession | undefined,
  open: OpenReplyStream | undefined,
  begin: () => void,
): MaybePromise<Reply> {
  let taken = 0;
  while (taken < messages.length && calls.slots.take()) taken++;
  if (taken < messages.length) {
    for (; taken > 0; taken--) calls.slots.give();
    return serverBusy("request-limit");
  }
  begin();
  const answer = new Answer(calls, inbound, open, messages.length);
  for (const message of messages) new Call(calls, inbound, session, message, answer).start();
  return answer.reply();
}
