/**
 * Keeps one client's session with one upstream: opens it on first use, probes it after idling, and
 * replaces it after a failure.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../../internal/types.ts";
import { ErrorCode, McpError } from "../../protocol/errors.ts";
import type { UpstreamCloseReason } from "../../protocol/events.ts";
import type { ClientFacts, Notification } from "../../protocol/exchange.ts";
import type { JsonObject } from "../../protocol/jsonrpc.ts";
import type { LogLevel } from "../../protocol/shapes.ts";
import { isModern } from "../../protocol/versions.ts";
import { abortable, deadline, type Reject, withDeadline } from "../shared/deadline.ts";
import { UpstreamError } from "../shared/upstream_error.ts";
import type {
  Downstream,
  Upstream,
  UpstreamCall,
  UpstreamFacts,
  UpstreamSession,
} from "../types.ts";
import { type DownstreamClient, forwardNotification, forwardQuestion } from "./downstream.ts";
import { probe } from "./probe.ts";
import { ASKING_METHODS } from "./translate.ts";

/** Represents an upstream with its name, and the identity that it had when it was added. */
export interface RegisteredUpstream {
  readonly name: string;
  readonly upstream: Upstream;
  readonly identity: string;
}

/** Reports that an upstream can't be used, after the cause went to `onEvent`. */
export class UnusableError extends McpError {}

/** Represents the client's request that an upstream is used for. */
export interface RequestContext {
  readonly request: Request;
  readonly signal: AbortSignal;
}

/** Tells whether a session has ended, from before it is open. Messages after its end are dropped. */
interface Liveness {
  ended: boolean;
}

/** Represents a session that is open. */
interface OpenedSession {
  readonly session: UpstreamSession;
  readonly liveness: Liveness;
  /** Holds functions that reject the running calls. */
  readonly rejects: Set<Reject>;
  logLevel: LogLevel | undefined;
}

/** Keeps one client's session with one upstream. */
export class ManagedSession {
  readonly name: string;
  readonly #upstream: Upstream;
  readonly #client: DownstreamClient;
  readonly #running = new Set<UpstreamCall>();
  readonly #closing = new AbortController();
  #opened: OpenedSession | undefined;
  #opening: Promise<OpenedSession> | undefined;
  #probing: Promise<void> | undefined;
  #usedAt = 0;
  #closed: Promise<void> | undefined;

  constructor({ name, upstream }: RegisteredUpstream, client: DownstreamClient) {
    this.name = name;
    this.#upstream = upstream;
    this.#client = client;
  }

  /** Tells whether a session is open or opening. */
  get isOpen(): boolean {
    return this.#opened !== undefined || this.#opening !== undefined;
  }

  /** Describes the client, as the upstream knows it. */
  get client(): ClientFacts {
    return this.#client.facts;
  }

  /** Holds what the upstream said about itself, while a session is open. */
  get facts(): UpstreamFacts | undefined {
    return this.#opened?.session.facts;
  }

  /**
   * Opens a session, unless one is open.
   *
   * @throws {McpError} If the upstream can't be used
   * @throws {AbortSignal["reason"]} If the signal of the context aborts
   */
  ensureOpen(context: RequestContext): MaybePromise<UpstreamFacts> {
    const opened = this.#current(context);
    return isPromise(opened) ? opened.then(({ session }) => session.facts) : opened.session.facts;
  }

