/**
 * Keeps one client's session with one upstream: opens it on first use, probes it after idling, and
 * replaces it after a failure.
 *
 * @module
 */
import {
  type ClientFacts,
  ErrorCode,
  type Implementation,
  type JsonObject,
  type LogLevel,
  type MaybePromise,
  McpError,
  type Notification,
  type Principal,
  type UpstreamCloseReason,
} from "../../../mod.ts";
import { copyPrincipal, isModern, isPromise, keepAliveDuring, preciseTime } from "../../kit.ts";
import { abortable, deadline, type Reject, withDeadline } from "../shared/deadline.ts";
import type { ReleaseSlot } from "../shared/slot_queue.ts";
import { SignInRequiredError } from "../shared/sign_in_required.ts";
import { UpstreamError } from "../shared/upstream_error.ts";
import type {
  Caller,
  Downstream,
  Upstream,
  UpstreamCall,
  UpstreamFacts,
  UpstreamRequest,
  UpstreamSession,
  UpstreamSignIn,
} from "../types.ts";
import { BusyError } from "./capacity.ts";
import { type Crash, crashError, isCrash, isHopeless } from "./crashes.ts";
import { probe } from "./probe.ts";
import type { ResultCache } from "./result_cache.ts";
import type { RegisteredUpstream } from "./served_upstreams.ts";
import { ASKING_METHODS } from "./translate.ts";
import type { SignIns } from "./sign_ins.ts";
import { throughMiddleware } from "./upstream_chain.ts";
import { LimitReachedError, UnusableError } from "./unusable.ts";
import type { UpstreamSessions } from "./upstream_sessions.ts";

/** The longest wait for a notification to be sent, in milliseconds. */
const NOTIFY_MS = 10_000;

/** The client's request that an upstream is used for. */
export interface UpstreamRequestContext extends Caller {
  readonly signal: AbortSignal;
}

/** A request of a client to the upstream. */
export interface ManagedCall extends UpstreamCall {
  /** Called if the result is one that was kept. */
  readonly onKept?: () => void;
}

/** Whether a session has ended, from before it is open. Messages after its end are dropped. */
interface Liveness {
  ended: boolean;
}

/** A session with the place that it takes. */
interface CountedSession {
  readonly session: UpstreamSession;
  /** The place back. Called when the session is really closed. */
  readonly release: ReleaseSlot;
}

/** A session that is open. */
interface OpenedSession extends CountedSession {
  readonly liveness: Liveness;
  /** Functions that reject the running calls. */
  readonly rejects: Set<Reject>;
  /** When it was opened, as {@linkcode preciseTime} says. */
  readonly openedAt: number;
  logLevel: LogLevel | undefined;
}

/** Keeps one client's session with one upstream. */
export class ManagedSession {
  readonly name: string;
  readonly #upstream: Upstream;
  readonly #cache: ResultCache | undefined;
  readonly #client: UpstreamSessions;
  readonly #running = new Set<UpstreamCall>();
  readonly #closing = new AbortController();
  /** Holds, for each notification that is being sent, the caller for whom to send it again. */
  readonly #repeats = new Map<string, Caller | undefined>();
  #opened: OpenedSession | undefined;
  #opening: Promise<OpenedSession> | undefined;
  #probing: Promise<void> | undefined;
  #usedAt = 0;
  /** Counts the upstream's questions that name no call. */
  #questions = 0;
  #closed: Promise<void> | undefined;

  constructor({ name, upstream, cache }: RegisteredUpstream, client: UpstreamSessions) {
    this.name = name;
    this.#upstream = upstream;
    this.#cache = cache;
    this.#client = client;
  }

  /** The description of the client, as the upstream knows it. */
  get client(): ClientFacts {
    return this.#client.facts;
  }

  /** Whether the upstream is served alone. */
  get isAlone(): boolean {
    return this.#client.isAlone;
  }

