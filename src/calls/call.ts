/**
 * Starts the requests of a POST, and runs each through the dispatcher.
 *
 * The next step of a call is in `server/server.ts`.
 *
 * @module
 */
import { authorizeRoute } from "../auth/authorize.ts";
import { refuseFor } from "../auth/authenticate.ts";
import type { Inbound } from "../http/inbound.ts";
import { sessionNotFound } from "../http/refusals.ts";
import type { Reply } from "../http/reply.ts";
import { preciseTime } from "../internal/clock.ts";
import type { Delay } from "../internal/delay_line.ts";
import { AsyncRequestContext } from "../internal/request_context.ts";
import { attempt, isPromise, type MaybePromise, then } from "../internal/types.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { McpEvent, RequestFacts, RequestOutcome } from "../protocol/events.ts";
import {
  type ClientFacts,
  type Exchange,
  type ExchangeUser,
  isAnonymous,
  type Notification,
  notificationText,
  type Principal,
} from "../protocol/exchange.ts";
import type { Hidden } from "../protocol/items.ts";
import { isObject, type JsonObject, type JsonRpcRequest } from "../protocol/jsonrpc.ts";
import { methodFacts } from "../protocol/methods.ts";
import type { Passage } from "../protocol/middleware.ts";
import type { LogLevel } from "../protocol/shapes.ts";
import { exchangeWith, hideRoute, type RequestTarget, type Route } from "../protocol/route.ts";
import { isModern, type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import type { OpenReplyStream } from "../streams/reply_stream.ts";
import { Answer } from "./answer.ts";
import { ask } from "./questions/ask.ts";
import { mayUseOf, visibleResult } from "./authorize_filter.ts";
import { cancelledEvent, finishedEvent, startedEvent } from "./call_events.ts";
import { callKeyOf, type KeyedCall } from "./call_key.ts";
import type { Calls } from "./calls.ts";
import { watchDisconnect } from "./lifetime/disconnect.ts";
import { type EncodedResponse, encodeError, encodeResult } from "./encode_response.ts";
import type { HandedOver, HandsOver, LongCall, LongCallEnd } from "./hand_over.ts";
import type { InFlight } from "./lifetime/inflight.ts";
import { Progress, progressToken } from "./progress.ts";
import { RequestScope } from "./lifetime/scope.ts";
import { CallRefusedError } from "./refused_error.ts";
import type { CallSession } from "./session.ts";
import type { StateBinding } from "./state/state.ts";
import { StopError } from "./lifetime/stop.ts";

/** A running request, and the dispatcher's view of it. */
export class Call extends RequestScope implements Exchange, HandsOver {
  readonly #calls: Calls;
  readonly #inbound: Inbound;
  readonly #session: CallSession | undefined;
  readonly #message: JsonRpcRequest;
  readonly #answer: Answer;
  #progress: Progress | undefined;
  #timeout: Delay | undefined;
  #maxTimeout: Delay | undefined;
  /** When the call began, for durations; 0 if nobody asks. */
  #startedAt = 0;
  #begunAt = 0;
  #outcome: RequestOutcome | undefined;
  /** Whether the call has a hold on its session. */
  #holding = false;
  #mayUse: Exchange["mayUse"];
  #user: ExchangeUser | undefined;
  #serial = 0;
  #route: Route;
  /** Whether the route was found while the request ran. */
  #isSettled = false;
  /** The route with the parameters that middleware gave the request. */
  #changed: Route | undefined;
  #upstream: string | undefined;
  #cached: true | undefined;
  #repeated: true | undefined;
  #traceId: string | undefined;
  #started: RequestFacts | undefined;
  /** Whether the call is waited for. */
  #waits = false;
  /** Waits until the call is handed over. */
  #handOver: Delay | undefined;
  /** What the client fetches, once the call is handed over. */
  #handedOver: HandedOver | undefined;
  /** Stops watching whether the client disconnects. */
  #unwatch: (() => void) | undefined;
  /** Whether a client that goes away doesn't stop the call. */
  #runsOn = false;
  /** How far the call is, where the client hasn't asked. */
  #noted: JsonObject | undefined;

  /** Creates a call that hasn't started, in a slot that the caller has taken. */
  constructor(
    calls: Calls,
    inbound: Inbound,
    session: CallSession | undefined,
    message: JsonRpcRequest,
    answer: Answer,
  ) {
    super(message.id, calls.clock.perRequest === true ? new AsyncRequestContext() : undefined);
    this.#calls = calls;
    this.#inbound = inbound;
    this.#session = session;
    this.#message = message;
    this.#route = inbound.routeOf(message);
    this.#answer = answer;
  }

  get serial(): number {
    return this.#serial ||= ++this.#calls.serial;
  }
  get method(): string {
    return this.#message.method;
  }
  get params(): JsonObject {
    return this.#route.params;
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
  get localPeer(): string | undefined {
    return this.#inbound.localPeer;
  }
  get session(): CallSession | undefined {
    return this.#session;
  }
  get user(): ExchangeUser {
    const { principal, localPeer } = this;
    return this.#user ??= {
      state: this.#calls.users.of(principal, this.#inbound.share, localPeer),
    };
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
  get facts(): RequestFacts | undefined {
    if (!this.#calls.reporter.enabled) return undefined;
    // Middleware may have called another tool, and a gateway learns names from the first call.
    const isKnown = this.#changed === undefined && !this.#isSettled && this.#upstream === undefined;
    return (isKnown ? this.#started : undefined) ??
      startedEvent(this.#calls, this, this.#currentRoute);
  }
  get target(): RequestTarget | undefined {
    return this.#route.target;
  }
  /** Whether the server has the method. */
  get served(): boolean {
    return this.#route.served === true;
  }
  /** What the request is about now: middleware may have changed it. */
  get #currentRoute(): Route {
    return this.#changed ?? this.#route;
  }
  get chain(): Exchange["chain"] {
    return this.#calls.settings.middleware;
  }
  get mayUse(): Exchange["mayUse"] {
    return this.#mayUse ??= mayUseOf(this.#calls, this.principal);
  }

  override belongsTo(request: Request): boolean {
    return request === this.request;
  }

  /** Tells whether it began more than a time ago. One that runs again has begun at another node. */
  override isOlder(ms: number): boolean {
    if (this.#inbound.forwarded || this.#startedAt === 0) return true;
    return preciseTime(this.#calls.clock) - this.#startedAt >= ms;
  }

  /** When the call began, in milliseconds since the epoch; 0 if no operator watched then. */
  get begunAt(): number {
    return this.#begunAt;
  }

  /** The parameters of the latest progress notification, if there is one. */
  get progress(): JsonObject | undefined {
    return this.#progress?.latest ?? this.#noted;
  }

  /** The upstream that the call went to, if that is known. */
  get upstream(): string | undefined {
    return this.#upstream ?? this.#currentRoute.target?.upstream;
  }

  get begunAgain(): boolean {
    return this.#inbound.begunAgain;
  }
  get repeated(): true | undefined {
    return this.#repeated;
  }

  /** The id of the trace that the call belongs to, if that is known. */
  get traceId(): string | undefined {
    return this.#traceId;
  }

  /** The outcome; `undefined` while the call runs. */
  get outcome(): RequestOutcome | undefined {
    return this.#outcome;
  }

  /** Dispatches the request. */
  start(): void {
    const { reporter } = this.#calls;
    this.#inflight.add(this);
    if (this.#calls.watched) this.#begunAt = this.#calls.clock.now();
    if (this.#calls.timed || reporter.enabled) this.#startedAt = preciseTime(this.#calls.clock);
    if (reporter.enabled) this.#reportStarted();
    // Another call of the batch, or an event listener, may have ended the session.
    if (this.#session?.ended) this.stop(new StopError("session-ended"));
    if (this.over) return;
    try {
      const hidden = this.#inbound.hidden?.get(this.#message);
      const result = hidden !== undefined
        ? this.#hide(this.#route, this, hidden)
        : this.#route.settle === undefined
        ? this.#dispatch()
        : this.#settle();
      if (!isPromise(result)) return this.#succeed(result);
      this.#wait();
      result.then((value) => this.#succeed(value), (error) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Finds the rest of the route where only the session knows it, and continues as if that was sent. */
  #settle(): MaybePromise<JsonObject> {
    const proceed = (route: Route) => {
      this.#checkRunning();
      this.#route = route;
      this.#isSettled = true;
      if (this.#waits) this.#waitForHandOver();
      return then(this.authorize(route), (hidden) => {
        this.#checkRunning();
        return hidden === undefined ? this.#dispatch() : this.#hide(route, this, hidden);
      });
    };
    return this.#route.settle?.(this, proceed) ?? this.#dispatch();
  }

  /** Passes the request through the middleware to the dispatcher. */
  #dispatch(): MaybePromise<JsonObject> {
    const { authorize, middleware } = this.#calls.settings;
    const result = middleware === undefined
      ? this.#runOnce(this.#route, this)
      : then(middleware(this.passage()), (value) => this.#complete(value));
    return authorize === undefined ? result : visibleResult(this, result);
  }

  /** Answers the request as if what it is about didn't exist: no middleware may tell of it. */
  #hide(route: Route, exchange: Exchange, hidden: Hidden): MaybePromise<JsonObject> {
    this.#reportHidden(hidden);
    return visibleResult(exchange, hideRoute(route, exchange, hidden));
  }

  /** Adds to a result of middleware's own what the 2026 era requires. */
  #complete(result: JsonObject): JsonObject {
    if (result.resultType !== undefined || !isModern(this.protocolVersion)) return result;
    const meta = isObject(result._meta) ? result._meta : {};
    return {
      resultType: "complete",
      ...methodFacts(this.method)?.cacheable && { ttlMs: 0, cacheScope: "private" },
      ...result,
      _meta: { ...this.#calls.serverMeta, ...meta },
    };
  }

  /**
   * Returns the way of the request through middleware.
   *
   * @param run Runs the request as the last middleware has passed it on; by default its route does
   */
  passage(run = (route: Route, exchange: Exchange) => this.#run(route, exchange)): Passage {
    const { dispatcher } = this.#calls;
    const { method, principal } = this;
    const along = (route: Route, exchange: Exchange): Passage => ({
      exchange,
      run: () => run(route, exchange),
      rewrite: (params, proceed) => {
        const route = dispatcher.route({ method, params }, principal);
        const go = (route: Route) => proceed(along(route, exchangeWith(this, route)));
        return route.settle === undefined ? go(route) : route.settle(exchangeWith(this, route), go);
      },
    });
    return along(this.#route, this);
  }

  /** Runs the request as the last middleware has passed it on. */
  #run(route: Route, exchange: Exchange): MaybePromise<JsonObject> {
    this.#checkRunning();
    if (route === this.#route) return this.#runOnce(route, this);
    this.#changed = route;
    if (this.#waits) this.#waitForHandOver();
    return then(this.authorize(route), (hidden) => {
      this.#checkRunning();
      return hidden === undefined
        ? visibleResult(exchange, this.#runOnce(route, exchange))
        : this.#hide(route, exchange, hidden);
    });
  }

  /** Runs a route, or gives its client the answer of an earlier call with the same key. */
  #runOnce(route: Route, exchange: Exchange): MaybePromise<JsonObject> {
    if (route.answerOnce === undefined) return route.run(exchange);
    const key = callKeyOf(route.params);
    if (key === undefined) return route.run(exchange);
    const call: KeyedCall = {
      ...{ key, route, owner: this.#keyOwner, method: this.method, id: this.id },
      protocolVersion: this.protocolVersion,
      signal: this.signal,
      isOver: () => this.over,
      onOver: (listener) => this.onOver(listener),
      noteRepeated: () => void (this.#repeated = true),
      runOn: () => {
        // Where everything ends with the request, the call does too.
        if (this.#calls.clock.perRequest === true) return;
        this.#runsOn = true;
        this.#unwatch?.();
      },
    };
    return this.#calls.answers.run(call, () => route.run(exchange));
  }

  /** Whose the keys of calls are. What nobody in particular sends has only its session to tell it apart. */
  get #keyOwner(): string | undefined {
    if (!isAnonymous(this.principal) || this.localPeer === "pipe") return this.#inbound.owner;
    return this.#session && `session ${this.#session.id}`;
  }

  /** Stops the call because its client is gone, unless it runs for its repeats too. */
  disconnected(): void {
    if (!this.#runsOn) this.stop(new StopError("disconnected"));
  }

  /**
   * Authorizes the request with a route that was found while it ran.
   *
   * @returns What is hidden from the principal, if anything
   * @throws {RefusedError} If the application's `authorize` throws
   */
  authorize(route: Route): MaybePromise<Hidden | undefined> {
    const { settings } = this.#calls;
    const { principal, id } = this;
    return attempt(
      () => authorizeRoute(settings.authorize, principal, route),
      (hidden) => hidden,
      (error) => {
        if (error instanceof McpError) throw error;
        throw new CallRefusedError(
          refuseFor(error, settings, { during: "authorize", principal, id }),
        );
      },
    );
  }

  /** Throws if the request was stopped while middleware ran. */
  #checkRunning(): void {
    if (this.over) throw this.reason ?? new TypeError("Call next() before the request is over");
  }

  get noteProgress(): Exchange["noteProgress"] {
    if (this.#calls.settings.handOver === undefined) return undefined;
    return (progress) => {
      if (this.over) return;
      this.#noted = progress;
      this.#handedOver?.progressed(progress);
    };
  }

  notify(notification: Notification): void {
    if (this.over) return this.#dropped(notification, "finished");
    if (this.#handedOver !== undefined) {
      const { method, params } = notification;
      if (method !== "notifications/progress") return this.#dropped(notification, "finished");
      return this.noteProgress?.(params ?? {});
    }
    if (notification.method === "notifications/progress") {
      const verdict = this.#ownProgress()?.admit(notification.params) ?? "no-progress-token";
      if (verdict !== "ok") return this.#dropped(notification, verdict);
      this.#restartTimeout();
    }
    if (this.#answer.send(notificationText(notification))) return;
    this.#dropped(notification, "no-stream");
  }

  ask(method: string, params: JsonObject): Promise<JsonObject> {
    if (this.#handedOver !== undefined) return Promise.reject(askedLate());
    const send = (text: string) => this.#answer.send(text);
    const response = ask(this, send, method, params);
    // A handler may finish without awaiting it: its rejection must not end the process.
    response.catch(() => {});
    return response;
  }

  async openState(): Promise<JsonObject | undefined> {
    const { requestState } = this.params;
    if (requestState === undefined) return undefined;
    const { states, singleUse } = this.#calls;
    const state = typeof requestState === "string"
      ? await states.open(requestState, this.#binding)
      : undefined;
    if (state === undefined || !isObject(state.data)) {
      throw new McpError(ErrorCode.InvalidParams, "Invalid requestState: retry without it");
    }
    const { data, pass } = state;
    if (pass === undefined || await singleUse.use(pass, this.#inbound.share)) return data;
    throw new McpError(
      ErrorCode.InvalidParams,
      "This requestState was used before: retry without it",
    );
  }

  sealState(data: JsonObject, { once = false } = {}): Promise<string> {
    const { states, singleUse } = this.#calls;
    const state = once ? { data, pass: singleUse.issue() } : { data };
    return states.seal(state, this.#binding);
  }

  requireInput(result: JsonObject): void {
    if (this.#handedOver !== undefined) return this.#fail(askedLate());
    if (!this.finish(new StopError("input-required"))) return;
    const encoded = encodeResult(this.#calls, this, result);
    const { text, outcome, errorType, status } = encoded;
    const ended = outcome === "result" ? "input-required" : outcome;
    this.#release(ended, errorType, text);
    this.#answer.deliver(text, status);
  }

  closeStream(options?: { readonly retryMs?: number }): void {
    if (this.over || this.#handedOver !== undefined) return;
    this.#answer.release(options?.retryMs ?? this.#calls.settings.retryMs);
  }

  negotiate(version: ProtocolVersion): boolean {
    if (this.method !== "initialize" || isModern(version)) return false;
    if (!this.supportedVersions.includes(version)) return false;
    this.#inbound.version = version;
    return true;
  }

  noteUpstream(upstream: string): void {
    this.#upstream = upstream;
  }

  noteCached(): void {
    this.#cached = true;
  }

  noteTrace(traceId: string): void {
    this.#traceId = traceId;
  }

  report(event: McpEvent): void {
    this.#calls.reporter.report(event);
  }

  protected override stopped(reason: StopError): void {
    const { kind } = reason;
    if (this.#handedOver !== undefined) {
      return this.#ended({ kind: "stopped", reason }, kind, kind);
    }
    if (kind === "cancelled" && this.#started !== undefined) {
      this.report(cancelledEvent(this.#started));
    }
    this.#release(kind, kind === "input-required" ? undefined : kind);
    this.#answer.stopped(this.id, reason);
  }

  #succeed(result: JsonObject): void {
    if (!this.finish()) return;
    if (this.#handedOver === undefined) {
      return this.#respond(encodeResult(this.#calls, this, result));
    }
    const failed = isObject(result) && result.isError === true;
    this.#ended({ kind: "result", result }, "result", failed ? "tool_error" : undefined);
  }

  #fail(error: unknown): void {
    if (!this.finish()) return;
    if (this.#handedOver === undefined) {
      return this.#respond(encodeError(this.#calls, this, error));
    }
    const { errorType } = encodeError(this.#calls, this, error);
    this.#ended({ kind: "error", error }, "error", errorType);
  }

  #respond({ text, outcome, errorType, status, refusal }: EncodedResponse): void {
    this.#release(outcome, errorType, text);
    this.#answer.deliver(text, status, refusal);
  }

  /** Releases everything that the call uses. */
  #release(outcome: RequestOutcome, errorType?: string, response?: string): void {
    const { slots, reporter } = this.#calls;
    this.#outcome = outcome;
    this.#timeout?.cancel();
    this.#maxTimeout?.cancel();
    this.#handOver?.cancel();
    this.#progress?.stop();
    slots.give(this.#inbound.share);
    this.#inflight.delete(this);
    // What runs on still uses its session.
    if (this.#holding && outcome !== "handed-over") this.#session?.release();
    if (reporter.enabled) this.#reportFinished(outcome, errorType, response?.length);
    this.#calls.finished(this, outcome, errorType === "tool_error", response);
  }

  /** Waits until the call is handed over, from now on, as its present route says. */
  #waitForHandOver(): void {
    const { settings: { handOver }, reporter } = this.#calls;
    this.#handOver?.cancel();
    if (handOver === undefined || this.#handedOver !== undefined) return;
    this.#handOver = handOver.wait(this.#currentRoute, () => {
      this.handOver(() => handOver.begin(this, this.#currentRoute))
        .catch((error) => reporter.failed("handing a call over", error));
    });
  }

  /** Answers the client with what `begin` returns, and runs on. */
  async handOver(
    begin: (call: LongCall) => MaybePromise<HandedOver | undefined>,
  ): Promise<boolean> {
    const handedOver = await begin(this);
    if (handedOver === undefined) return false;
    if (this.over) {
      handedOver.discard();
      return false;
    }
    const encoded = encodeResult(this.#calls, this, handedOver.answer);
    this.#unwatch?.();
    this.#release("handed-over", undefined, encoded.text);
    this.#handedOver = handedOver;
    this.#calls.handedOver.add(this);
    this.#answer.deliver(encoded.text);
    return true;
  }

  /** Ends a call that was handed over. */
  #ended(end: LongCallEnd, outcome: RequestOutcome, errorType: string | undefined): void {
    const { handedOver, clock, reporter } = this.#calls;
    handedOver.delete(this);
    if (this.#holding) this.#session?.release();
    this.#handedOver?.ended(end);
    const { facts } = this;
    if (facts === undefined) return;
    const ms = preciseTime(clock) - this.#startedAt;
    const repeated = this.#repeated;
    reporter.report({ ...facts, type: "long-call-ended", ms, outcome, errorType, repeated });
  }

  /** Sets up what only an asynchronous call needs: hold, timeouts, heartbeat. */
  #wait(): void {
    if (this.over) return;
    const { settings, delays, clock } = this.#calls;
    const answer = this.#answer;
    if (this.#session !== undefined) {
      this.#session.hold();
      this.#holding = true;
    }
    if (settings.timeoutMs > 0) this.#restartTimeout();
    if (settings.maxTimeoutMs > 0) {
      this.#maxTimeout = delays.maxTimeout.add(() => this.stop(new StopError("timeout")));
    }
    // A stream too: in process, and on some hosts, the signal aborts without a cancelled body.
    // Where everything ends with the request, a call of a session can't run on either.
    const isWatched = VERSIONS[this.protocolVersion].era === "2026" || clock.perRequest === true;
    if (isWatched && !this.#runsOn) {
      this.#unwatch = watchDisconnect(this, this.#inbound.source, delays.disconnect);
      this.onOver(this.#unwatch);
    }
    this.#waits = true;
    this.#waitForHandOver();
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
    // An approval is for what middleware has made of the parameters.
    const { method, params } = this.#currentRoute;
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
    reporter.report({ type: "message-dropped", session: this.#session?.name, method, reason });
  }

  #reportStarted(): void {
    const { reporter } = this.#calls;
    const event = startedEvent(this.#calls, this, this.#route);
    this.#started = event;
    reporter.report(event);
  }

  /** Reports that the call is answered as if its method or item didn't exist. */
  #reportHidden(hidden: Hidden): void {
    const modern = VERSIONS[this.protocolVersion].era === "2026";
    const status = modern && hidden === "method" ? 404 : 200;
    const { reporter } = this.#calls;
    if (!reporter.enabled) return;
    reporter.report({ ...this.facts, type: "refused", status, reason: "hidden" });
  }

  #reportFinished(
    outcome: RequestOutcome,
    errorType: string | undefined,
    responseChars: number | undefined,
  ): void {
    const { clock, reporter } = this.#calls;
    const { facts } = this;
    if (facts === undefined) return;
    const ms = preciseTime(clock) - this.#startedAt;
    const { bodyLength } = this.#inbound;
    const event = finishedEvent(facts, ms, outcome, errorType, {
      requestChars: bodyLength,
      responseChars,
      upstream: this.#upstream,
      cached: this.#cached,
      repeated: this.#repeated,
    });
    reporter.report(event);
  }

  /** The in-flight calls that this one belongs to. */
  get #inflight(): InFlight {
    return this.#session?.inflight ?? this.#calls.sessionless;
  }
}

/** Creates the error for a question after the call was answered. */
function askedLate(): McpError {
  return new McpError(
    ErrorCode.Refused,
    "The tool has a question for the user, but its call was answered already. Call the tool again, and it " +
      "asks before it takes long",
  );
}

/**
 * Starts the call of a POST with one request, if there is a slot for it.
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
  const refused = calls.admit(inbound.share, message.id);
  if (isPromise(refused)) {
    return refused.then((refused) =>
      refused ?? unlessEnded(calls, inbound, session) ??
        startInSlot(calls, inbound, message, session, open)
    );
  }
  return refused ?? startInSlot(calls, inbound, message, session, open);
}

function startInSlot(
  calls: Calls,
  inbound: Inbound,
  message: JsonRpcRequest,
  session: CallSession | undefined,
  open: OpenReplyStream | undefined,
): MaybePromise<Reply> {
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
  const start = () => {
    begin();
    const answer = new Answer(calls, inbound, open, messages.length);
    for (const message of messages) new Call(calls, inbound, session, message, answer).start();
    return answer.reply();
  };
  const refused = calls.admitBatch(inbound.share, messages.length);
  if (isPromise(refused)) {
    return refused.then((refused) =>
      refused ?? unlessEnded(calls, inbound, session, messages.length) ?? start()
    );
  }
  return refused ?? start();
}

/** Gives slots back and refuses the requests if their session has ended while the slots were asked for. */
function unlessEnded(
  { slots }: Calls,
  { share }: Inbound,
  session: CallSession | undefined,
  count = 1,
): Reply | undefined {
  if (session?.ended !== true) return undefined;
  for (let left = count; left > 0; left--) slots.give(share);
  return sessionNotFound("session-unknown");
}
