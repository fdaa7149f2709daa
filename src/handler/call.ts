/**
 * One request on its way through a dispatcher.
 *
 * @module
 */
import { isPromise } from "../internal/types.ts";
import type { Delay } from "../internal/delay_line.ts";
import { clip } from "../internal/quote.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { McpEvent, RequestOutcome } from "../protocol/events.ts";
import type { ClientFacts, Exchange, Notification, Principal } from "../protocol/exchange.ts";
import type { JsonObject, JsonRpcRequest } from "../protocol/jsonrpc.ts";
import type { LogLevel } from "../protocol/shapes.ts";
import { type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import { watchDisconnect } from "../calls/disconnect.ts";
import { Progress, progressToken } from "../calls/progress.ts";
import { RequestScope } from "../calls/scope.ts";
import type { StateBinding } from "../calls/state.ts";
import { StopError } from "../calls/stop.ts";
import type { Answer } from "./answer.ts";
import { ask } from "./ask.ts";
import { type Endpoint, sessionName } from "./endpoint.ts";
import { errorAnswer, resultAnswer } from "./outcome.ts";
import type { LiveSession } from "./live_session.ts";
import { notificationText } from "./server_stream.ts";
import { dispatchFor, mayCallOf } from "./visible.ts";

/** What all calls of one POST have in common. */
export interface CallInit {
  readonly endpoint: Endpoint;
  readonly request: Request;
  readonly principal: Principal;
  /** The principal's owner key. */
  readonly owner: string;
  readonly session: LiveSession | undefined;
  readonly version: ProtocolVersion;
  readonly client: ClientFacts;
  /** The least severe level of log message that the client wants. */
  readonly logLevel?: LogLevel;
  /** Whether the client takes JSON. */
  readonly json: boolean;
  /** The requests for what the principal may not even know of. */
  readonly hidden: ReadonlySet<JsonRpcRequest> | undefined;
}

const NO_PARAMS: JsonObject = {};
/** How many characters of a method are told: a client may make up one as long as a body. */
const MOST_TOLD = 100;

/** A running request: what a dispatcher sees of it, and what becomes of it. */
export class Call extends RequestScope implements Exchange {
  readonly #message: JsonRpcRequest;
  readonly #init: CallInit;
  readonly #answer: Answer;
  #progress: Progress | undefined;
  #timeout: Delay | undefined;
  #maxTimeout: Delay | undefined;
  #startedAt = 0;
  #outcome: RequestOutcome | undefined;
  #watching = false;
  /** The session that is kept from being idle while the call runs. */
  #held: string | undefined;
  #mayCall: Exchange["mayCall"];

  constructor(message: JsonRpcRequest, init: CallInit, answer: Answer) {
    super(message.id);
    this.#message = message;
    this.#init = init;
    this.#answer = answer;
  }

  get method(): string {
    return this.#message.method;
  }
  get params(): JsonObject {
    return this.#message.params ?? NO_PARAMS;
  }
  get protocolVersion(): ProtocolVersion {
    return this.#init.version;
  }
  get principal(): Principal {
    return this.#init.principal;
  }
  get request(): Request {
    return this.#init.request;
  }
  get session(): LiveSession | undefined {
    return this.#init.session;
  }
  get client(): ClientFacts {
    return this.#init.client;
  }
  get logLevel(): LogLevel | undefined {
    const { session, logLevel } = this.#init;
    return session === undefined ? logLevel : session.logLevel;
  }
  get supportedVersions(): readonly ProtocolVersion[] {
    return this.#init.endpoint.settings.versions;
  }
  get pageSize(): number {
    return this.#init.endpoint.settings.limits.page;
  }
  get mayCall(): Exchange["mayCall"] {
    return this.#mayCall ??= mayCallOf(this.#init.endpoint, this.principal);
  }

  /** How the call came to its end; `undefined` while it runs. */
  get outcome(): RequestOutcome | undefined {
    return this.#outcome;
  }

  /** Hands the request to the dispatcher. The place that it takes has been taken by the caller. */
  start(): void {
    const { endpoint, session, hidden } = this.#init;
    (session?.inflight ?? endpoint.stray).add(this);
    if (endpoint.watched) this.#reportStarted();
    // A call of the same batch, or whoever was just told, may have ended the session.
    if (session?.ended) this.stop(new StopError("session-ended"));
    if (this.over) return;
    try {
      const result = dispatchFor(endpoint, this, hidden?.has(this.#message) === true);
      if (!isPromise(result)) return this.#succeed(result);
      this.#wait();
      result.then((value) => this.#succeed(value), (error) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
  }

  notify(notification: Notification): void {
    const { endpoint } = this.#init;
    if (this.over) return this.#dropped(notification, "finished");
    if (notification.method === "notifications/progress") {
      const verdict = this.#ownProgress()?.admit(notification.params) ?? "no-progress-token";
      if (verdict !== "ok") return this.#dropped(notification, verdict);
      this.#restartTimeout();
    }
    if (this.#answer.send(notificationText(notification))) return;
    if (endpoint.watched) this.#dropped(notification, "no-stream");
  }

  ask(method: string, params: JsonObject): Promise<JsonObject> {
    const send = (text: string) => this.#answer.send(text);
    const reply = ask(this.#init.endpoint, this, send, method, params);
    // A handler that finishes without waiting must not bring the process down.
    reply.catch(() => {});
    return reply;
  }

  async openState(): Promise<JsonObject | undefined> {
    const { requestState } = this.params;
    if (requestState === undefined) return undefined;
    const state = typeof requestState === "string"
      ? await this.#init.endpoint.states.open(requestState, this.#binding)
      : undefined;
    if (state !== undefined) return state;
    throw new McpError(ErrorCode.InvalidParams, "Begin again without requestState: it is no good");
  }

  sealState(data: JsonObject): Promise<string> {
    return this.#init.endpoint.states.seal(data, this.#binding);
  }

  requireInput(result: JsonObject): void {
    if (!this.finish(new StopError("input-required"))) return;
    const { text, outcome, status } = resultAnswer(this.#init.endpoint, this, result);
    this.#release(outcome === "result" ? "input-required" : outcome);
    this.#answer.deliver(text, status);
  }

  /** Stops the call when its HTTP request is aborted: for an answer that isn't a stream. */
  watchClient(): void {
    if (this.#watching || this.over) return;
    this.#watching = true;
    this.onOver(watchDisconnect(this, this.request, this.#init.endpoint.lines.gone));
  }

  closeStream(options?: { readonly retryMs?: number }): void {
    if (this.over) return;
    const { endpoint } = this.#init;
    this.#answer.release(options?.retryMs ?? endpoint.settings.streams.retryMs);
  }

  report(event: McpEvent): void {
    this.#init.endpoint.report(event);
  }

  protected override stopped(reason: StopError): void {
    this.#release(reason.kind);
    this.#answer.stopped(this, reason);
  }

  #succeed(result: JsonObject): void {
    if (!this.finish()) return;
    const { text, outcome, status } = resultAnswer(this.#init.endpoint, this, result);
    this.#release(outcome);
    this.#answer.deliver(text, status);
  }

  #fail(error: unknown): void {
    if (!this.finish()) return;
    const { text, outcome, status } = errorAnswer(this.#init.endpoint, this, error);
    this.#release(outcome);
    this.#answer.deliver(text, status);
  }

  /** Gives back everything that the call holds. */
  #release(outcome: RequestOutcome): void {
    const { endpoint, session } = this.#init;
    this.#outcome = outcome;
    this.#timeout?.cancel();
    this.#maxTimeout?.cancel();
    this.#progress?.stop();
    endpoint.requests.give();
    (session?.inflight ?? endpoint.stray).delete(this);
    if (this.#held !== undefined) endpoint.free(this.#held);
    if (endpoint.watched) this.#reportFinished(outcome);
  }

  /** The call takes longer than one turn: what only long calls need begins here. */
  #wait(): void {
    if (this.over) return;
    const { endpoint, session } = this.#init;
    const answer = this.#answer;
    if (session !== undefined) endpoint.hold(session.id);
    this.#held = session?.id;
    const { timeoutMs, maxTimeoutMs } = endpoint.settings.requests;
    if (timeoutMs > 0) this.#restartTimeout();
    if (maxTimeoutMs > 0) {
      this.#maxTimeout = endpoint.lines.maxTimeout.add(() => this.stop(new StopError("timeout")));
    }
    // A stream tells by itself that its client went away.
    if (VERSIONS[this.protocolVersion].era === "2026" && !answer.streams) {
      this.watchClient();
    }
    if (answer.streams && endpoint.settings.streams.progressHeartbeatMs > 0) {
      this.#ownProgress()?.beat(endpoint.lines.heartbeat, (notification) => {
        answer.send(notificationText(notification));
      });
    }
  }

  #restartTimeout(): void {
    const { endpoint } = this.#init;
    if (endpoint.settings.requests.timeoutMs === 0) return;
    if (this.#timeout !== undefined) this.#timeout.restart();
    else this.#timeout = endpoint.lines.timeout.add(() => this.stop(new StopError("timeout")));
  }

  /** What a state of this request is good for. */
  get #binding(): StateBinding {
    const { method, params } = this;
    return { owner: this.#init.owner, method, params };
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
    const { endpoint } = this.#init;
    if (!endpoint.watched) return;
    endpoint.report({ type: "message-dropped", session: this.#sessionName, method, reason });
  }

  #reportStarted(): void {
    const { endpoint } = this.#init;
    this.#startedAt = endpoint.settings.clock.now();
    const method = clip(this.method, MOST_TOLD);
    endpoint.report({ type: "request-started", session: this.#sessionName, method });
  }

  #reportFinished(outcome: RequestOutcome): void {
    const { endpoint } = this.#init;
    const ms = endpoint.settings.clock.now() - this.#startedAt;
    const method = clip(this.method, MOST_TOLD);
    endpoint.report({ type: "request-finished", session: this.#sessionName, method, ms, outcome });
  }

  get #sessionName(): string | undefined {
    const { session } = this.#init;
    return session === undefined ? undefined : sessionName(session.id);
  }
}