  /** Tells whether a principal sees the upstream as itself. */
  isAloneFor(principal: Principal): boolean {
    return this.#client.isAloneFor(principal);
  }

  /** Closes the connection of the client's server-to-client stream, not the stream. */
  closeServerStream(): void {
    this.#client.closeServerStream();
  }

  /** Asks the user to sign in at the upstream, if it is one for which users do. */
  get signIn(): UpstreamSignIn | undefined {
    return this.#upstream.signIn;
  }

  /** The client's questions to sign in. */
  get signIns(): SignIns {
    return this.#client.signIns;
  }

  /** The number of calls that the upstream is answering. */
  get running(): number {
    return this.#running.size;
  }

  /** Whether a session is open or opening. */
  get isOpen(): boolean {
    return this.#opened !== undefined || this.#opening !== undefined;
  }

  /** Whether the upstream is a program. */
  get isProgram(): boolean {
    return this.#upstream.kind === "stdio";
  }

  /**
   * Describes the server that the client sees: the gateway, or an upstream that is served alone. `undefined`
   * if it hasn't said so.
   */
  get info(): Implementation | undefined {
    return this.isAlone ? this.facts?.serverInfo : this.#client.settings.info;
  }

  /** What the upstream said about itself, while a session is open. */
  get facts(): UpstreamFacts | undefined {
    return this.#opened?.session.facts;
  }

  /**
   * Opens a session, unless one is open.
   *
   * @throws {McpError} If the upstream can't be used
   * @throws {AbortSignal["reason"]} If the signal of the context aborts
   */
  ensureOpen(context: UpstreamRequestContext): MaybePromise<UpstreamFacts> {
    const opened = this.#current(context);
    return isPromise(opened) ? opened.then(({ session }) => session.facts) : opened.session.facts;
  }

  /**
   * Sends a request and waits for its result.
   *
   * @throws {McpError} If the upstream answers with an error or fails
   * @throws {AbortSignal["reason"]} If the call's signal aborts
   */
  request(call: ManagedCall): Promise<JsonObject> {
    const { middleware } = this.#client.settings;
    if (middleware === undefined) return this.#throughCache(call);
    let isKept = false;
    const onKept = () => {
      isKept = true;
      call.onKept?.();
    };
    return throughMiddleware(
      middleware,
      { ...this.#described(call), isCached: () => isKept },
      (params) => this.#throughCache({ ...call, params, onKept }),
    );
  }

  /** Answers a request with a result that is kept, or sends it, and keeps its result if that may be. */
  #throughCache(call: ManagedCall): Promise<JsonObject> {
    const cache = this.#cache;
    return cache === undefined ? this.#request(call) : this.#answerFrom(cache, call);
  }

