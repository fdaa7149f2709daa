/**
 * Holds everything that one client has with its upstreams: a session with each, cached lists, and
 * subscriptions. It belongs to one session of the client, or to one request or principal of the 2026
 * era.
 *
 * @module
 */
import { ErrorCode, McpError } from "../../protocol/errors.ts";
import type { McpEvent, UpstreamCloseReason } from "../../protocol/events.ts";
import type { ClientFacts, Notification, Principal } from "../../protocol/exchange.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import type { LogLevel } from "../../protocol/shapes.ts";
import type { ProtocolVersion } from "../../protocol/versions.ts";
import { fetchList } from "../client/fetch_list.ts";
import type { GatewaySettings } from "../options.ts";
import { abortable, withDeadline } from "../shared/deadline.ts";
import { LIST_KINDS, type ListKind, LISTS } from "../shared/list_kinds.ts";
import type { UpstreamCall, UpstreamFacts } from "../types.ts";
import { NotificationCoalescer } from "./coalesce.ts";
import type { DownstreamClient } from "./downstream.ts";
import type { ListCache } from "./list_cache.ts";
import {
  ManagedSession,
  type RegisteredUpstream,
  type RequestContext,
  UnusableError,
} from "./managed_session.ts";
import { checkQuestion, upstreamCapabilities } from "./translate.ts";

/** Provides what upstream sessions need of the view that they are used by. */
export interface SessionsHost {
  readonly settings: GatewaySettings;
  /** Holds the upstreams of the view, in their order. */
  readonly upstreams: ReadonlyMap<string, RegisteredUpstream>;
  readonly report: (event: McpEvent) => void;
  /** Returns the name that a tool or prompt of an upstream has in the view. */
  rename(upstream: string, name: string): string;
  /** Sends a notification on the stream of a client's session. */
  notify(sessionId: string, notification: Notification): void;
  /** Sends a request on the stream of a client's session; `undefined` if it isn't served here. */
  ask(
    sessionId: string,
    method: string,
    params: JsonObject,
    signal: AbortSignal,
  ): Promise<JsonObject> | undefined;
}

/** Options for {@linkcode UpstreamSessions}. */
export interface UpstreamSessionsInit {
  readonly host: SessionsHost;
  /** Identifies the client's session, if it has one. */
  readonly sessionId: string | undefined;
  readonly principal: Principal;
  readonly client: ClientFacts;
  readonly version: ProtocolVersion;
  readonly lists: ListCache;
}

/** Holds one client's sessions with all upstreams of a view. */
export class UpstreamSessions implements DownstreamClient {
  readonly settings: GatewaySettings;
  readonly principal: Principal;
  readonly facts: ClientFacts;
  readonly version: ProtocolVersion;
  readonly report: (event: McpEvent) => void;
  logLevel: LogLevel | undefined;
  readonly #host: SessionsHost;
  readonly #sessionId: string | undefined;
  readonly #lists: ListCache;
  readonly #sessions = new Map<string, ManagedSession>();
  readonly #fetches = new Map<string, Promise<readonly JsonObject[]>>();
  readonly #subscriptions = new Map<string, Set<string>>();
  readonly #waiters = new Set<() => void>();
  readonly #coalescer: NotificationCoalescer;
  readonly #reported = new WeakSet<readonly JsonObject[]>();
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor({ host, sessionId, principal, client, version, lists }: UpstreamSessionsInit) {
    this.settings = host.settings;
    this.report = host.report;
    this.principal = Object.freeze({ ...principal });
    this.version = version;
    this.facts = {
      ...client.info && { info: client.info },
      capabilities: upstreamCapabilities(client, version),
    };
    this.#host = host;
    this.#sessionId = sessionId;
    this.#lists = lists;
    const { clock } = host.settings;
    this.#coalescer = new NotificationCoalescer(clock, (notification) => this.#send(notification));
  }