  /**
   * Sends a request and waits for its result.
   *
   * @throws {McpError} If the upstream answers with an error or fails
   * @throws {AbortSignal["reason"]} If the call's signal aborts
   */
  async request(call: UpstreamCall): Promise<JsonObject> {
    const current = this.#current(call);
    const opened = isPromise(current) ? await current : current;
    const levelSent = this.#sendLogLevel(opened, call.request);
    if (levelSent !== undefined) await levelSent;
    const { signal } = call;
    signal.throwIfAborted();
    // The session may have ended while this call waited for it.
    if (opened.liveness.ended) throw this.#failed(call.method, new UpstreamError("closed"));
    this.#running.add(call);
    if (ASKING_METHODS.has(call.method)) this.#client.markReachable();
    try {
      // The call is rejected with its session, even if the session itself leaves it pending.
      return await abortable(opened.session.request(call), signal, opened.rejects);
    } catch (error) {
      if (signal.aborted || error instanceof McpError) throw error;
      void this.#end(opened, "failed");
      throw this.#failed(call.method, error);
    } finally {
      this.#running.delete(call);
      this.#markUsed();
    }
  }

  /** Sends a notification, if a session is open. */
  async notify(notification: Notification): Promise<void> {
    try {
      await this.#opened?.session.notify(notification);
    } catch (error) {
      this.#failed(notification.method, error);
    }
  }