  async #answerFrom(cache: ResultCache, call: ManagedCall): Promise<JsonObject> {
    call.signal.throwIfAborted();
    const { user, facts: { capabilities } } = this.#client;
    const version = this.facts?.protocolVersion;
    const place = version &&
      cache.placeOf(call, { user, capabilities: { ...capabilities }, version });
    const kept = place && cache.get(place);
    if (kept !== undefined) {
      call.onKept?.();
      return kept;
    }
    let asks = false;
    const { toolsGeneration } = cache;
    const questions = this.#questions;
    const result = await this.#request({
      ...call,
      notify: (notification) => {
        cache.notified(notification);
        call.notify(notification);
      },
      ask: (method, params) => {
        asks = true;
        return call.ask(method, params);
      },
    });
    if (call.method === "tools/list") cache.learn(result, toolsGeneration);
    // Whose a question is that names no call isn't known for sure
    if (place && !asks && questions === this.#questions) cache.keep(place, result);
    return result;
  }

  /** Returns a request as middleware sees it. */
  #described({ method, params, principal, request, signal }: UpstreamCall): UpstreamRequest {
    const { name: upstream, facts } = this;
    const { kind } = this.#upstream;
    return { upstream, kind, facts, method, params, principal, request, signal };
  }

  /** @param isRepeated Whether the session that the request was for has ended before it was sent */
  async #request(call: UpstreamCall, isRepeated = false): Promise<JsonObject> {
    const current = this.#current(call);
    const opened = isPromise(current) ? await current : current;
    const levelSent = this.#sendLogLevel(opened, call);
    if (levelSent !== undefined) await levelSent;
    const { signal } = call;
    signal.throwIfAborted();
    // The session may have ended while this call waited for it.
    if (opened.liveness.ended) {
      if (!isRepeated) return await this.#request(call, true);
      throw this.#failed(call.method, new UpstreamError("closed"));
    }
    this.#running.add(call);
    if (ASKING_METHODS.has(call.method)) this.#client.markReachable();
    try {
      // The call is rejected with its session, even if the session itself leaves it pending.
      const result = await abortable(opened.session.request(call), signal, opened.rejects);
      if (ASKING_METHODS.has(call.method)) this.#client.crashes.remove(this.name, this.#owner);
      return result;
    } catch (error) {
      if (signal.aborted || error instanceof McpError) throw error;
      void this.#end(opened, "failed");
      // The next session can answer what has not reached this one.
      const mayRepeat = error instanceof UpstreamError && error.unsent && !isRepeated;
      if (mayRepeat) return await this.#request(call, true);
      throw this.#failed(call.method, error);
    } finally {
      this.#running.delete(call);
      this.#markUsed();
    }
  }

  /**
   * Sends a notification without parameters, if a session is open. While it is being sent, any number of
   * repetitions are sent once, after it, for the caller of the last.
   */
  async notify(method: string, caller: Caller): Promise<void> {
    if (this.#repeats.has(method)) return void this.#repeats.set(method, callerOf(caller));
    for (let next: Caller | undefined = callerOf(caller); next !== undefined;) {
      this.#repeats.set(method, undefined);
      await this.forward({ method }, next);
      next = this.#repeats.get(method);
    }
    this.#repeats.delete(method);
  }

  /** Sends a notification as it is, if a session is open. */
  async forward(notification: Notification, caller: Caller): Promise<void> {
    const { session } = this.#opened ?? {};
    if (session === undefined) return;
    const { clock } = this.#client.settings;
    try {
      await withDeadline(
        { clock, ms: NOTIFY_MS },
        () => session.notify(notification, callerOf(caller)),
      );
    } catch (error) {
      this.#failed(notification.method, error);
    }
  }

  /** Notes that a request of the client has set the log level. */
  noteLogLevel(level: LogLevel): void {
    if (this.#opened !== undefined) this.#opened.logLevel = level;
  }

  /** Sends the log level that the client wants, if a session is open. */
  async syncLogLevel(caller: Caller): Promise<void> {
    if (this.#opened !== undefined) await this.#sendLogLevel(this.#opened, caller);
  }

  /** Ends the session for good, in bounded time. Safe to call twice. */
  close(reason: UpstreamCloseReason): Promise<void> {
    return this.#closed ??= this.#close(reason);
  }

  async #close(reason: UpstreamCloseReason): Promise<void> {
    // This also stops a session that is opening.
    this.#closing.abort(new UpstreamError("closed"));
    if (this.#opened !== undefined) await this.#end(this.#opened, reason);
  }

  /** Returns the session: at once if it is open and was used recently. */
  #current(context: UpstreamRequestContext): MaybePromise<OpenedSession> {
    if (this.#closing.signal.aborted) throw this.#failed("using", this.#closing.signal.reason);
    const { settings: { clock, probeAfterMs }, crashes } = this.#client;
    const isIdle = this.#running.size === 0 && clock.now() - this.#usedAt >= probeAfterMs &&
      !crashes.isProbeFatal(this.name);
    return this.#opened === undefined || isIdle ? this.#prepare(context, isIdle) : this.#opened;
  }

  async #prepare(context: UpstreamRequestContext, isIdle: boolean): Promise<OpenedSession> {
    const { signal } = context;
    const caller = callerOf(context);
    if (this.#opened !== undefined && isIdle) {
      this.#probing ??= this.#probe(this.#opened, caller)
        .finally(() => this.#probing = undefined);
      await abortable(this.#probing, signal);
    }
    if (this.#opened !== undefined) return this.#opened;
    this.#opening ??= this.#open(caller).finally(() => this.#opening = undefined);
    return await abortable(this.#opening, signal);
  }

  async #probe(opened: OpenedSession, caller: Caller): Promise<void> {
    const { clock, probeTimeoutMs } = this.#client.settings;
    const isAlive = await probe(opened.session, caller, clock, probeTimeoutMs);
    this.#markUsed();
    if (isAlive) return;
    // Later programs of the upstream keep their state instead.
    if (this.isProgram && opened.liveness.ended) this.#client.crashes.setProbeFatal(this.name);
    opened.session.lost?.();
    void this.#end(opened, "probe-failed");
  }

  async #open(caller: Caller): Promise<OpenedSession> {
    const { settings: { clock }, report } = this.#client;
    const { name: upstream } = this;
    const liveness: Liveness = { ended: false };
    const { signal } = this.#closing;
    try {
      if (this.isProgram) await this.#awaitRestart(signal);
      const startedAt = clock.now();
      const counted = await this.#openInTime(caller, liveness);
      const rejects = new Set<Reject>();
      const openedAt = preciseTime(clock);
      const opened: OpenedSession = {
        ...counted,
        liveness,
        rejects,
        openedAt,
        logLevel: undefined,
      };
      await this.#resubscribe(counted.session, caller);
      if (liveness.ended || signal.aborted) {
        void this.#closeInTime(counted);
        throw signal.aborted ? signal.reason : new UpstreamError("closed");
      }
      this.#opened = opened;
      this.#markUsed();
      const ms = clock.now() - startedAt;
      const restored = this.#client.takeRestored(upstream);
      const { sessions } = counted.session;
      report({
        type: "upstream-opened",
        upstream,
        ms,
        ...restored && { restored },
        ...sessions !== undefined && { sessions },
      });
      if (restored) this.#client.reopened(upstream, counted.session.facts);
      else this.#client.opened(upstream, counted.session.facts);
      return opened;
    } catch (error) {
      liveness.ended = true;
      // A refusal isn't a failure of its own.
      if (error instanceof UnusableError) throw error;
      if (!signal.aborted) this.#countCrash(error);
      throw this.#failed("opening", error);
    }
  }

  /**
   * Waits until a program that ended by itself may be started again.
   *
   * @throws {UnusableError} At once, if it ended too often in a row
   * @throws {AbortSignal["reason"]} If the signal aborts
   */
  async #awaitRestart(signal: AbortSignal): Promise<void> {
    const { settings: { clock }, crashes } = this.#client;
    const crash = crashes.get(this.name, this.#owner);
    const ms = crash === undefined ? 0 : crash.retryAt - clock.now();
    if (crash === undefined || ms <= 0) return;
    if (isHopeless(crash)) throw crashError(this.name, crash, clock.now());
    const over = Promise.withResolvers<void>();
    const stopTimer = clock.timer(ms, over.resolve);
    await keepAliveDuring(ms, () => abortable(over.promise, signal)).finally(stopTimer);
  }

  /** Counts the end of a program, unless it is no program or ended for another reason. */
  #countCrash(error: unknown, ranMs = 0): void {
    if (!this.isProgram || !isCrash(error)) return;
    const { settings: { clock }, crashes, report } = this.#client;
    const { name: upstream } = this;
    const now = clock.now();
    const crash = this.#upstream.share === undefined
      ? crashes.add(upstream, this.#owner, error, ranMs)
      : crashes.addOnce(upstream, this.#owner, error, ranMs);
    if (crash === undefined || !isHopeless(crash)) return;
    const retryMs = Math.ceil(crash.retryAt - now);
    report({ type: "upstream-crashed", upstream, crashes: crash.count, retryMs, error });
  }

  /** Returns the crash that a failure is one of too many of. */
  #crashBehind(error: unknown): Crash | undefined {
    if (!this.isProgram || !isCrash(error)) return undefined;
    const crash = this.#client.crashes.get(this.name, this.#owner);
    return crash !== undefined && isHopeless(crash) ? crash : undefined;
  }

  /** Identifies who the crashes of programs are counted for. */
  get #owner(): string {
    const { share } = this.#upstream;
    if (share === "all") return "";
    return (share === "user" ? this.#client.user : undefined) ?? this.#client.crashOwner;
  }

  /** Opens a session within the time limit. A session that opens too late is closed. */
  async #openInTime(
    { principal, request }: Caller,
    liveness: Liveness,
  ): Promise<CountedSession> {
    const { settings: { clock, openTimeoutMs }, facts, report } = this.#client;
    const { capacity, share } = this.#client;
    const { signal, clear } = deadline(clock, openTimeoutMs, this.#closing.signal);
    const downstream = this.#downstream(liveness);
    const init = {
      name: this.name,
      client: facts,
      alone: this.#client.alone,
      principal: Object.freeze(copyPrincipal(principal)),
      request,
      downstream,
      signal,
      clock,
      report,
      // A program that all use is no single user's.
      takeProgram: (opening = signal) =>
        capacity.take("programs", this.#upstream.share === "all" ? undefined : share, opening),
      user: this.#client.user,
    };
    const open = async (): Promise<CountedSession> => {
      const release = await capacity.take("upstreamSessions", share, signal);
      try {
        return { session: await this.#upstream.open(init), release };
      } catch (error) {
        release();
        throw error;
      }
    };
    const opening = open();
    try {
      return await abortable(opening, signal);
    } catch (error) {
      opening.then((counted) => this.#closeInTime(counted), () => {});
      throw error;
    } finally {
      clear();
    }
  }

  /**
   * Closes a session. Abandons one that isn't closed within twice the time limit, which still counts
   * until it is. Never rejects.
   */
  async #closeInTime({ session, release }: CountedSession): Promise<void> {
    const { settings: { clock, closeTimeoutMs }, report } = this.#client;
    const { name: upstream } = this;
    const { signal, clear } = deadline(clock, 2 * closeTimeoutMs);
    try {
      await abortable((async () => await session.close())().finally(release), signal);
    } catch (error) {
      report(
        signal.aborted
          ? { type: "upstream-abandoned", upstream }
          : { type: "upstream-failed", upstream, during: "closing", error },
      );
    } finally {
      clear();
    }
  }

  /** Receives what a session says outside calls. */
  #downstream(liveness: Liveness): Downstream {
    return {
      notified: (notification) => {
        if (liveness.ended) return;
        this.#cache?.notified(notification);
        this.#client.forward(this.name, this.#running, notification);
      },
      ask: async (method, params, signal) => {
        if (liveness.ended) throw new McpError(ErrorCode.Refused, "Ask before the session ends");
        this.#questions++;
        return await this.#client.forwardQuestion(this.#running, method, params, signal);
      },
      ended: (error) => {
        if (liveness.ended) return;
        liveness.ended = true;
        if (this.#opened?.liveness !== liveness) return;
        const { settings: { clock } } = this.#client;
        this.#countCrash(error, preciseTime(clock) - this.#opened.openedAt);
        this.#failed("session", error);
        void this.#end(this.#opened, "failed", error);
      },
    };
  }

  /** Sends the log level that the client wants to a session, unless the session has it already. */
  #sendLogLevel(opened: OpenedSession, caller: Caller): Promise<void> | undefined {
    const { logLevel: level } = this.#client;
    const { capabilities, protocolVersion } = opened.session.facts;
    if (level === undefined || opened.logLevel === level) return undefined;
    if (capabilities.logging === undefined || isModern(protocolVersion)) return undefined;
    opened.logLevel = level;
    return this.#requestQuietly(opened.session, "logging/setLevel", { level }, caller);
  }

  /** Repeats the client's subscriptions in a new session. */
  async #resubscribe(session: UpstreamSession, caller: Caller): Promise<void> {
    const uris = [...this.#client.subscribedUris(this.name)];
    await Promise.all(
      uris.map((uri) => this.#requestQuietly(session, "resources/subscribe", { uri }, caller)),
    );
  }

  /** Sends a request of the gateway's own. Reports its failure, but doesn't reject. */
  async #requestQuietly(
    session: UpstreamSession,
    method: string,
    params: JsonObject,
    { principal, request }: Caller,
  ): Promise<void> {
    const { clock, probeTimeoutMs: ms } = this.#client.settings;
    const ask = () => Promise.reject(new McpError(ErrorCode.Refused, "Ask during a call"));
    const notify = (notification: Notification) => {
      this.#cache?.notified(notification);
      this.#client.forward(this.name, this.#running, notification);
    };
    const { middleware } = this.#client.settings;
    try {
      await withDeadline({ clock, ms, signal: this.#closing.signal }, (signal) => {
        const call = { method, params, signal, principal, request, notify, ask };
        if (middleware === undefined) return session.request(call);
        return throughMiddleware(
          middleware,
          { ...this.#described(call), facts: session.facts },
          (params) => session.request({ ...call, params }),
        );
      });
    } catch (error) {
      this.#failed(method, error);
    }
  }

  /** Ends a session, and rejects the calls that run in it. */
  #end(opened: OpenedSession, reason: UpstreamCloseReason, error?: unknown): Promise<void> {
    if (this.#opened !== opened) return Promise.resolve();
    this.#opened = undefined;
    opened.liveness.ended = true;
    if (reason === "failed" || reason === "probe-failed") {
      this.#client.invalidateLists(this.name);
      this.#cache?.clear();
    }
    const { settings: { clock }, report } = this.#client;
    const { kind } = this.#upstream;
    const { protocolVersion } = opened.session.facts;
    const ms = preciseTime(clock) - opened.openedAt;
    report({ type: "upstream-closed", upstream: this.name, kind, reason, protocolVersion, ms });
    const closed = this.#closeInTime(opened);
    for (const reject of [...opened.rejects]) reject(error ?? new UpstreamError("closed"));
    return closed;
  }

  /** Reports a failure, and returns the error that the client may see. */
  #failed(during: string, error: unknown): McpError {
    const { name: upstream } = this;
    if (error instanceof BusyError) return this.#busy(error);
    // Nothing has failed: the user is asked
    if (error instanceof SignInRequiredError) return error;
    this.#client.report({ type: "upstream-failed", upstream, during, error });
    if (error instanceof McpError) return error;
    const crash = this.#crashBehind(error);
    if (crash !== undefined) return crashError(upstream, crash, this.#client.settings.clock.now());
    const reason = error instanceof UpstreamError ? error.kind : "failed";
    const message = `Call again later: the upstream "${upstream}" can't be used now (${reason})`;
    return new UnusableError(ErrorCode.InternalError, message, { upstream, reason });
  }

  /** Reports that a limit is reached, and returns the error that the client may see. */
  #busy({ limit }: BusyError): McpError {
    const { name: upstream } = this;
    this.#client.report({ type: "upstream-busy", upstream, limit });
    const code = isModern(this.#client.version) ? ErrorCode.InternalError : ErrorCode.Refused;
    const message = `Call again later: the server is too busy to use the upstream "${upstream}"`;
    return new LimitReachedError(code, message, { upstream, reason: "busy" });
  }

  #markUsed(): void {
    this.#usedAt = this.#client.settings.clock.now();
  }
}

/** Returns what identifies a request, without the rest: the request's exchange must not be kept. */
function callerOf({ principal, request }: Caller): Caller {
  return { principal, request };
}