  /** Returns the names of the upstreams, in their order. */
  get names(): readonly string[] {
    return [...this.#host.upstreams.keys()];
  }

  /** Counts the sessions that are open or opening. */
  get openCount(): number {
    let count = 0;
    for (const session of this.#sessions.values()) if (session.isOpen) count++;
    return count;
  }

  /** Tells whether `close` was called. */
  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /** Returns the session with an upstream; `undefined` if there is no such upstream. */
  get(name: string): ManagedSession | undefined {
    const known = this.#sessions.get(name);
    if (known !== undefined) return known;
    const registered = this.#host.upstreams.get(name);
    if (registered === undefined || this.isClosed) return undefined;
    const session = new ManagedSession(registered, this);
    this.#sessions.set(name, session);
    return session;
  }

  /** Returns the sessions that were used so far. */
  get used(): readonly ManagedSession[] {
    return [...this.#sessions.values()];
  }

  /**
   * Returns a list of one upstream, with the names that the client knows.
   *
   * @throws {McpError} If the list can't be fetched
   * @throws {AbortSignal["reason"]} If the signal of the context aborts
   */
  async list(
    name: string,
    kind: ListKind,
    context: RequestContext,
  ): Promise<readonly JsonObject[]> {
    const cached = this.#lists.get(name, kind);
    if (cached !== undefined) {
      if ("error" in cached) throw cached.error;
      return cached.entries;
    }
    const key = `${kind} ${name}`;
    let fetching = this.#fetches.get(key);
    if (fetching === undefined) {
      fetching = this.#fetch(name, kind, context.request)
        .finally(() => this.#fetches.delete(key));
      fetching.catch(() => {});
      this.#fetches.set(key, fetching);
    }
    return await abortable(fetching, context.signal);
  }

  /** Returns `true` at the first call for a list, so that its duplicates are reported once. */
  isFirstReport(list: readonly JsonObject[]): boolean {
    if (this.#reported.has(list)) return false;
    this.#reported.add(list);
    return true;
  }

  /** Ends the session with an upstream that was removed or replaced. */
  async remove(name: string, reason: UpstreamCloseReason): Promise<void> {
    this.#lists.remove(name);
    const session = this.#sessions.get(name);
    this.#sessions.delete(name);
    if (reason === "removed") this.#subscriptions.delete(name);
    await session?.close(reason);
  }

  /** Ends all sessions concurrently, in bounded time. Safe to call twice. */
  close(reason: UpstreamCloseReason): Promise<void> {
    return this.#closed ??= this.#close(reason);
  }

  async #close(reason: UpstreamCloseReason): Promise<void> {
    this.#closing.abort(new McpError(ErrorCode.NotAvailable, "The session ended"));
    this.#coalescer.clear();
    this.markReachable();
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.all(sessions.map((session) => session.close(reason)));
  }

  notify(notification: Notification): void {
    if (this.#sessionId === undefined) return;
    if (notification.method === "notifications/message") return this.#send(notification);
    this.#coalescer.add(notification);
  }

  ask(method: string, params: JsonObject, signal: AbortSignal): Promise<JsonObject> | undefined {
    if (this.#sessionId === undefined) return undefined;
    return this.#host.ask(this.#sessionId, method, params, signal);
  }

  whenReachable(signal: AbortSignal): Promise<void> | undefined {
    if (this.#sessionId === undefined || this.isClosed) return undefined;
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.#waiters.delete(settle);
        signal.removeEventListener("abort", settle);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      this.#waiters.add(settle);
      if (signal.aborted) settle();
      else signal.addEventListener("abort", settle, { once: true });
    });
  }

  markReachable(): void {
    for (const settle of [...this.#waiters]) settle();
  }

  subscribedUris(upstream: string): ReadonlySet<string> {
    return this.#subscriptions.get(upstream) ?? NONE;
  }

  invalidateLists(upstream: string, kinds: readonly ListKind[] = LIST_KINDS): void {
    this.#lists.invalidate(upstream, kinds);
  }

  /**
   * Records a subscription to a resource.
   *
   * @throws {McpError} If the client has `limits.subscriptions` subscriptions already
   */
  subscribe(upstream: string, uri: string): void {
    const uris = this.#subscriptions.get(upstream) ?? new Set();
    let size = uris.has(uri) ? 0 : 1;
    for (const each of this.#subscriptions.values()) size += each.size;
    if (size > this.settings.limits.subscriptions) {
      throw new McpError(ErrorCode.InvalidParams, "Unsubscribe from another resource first");
    }
    this.#subscriptions.set(upstream, uris.add(uri));
  }

  /** Removes a subscription, and returns the name of its upstream if there was one. */
  unsubscribe(uri: string): string | undefined {
    for (const [upstream, uris] of this.#subscriptions) if (uris.delete(uri)) return upstream;
    return undefined;
  }

  #send(notification: Notification): void {
    if (this.#sessionId === undefined || this.isClosed) return;
    this.#host.notify(this.#sessionId, notification);
  }

  async #fetch(name: string, kind: ListKind, request: Request): Promise<readonly JsonObject[]> {
    const { clock, listTimeoutMs: ms } = this.settings;
    const session = this.get(name);
    if (session === undefined) return [];
    const generation = this.#lists.generation(name, kind);
    try {
      return await withDeadline({ clock, ms, signal: this.#closing.signal }, async (signal) => {
        const facts = await session.ensureOpen({ request, signal });
        const entries = await this.#fetchFrom(session, facts, kind, { request, signal });
        const can = facts.capabilities[LISTS[kind].capability];
        const lasting = this.#sessionId !== undefined && isObject(can) && can.listChanged === true;
        this.#lists.set(name, kind, generation, { entries }, lasting);
        return entries;
      });
    } catch (error) {
      throw this.#fetchFailed(name, kind, generation, error);
    }
  }

  #fetchFrom(
    session: ManagedSession,
    facts: UpstreamFacts,
    kind: ListKind,
    { request, signal }: RequestContext,
  ): Promise<readonly JsonObject[]> {
    const { name } = session;
    const ask: UpstreamCall["ask"] = async (method, params) => {
      checkQuestion(method, params, this.facts.capabilities);
      const answer = this.ask(method, params, signal);
      if (answer !== undefined) return await answer;
      throw new McpError(ErrorCode.Refused, "Ask during a call");
    };
    return fetchList({
      upstream: name,
      facts,
      kind,
      limits: this.settings.limits,
      report: this.report,
      rename: (own) => this.#host.rename(name, own),
      request: (method, params) =>
        session.request({ method, params, signal, request, notify() {}, ask }),
    });
  }

  #fetchFailed(upstream: string, kind: ListKind, generation: number, error: unknown): unknown {
    // That the client's session ended says nothing about the upstream.
    if (this.#closing.signal.aborted) return error;
    if (!(error instanceof UnusableError)) {
      this.report({ type: "upstream-failed", upstream, during: LISTS[kind].method, error });
    }
    const shown = error instanceof McpError ? error : new McpError(
      ErrorCode.InternalError,
      `Ask again later: the upstream "${upstream}" gave no list that can be used in time`,
    );
    this.#lists.set(upstream, kind, generation, { error: shown });
    return shown;
  }
}

const NONE: ReadonlySet<string> = new Set();
