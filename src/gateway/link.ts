/**
 * One client's connection to one upstream: a session that is begun when it is first needed, begun
 * anew when it failed, and never anybody else's.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { UpstreamCloseReason } from "../protocol/events.ts";
import type { ClientFacts, Notification } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { LogLevel } from "../protocol/shapes.ts";
import { closeBounded, type Closing, deadline, openBounded, raced } from "./bounded.ts";
import { asked, heard, type LinkOwner } from "./link_owner.ts";
import { probe } from "./probe.ts";
import { ASKING, isModern } from "./translate.ts";
import type {
  Downstream,
  Upstream,
  UpstreamCall,
  UpstreamFacts,
  UpstreamSession,
} from "./types.ts";
import { UpstreamError } from "./upstream_error.ts";

/** An upstream under its name. Its identity was read once: what it says later changes nothing. */
export interface NamedUpstream {
  readonly name: string;
  readonly upstream: Upstream;
  readonly identity: string;
}

/** Thrown when an upstream can't be used. The operator has been told why. */
export class UnusableError extends McpError {}

/** In whose course an upstream is used. */
export interface Errand {
  readonly request: Request;
  readonly signal: AbortSignal;
}

/** What a session that is over still says is nobody's. */
interface Attempt {
  over: boolean;
}

/** A session in use. */
interface Live {
  readonly session: UpstreamSession;
  readonly attempt: Attempt;
  /** Lets each running call fail. */
  readonly calls: Set<(error: unknown) => void>;
  level: LogLevel | undefined;
}

/** One client's connection to one upstream. */
export class Link {
  readonly name: string;
  readonly #named: NamedUpstream;
  readonly #owner: LinkOwner;
  readonly #running = new Set<UpstreamCall>();
  readonly #end = new AbortController();
  #live: Live | undefined;
  #opening: Promise<Live> | undefined;
  #checking: Promise<void> | undefined;
  #usedAt = 0;
  #closed: Promise<void> | undefined;

  constructor(named: NamedUpstream, owner: LinkOwner) {
    this.name = named.name;
    this.#named = named;
    this.#owner = owner;
  }

  /** Whether a session is open or begins. */
  get open(): boolean {
    return this.#live !== undefined || this.#opening !== undefined;
  }

  /** The client, as the upstream knows it. */
  get client(): ClientFacts {
    return this.#owner.client;
  }

  /** What the upstream said of itself, while a session is open. */
  get facts(): UpstreamFacts | undefined {
    return this.#live?.session.facts;
  }

  /**
   * Makes sure that there is a session.
   *
   * @throws {McpError} If there can't be one
   * @throws {AbortSignal["reason"]} When the errand's signal aborts
   */
  reach(errand: Errand): MaybePromise<UpstreamFacts> {
    const ready = this.#ready(errand);
    return isPromise(ready) ? ready.then(({ session }) => session.facts) : ready.session.facts;
  }

  /**
   * Sends a request and waits for its result.
   *
   * @throws {McpError} What the upstream answered, or that it failed
   * @throws {AbortSignal["reason"]} When the call's signal aborts
   */
  async request(call: UpstreamCall): Promise<JsonObject> {
    const ready = this.#ready(call);
    const live = isPromise(ready) ? await ready : ready;
    const adopting = this.#adoptLevel(live, call.request);
    if (adopting !== undefined) await adopting;
    const { signal } = call;
    signal.throwIfAborted();
    // It may have ended since it was ready, and told those that it had.
    if (live.attempt.over) throw this.#failed(call.method, new UpstreamError("closed"));
    this.#running.add(call);
    if (ASKING.has(call.method)) this.#owner.reached();
    try {
      // It fails with its session, even where the session itself doesn't see to it.
      return await raced(live.session.request(call), signal, live.calls);
    } catch (error) {
      if (signal.aborted || error instanceof McpError) throw error;
      void this.#evict(live, "failed");
      throw this.#failed(call.method, error);
    } finally {
      this.#running.delete(call);
      this.#touch();
    }
  }

  /** Sends a notification, if there is a session. */
  async notify(notification: Notification): Promise<void> {
    try {
      await this.#live?.session.notify(notification);
    } catch (error) {
      this.#failed(notification.method, error);
    }
  }

  /** Sends the level of log messages that the client wants, if there is a session. */
  async level(request: Request): Promise<void> {
    if (this.#live !== undefined) await this.#adoptLevel(this.#live, request);
  }

  /** Ends the session for good. Safe to call twice; settles in bounded time. */
  close(reason: UpstreamCloseReason): Promise<void> {
    return this.#closed ??= this.#close(reason);
  }

  async #close(reason: UpstreamCloseReason): Promise<void> {
    this.#end.abort(new UpstreamError("closed"));
    const live = this.#live;
    // Whatever is still to begin ends by itself: its signal has aborted.
    if (live === undefined) return;
    await this.#evict(live, reason);
  }

  /** The session, at once where it is there and was used a moment ago. */
  #ready(errand: Errand): MaybePromise<Live> {
    if (this.#end.signal.aborted) throw this.#failed("using", this.#end.signal.reason);
    const { settings: { clock, probeAfterMs } } = this.#owner;
    const idle = this.#running.size === 0 && clock.now() - this.#usedAt >= probeAfterMs;
    return this.#live === undefined || idle ? this.#prepare(errand, idle) : this.#live;
  }

