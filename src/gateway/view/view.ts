/**
 * Serves the upstreams of a gateway to one endpoint: all of them under prefixes, or a single one.
 *
 * @module
 */
import { ErrorCode, McpError } from "../../protocol/errors.ts";
import type { McpEvent, UpstreamCloseReason } from "../../protocol/events.ts";
import type {
  Dispatcher,
  DispatcherHost,
  Exchange,
  Notification,
  NotificationExchange,
} from "../../protocol/exchange.ts";
import type { JsonObject } from "../../protocol/jsonrpc.ts";
import { methodFacts } from "../../protocol/methods.ts";
import type { Implementation } from "../../protocol/shapes.ts";
import { unknownMethod } from "../../protocol/unknown.ts";
import { isModern, VERSIONS } from "../../protocol/versions.ts";
import type { GatewaySettings } from "../options.ts";
import { HeldCalls } from "../session/held_calls.ts";
import { ListCache } from "../session/list_cache.ts";
import type { RegisteredUpstream } from "../session/managed_session.ts";
import { isSameOwner } from "../../sessions/owner.ts";
import { type AcquiredSessions, StatelessClients } from "../session/stateless.ts";
import { ASKING_METHODS, modernResult } from "../session/translate.ts";
import { type SessionsHost, UpstreamSessions } from "../session/upstream_sessions.ts";
import { hopsOf } from "../shared/hops.ts";
import { CHANGED_LISTS } from "../shared/list_kinds.ts";
import { hideTool, type Method, METHODS, type ViewRequest } from "./methods.ts";
import { prefixed, split } from "./names.ts";

/** Options for {@linkcode View}. */
export interface ViewInit {
  readonly settings: GatewaySettings;
  /** Holds all upstreams of the gateway, as they are at any time. */
  readonly upstreams: ReadonlyMap<string, RegisteredUpstream>;
  /** Names the only upstream to serve; all of them by default. */
  readonly only?: string;
}

/** Serves the upstreams of a gateway to one endpoint. */
export class View implements Dispatcher, SessionsHost {
  readonly pinned = true;
  readonly resourceUpdates = false;
  readonly listChanged: readonly string[] = [...CHANGED_LISTS.keys()];
  readonly serverInfo: Implementation;
  readonly settings: GatewaySettings;
  readonly #upstreams: ReadonlyMap<string, RegisteredUpstream>;
  readonly #only: string | undefined;
  readonly #hosts = new Set<DispatcherHost>();
  /** Maps the ids of clients' sessions to their upstream sessions. */
  readonly #sessions = new Map<string, UpstreamSessions>();
  readonly #stateless: StatelessClients;
  readonly #heldCalls: HeldCalls;
  /** Holds what `close` waits for. */
  readonly #pendingCloses = new Set<Promise<unknown>>();
  #isClosed = false;

  constructor({ settings, upstreams, only }: ViewInit) {
    this.settings = settings;
    this.serverInfo = settings.info;
    this.#upstreams = upstreams;
    this.#only = only;
    this.#stateless = new StatelessClients(this);
    this.#heldCalls = new HeldCalls(settings);
  }