  /** Sends the log level that the client wants, if a session is open. */
  async syncLogLevel(request: Request): Promise<void> {
    if (this.#opened !== undefined) await this.#sendLogLevel(this.#opened, request);
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
  #current(context: RequestContext): MaybePromise<OpenedSession> {
    if (this.#closing.signal.aborted) throw this.#failed("using", this.#closing.signal.reason);
    const { settings: { clock, probeAfterMs } } = this.#client;
    const isIdle = this.#running.size === 0 && clock.now() - this.#usedAt >= probeAfterMs;
    return this.#opened === undefined || isIdle ? this.#prepare(context, isIdle) : this.#opened;
  }

  async #prepare({ request, signal }: RequestContext, isIdle: boolean): Promise<OpenedSession> {
    if (this.#opened !== undefined && isIdle) {
      this.#probing ??= this.#probe(this.#opened, request)
        .finally(() => this.#probing = undefined);
      await abortable(this.#probing, signal);
    }
    if (this.#opened !== undefined) return this.#opened;
    this.#opening ??= this.#open(request).finally(() => this.#opening = undefined);
    return await abortable(this.#opening, signal);
  }

  async #probe(opened: OpenedSession, request: Request): Promise<void> {
    const { clock, probeTimeoutMs } = this.#client.settings;
    const isAlive = await probe(opened.session, request, clock, probeTimeoutMs);
    this.#markUsed();
    if (!isAlive) void this.#end(opened, "probe-failed");
  }

  async #open(request: Request): Promise<OpenedSession> {
    const { settings: { clock }, report } = this.#client;
    const { name: upstream } = this;
    const startedAt = clock.now();
    const liveness: Liveness = { ended: false };
    const { signal } = this.#closing;
    try {
      const session = await this.#openInTime(request, liveness);
      const rejects = new Set<Reject>();
      const opened: OpenedSession = { session, liveness, rejects, logLevel: undefined };
      await this.#resubscribe(session, request);
      if (liveness.ended || signal.aborted) {
        void this.#closeInTime(session);
        throw signal.aborted ? signal.reason : new UpstreamError("closed");
      }
      this.#opened = opened;
      this.#markUsed();
      report({ type: "upstream-opened", upstream, ms: clock.now() - startedAt });
      return opened;
    } catch (error) {
      liveness.ended = true;
      throw this.#failed("opening", error);
    }
  }

  /** Opens a session within the time limit. A session that opens too late is closed. */
  async #openInTime(request: Request, liveness: Liveness): Promise<UpstreamSession> {
    const { settings: { clock, openTimeoutMs }, facts, principal, report } = this.#client;
    const { signal, clear } = deadline(clock, openTimeoutMs, this.#closing.signal);
    const downstream = this.#downstream(liveness);
    const init = {
      name: this.name,
      client: facts,
      principal,
      request,
      downstream,
      signal,
      clock,
      report,
    };
    const opening = (async () => await this.#upstream.open(init))();
    try {
      return await abortable(opening, signal);
    } catch (error) {
      opening.then((session) => this.#closeInTime(session), () => {});
      throw error;
    } finally {
      clear();
    }
  }

  /** Closes a session. Abandons one that isn't closed within twice the time limit. Never rejects. */
  async #closeInTime(session: UpstreamSession): Promise<void> {
    const { settings: { clock, closeTimeoutMs }, report } = this.#client;
    const { name: upstream } = this;
    const { signal, clear } = deadline(clock, 2 * closeTimeoutMs);
    try {
      await abortable((async () => await session.close())(), signal);
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
        forwardNotification(this.#client, this.name, this.#running, notification);
      },
      ask: async (method, params, signal) => {
        if (liveness.ended) throw new McpError(ErrorCode.Refused, "Ask before the session ends");
        return await forwardQuestion(this.#client, this.#running, method, params, signal);
      },
      ended: (error) => {
        if (liveness.ended) return;
        liveness.ended = true;
        if (this.#opened?.liveness !== liveness) return;
        this.#failed("session", error);
        void this.#end(this.#opened, "failed", error);
      },
    };
  }

  /** Sends the log level that the client wants to a session, unless the session has it already. */
  #sendLogLevel(opened: OpenedSession, request: Request): Promise<void> | undefined {
    const { logLevel: level } = this.#client;
    const { capabilities, protocolVersion } = opened.session.facts;
    if (level === undefined || opened.logLevel === level) return undefined;
    if (capabilities.logging === undefined || isModern(protocolVersion)) return undefined;
    opened.logLevel = level;
    return this.#requestQuietly(opened.session, "logging/setLevel", { level }, request);
  }

  /** Repeats the client's subscriptions in a new session. */
  async #resubscribe(session: UpstreamSession, request: Request): Promise<void> {
    const uris = [...this.#client.subscribedUris(this.name)];
    await Promise.all(
      uris.map((uri) => this.#requestQuietly(session, "resources/subscribe", { uri }, request)),
    );
  }

  /** Sends a request of the gateway's own. Reports its failure, but doesn't reject. */
  async #requestQuietly(
    session: UpstreamSession,
    method: string,
    params: JsonObject,
    request: Request,
  ): Promise<void> {
    const { clock, probeTimeoutMs: ms } = this.#client.settings;
    const ask = () => Promise.reject(new McpError(ErrorCode.Refused, "Ask during a call"));
    const notify = (notification: Notification) => {
      forwardNotification(this.#client, this.name, this.#running, notification);
    };
    try {
      await withDeadline(
        { clock, ms, signal: this.#closing.signal },
        (signal) => session.request({ method, params, signal, request, notify, ask }),
      );
    } catch (error) {
      this.#failed(method, error);
    }
  }

  /** Ends a session, and rejects the calls that run in it. */
  #end(opened: OpenedSession, reason: UpstreamCloseReason, error?: unknown): Promise<void> {
    if (this.#opened !== opened) return Promise.resolve();
    this.#opened = undefined;
    opened.liveness.ended = true;
    if (reason === "failed" || reason === "probe-failed") this.#client.invalidateLists(this.name);
    this.#client.report({ type: "upstream-closed", upstream: this.name, reason });
    const closed = this.#closeInTime(opened.session);
    for (const reject of [...opened.rejects]) reject(error ?? new UpstreamError("closed"));
    return closed;
  }

  /** Reports a failure, and returns the error that the client may see. */
  #failed(during: string, error: unknown): McpError {
    const { name: upstream } = this;
    this.#client.report({ type: "upstream-failed", upstream, during, error });
    if (error instanceof McpError) return error;
    const reason = error instanceof UpstreamError ? error.kind : "failed";
    const message = `Call again later: the upstream "${upstream}" can't be used now (${reason})`;
    return new UnusableError(ErrorCode.InternalError, message, { upstream, reason });
  }

  #markUsed(): void {
    this.#usedAt = this.#client.settings.clock.now();
  }
}