  async #prepare(errand: Errand, idle: boolean): Promise<Live> {
    if (this.#live !== undefined && idle) {
      this.#checking ??= this.#check(this.#live, errand.request)
        .finally(() => this.#checking = undefined);
      await raced(this.#checking, errand.signal);
    }
    if (this.#live !== undefined) return this.#live;
    this.#opening ??= this.#begin(errand.request).finally(() => this.#opening = undefined);
    return await raced(this.#opening, errand.signal);
  }

  async #check(live: Live, request: Request): Promise<void> {
    const { clock, probeTimeoutMs } = this.#owner.settings;
    const alive = await probe(live.session, request, clock, probeTimeoutMs);
    this.#touch();
    if (!alive) void this.#evict(live, "probe-failed");
  }

  async #begin(request: Request): Promise<Live> {
    const { settings: { clock, openTimeoutMs }, client, principal, report } = this.#owner;
    const { name, upstream } = this.#named;
    const begun = clock.now();
    const attempt: Attempt = { over: false };
    const downstream = this.#downstream(attempt);
    const { signal } = this.#end;
    const init = { name, client, principal, request, downstream, signal, clock, report };
    try {
      const session = await openBounded(upstream, init, this.#closing, openTimeoutMs);
      const live: Live = { session, attempt, calls: new Set(), level: undefined };
      await this.#resubscribe(session, request);
      if (attempt.over || signal.aborted) {
        void closeBounded(session, this.#closing);
        throw signal.aborted ? signal.reason : new UpstreamError("closed");
      }
      this.#live = live;
      this.#touch();
      report({ type: "upstream-opened", upstream: name, ms: clock.now() - begun });
      return live;
    } catch (error) {
      attempt.over = true;
      throw this.#failed("opening", error);
    }
  }

  /** What a session says outside its calls. */
  #downstream(attempt: Attempt): Downstream {
    return {
      notified: (notification) => {
        if (!attempt.over) heard(this.#owner, this.name, this.#running, notification);
      },
      ask: async (method, params, signal) => {
        if (attempt.over) throw new McpError(ErrorCode.Refused, "Ask nothing after the end");
        return await asked(this.#owner, this.#running, method, params, signal);
      },
      ended: (error) => {
        if (attempt.over) return;
        attempt.over = true;
        if (this.#live?.attempt !== attempt) return;
        this.#failed("being there", error);
        void this.#evict(this.#live, "failed", error);
      },
    };
  }

  /** Tells a session the level of log messages that the client wants, unless it knows. */
  #adoptLevel(live: Live, request: Request): Promise<void> | undefined {
    const { logLevel: level } = this.#owner;
    const { capabilities, protocolVersion } = live.session.facts;
    if (level === undefined || live.level === level) return undefined;
    if (capabilities.logging === undefined || isModern(protocolVersion)) return undefined;
    live.level = level;
    return this.#quietly(live.session, "logging/setLevel", { level }, request);
  }

  /** A session that takes the place of another one is told what the client is subscribed to. */
  async #resubscribe(session: UpstreamSession, request: Request): Promise<void> {
    const uris = [...this.#owner.subscribed(this.name)];
    await Promise.all(
      uris.map((uri) => this.#quietly(session, "resources/subscribe", { uri }, request)),
    );
  }

  /** Sends a request whose failure is nobody's but the operator's. */
  async #quietly(
    session: UpstreamSession,
    method: string,
    params: JsonObject,
    request: Request,
  ): Promise<void> {
    const { clock, probeTimeoutMs } = this.#owner.settings;
    const { signal, stop } = deadline(clock, probeTimeoutMs, this.#end.signal);
    const ask = () => Promise.reject(new McpError(ErrorCode.Refused, "Ask in the course of calls"));
    const notify = (notification: Notification) => {
      heard(this.#owner, this.name, this.#running, notification);
    };
    try {
      await raced(session.request({ method, params, signal, request, notify, ask }), signal);
    } catch (error) {
      this.#failed(method, error);
    } finally {
      stop();
    }
  }

  /** Ends a session, and lets what still runs in it fail with an error. */
  #evict(live: Live, reason: UpstreamCloseReason, error?: unknown): Promise<void> {
    if (this.#live !== live) return Promise.resolve();
    this.#live = undefined;
    live.attempt.over = true;
    if (reason === "failed" || reason === "probe-failed") this.#owner.forget(this.name);
    this.#owner.report({ type: "upstream-closed", upstream: this.name, reason });
    const closed = closeBounded(live.session, this.#closing);
    for (const fail of [...live.calls]) fail(error ?? new UpstreamError("closed"));
    return closed;
  }

  /** Tells the operator everything and the client what it may know. */
  #failed(during: string, error: unknown): McpError {
    const { name: upstream } = this;
    this.#owner.report({ type: "upstream-failed", upstream, during, error });
    if (error instanceof McpError) return error;
    const reason = error instanceof UpstreamError ? error.kind : "failed";
    const message = `Call again later: the upstream "${upstream}" can't be used now (${reason})`;
    return new UnusableError(ErrorCode.InternalError, message, { upstream, reason });
  }

  get #closing(): Closing {
    const { settings: { clock, closeTimeoutMs }, report } = this.#owner;
    return { name: this.name, clock, closeTimeoutMs, report };
  }

  #touch(): void {
    this.#usedAt = this.#owner.settings.clock.now();
  }
}