  get upstreams(): ReadonlyMap<string, RegisteredUpstream> {
    if (this.#only === undefined) return this.#upstreams;
    const registered = this.#upstreams.get(this.#only);
    return new Map(registered === undefined ? [] : [[this.#only, registered]]);
  }

  /** Counts the upstream sessions that are open or opening. */
  get openSessions(): number {
    return this.#allSessions.reduce((sum, { openCount }) => sum + openCount, 0);
  }

  /** Counts the held calls. */
  get heldCalls(): number {
    return this.#heldCalls.size;
  }

  /** Tells whether an endpoint serves the view. */
  get isServed(): boolean {
    return this.#hosts.size > 0;
  }

  dispatch(exchange: Exchange): Promise<JsonObject> {
    return this.#answer(exchange, methodFor(exchange));
  }

  hide(exchange: Exchange): Promise<JsonObject> {
    if (exchange.method !== "tools/call") throw unknownMethod(exchange.method);
    return this.#answer(exchange, hideTool);
  }

  async notified({ method, session, protocolVersion }: NotificationExchange): Promise<void> {
    if (session === undefined) return;
    const sessions = this.#sessions.get(session.id);
    if (method === "notifications/initialized") sessions?.markReachable();
    if (method !== "notifications/roots/list_changed" || isModern(protocolVersion)) return;
    if (sessions?.facts.capabilities.roots?.listChanged !== true) return;
    const legacy = sessions.used.filter(({ facts }) => facts && !isModern(facts.protocolVersion));
    await Promise.all(legacy.map((each) => each.notify({ method })));
  }

  attach(host: DispatcherHost): () => void {
    this.#hosts.add(host);
    return () => {
      this.#hosts.delete(host);
      // Sessions in a shared store outlive the endpoint, but none of their requests come here again.
      if (this.#hosts.size === 0) void this.#tracked(this.#closeAll());
    };
  }

  async sessionEnded(sessionId: string): Promise<void> {
    const sessions = this.#sessions.get(sessionId);
    this.#sessions.delete(sessionId);
    if (sessions !== undefined) await this.#tracked(sessions.close("ended"));
  }

  rename(upstream: string, name: string): string {
    return this.#only === undefined ? prefixed(upstream, this.settings.separator, name) : name;
  }

  notify(sessionId: string, notification: Notification): void {
    for (const host of this.#hosts) host.notify?.(sessionId, notification);
  }

  ask(
    sessionId: string,
    method: string,
    params: JsonObject,
    signal: AbortSignal,
  ): Promise<JsonObject> | undefined {
    for (const host of this.#hosts) {
      const answer = host.ask?.(sessionId, method, params, signal);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  readonly report = (event: McpEvent): void => {
    for (const host of this.#hosts) host.report(event);
  };

  /** Ends the sessions with an upstream that was replaced or removed, and notifies the clients. */
  async upstreamChanged(name: string, reason: UpstreamCloseReason): Promise<void> {
    if (this.#only !== undefined && this.#only !== name) return;
    this.#stateless.removeLists(name);
    const closes = this.#allSessions.map((sessions) => sessions.remove(name, reason));
    for (const host of this.#hosts) {
      for (const method of this.listChanged) host.broadcast({ method });
    }
    await this.#tracked(Promise.all(closes));
  }

  /** Ends all sessions, also those that are closing already, and refuses new requests. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#closeAll();
    await Promise.all(this.#pendingCloses);
  }

  async #closeAll(): Promise<void> {
    this.#heldCalls.close(new McpError(ErrorCode.NotAvailable, "The gateway is shutting down"));
    const all = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.all([
      ...all.map((sessions) => sessions.close("shutdown")),
      this.#stateless.close("shutdown"),
    ]);
  }

  /** Makes `close` wait for a promise, too. */
  async #tracked(closing: Promise<unknown>): Promise<void> {
    this.#pendingCloses.add(closing);
    await closing.finally(() => this.#pendingCloses.delete(closing));
  }

  get #allSessions(): readonly UpstreamSessions[] {
    return [...this.#sessions.values(), ...this.#stateless.all];
  }

  async #answer(exchange: Exchange, method: Method): Promise<JsonObject> {
    if (this.#isClosed) throw new McpError(ErrorCode.NotAvailable, "The gateway is shutting down");
    hopsOf(exchange.request.headers);
    const modern = isModern(exchange.protocolVersion);
    const isRetry = modern && ASKING_METHODS.has(exchange.method) &&
      exchange.params.requestState !== undefined;
    const state = isRetry ? await exchange.openState() : undefined;
    const result = typeof state?.held === "string"
      ? await this.#heldCalls.resume(exchange, state.held)
      : await this.#answerNew(exchange, method, state);
    return modern ? modernResult(exchange.method, result, this.settings.info) : result;
  }

  async #answerNew(
    exchange: Exchange,
    method: Method,
    state: JsonObject | undefined,
  ): Promise<JsonObject> {
    const { sessions, retain } = this.#sessionsFor(exchange);
    const { settings } = this;
    const release = retain();
    try {
      return await method({
        exchange,
        settings,
        heldCalls: this.#heldCalls,
        state,
        retain,
        sessions,
        locate: this.#locate,
      });
    } finally {
      release();
    }
  }

  #sessionsFor(exchange: Exchange): AcquiredSessions {
    const { session, principal, client, protocolVersion: version } = exchange;
    if (session === undefined) return this.#stateless.acquire(exchange);
    let sessions = this.#sessions.get(session.id);
    if (sessions === undefined) {
      const { clock, listCacheMs } = this.settings;
      const lists = new ListCache(clock, listCacheMs);
      const init = { host: this, sessionId: session.id, principal, client, version, lists };
      sessions = new UpstreamSessions(init);
      sessions.logLevel = session.logLevel;
      this.#sessions.set(session.id, sessions);
    }
    // The endpoint has checked it, but a mistake there would give away everything here.
    if (!isSameOwner(sessions.principal, principal)) {
      throw new McpError(ErrorCode.NotAvailable, "Session not found", { retry: "re-initialize" });
    }
    sessions.markReachable();
    return { sessions, retain: () => () => {} };
  }

  readonly #locate: ViewRequest["locate"] = (name) => {
    if (this.#only !== undefined) return { upstream: this.#only, name };
    return split(name, this.settings.separator);
  };
}

function methodFor({ method, protocolVersion }: Exchange): Method {
  const found = METHODS.get(method);
  const isServed = methodFacts(method)?.eras.includes(VERSIONS[protocolVersion].era);
  if (found === undefined || isServed !== true) throw unknownMethod(method);
  return found;
}
