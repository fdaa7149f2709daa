/**
 * What one endpoint serves of a gateway: all upstreams under prefixes, or one alone.
 *
 * @module
 */
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { McpEvent, UpstreamCloseReason } from "../protocol/events.ts";
import type {
  Dispatcher,
  DispatcherHost,
  Exchange,
  Notification,
  NotificationExchange,
} from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { methodFacts } from "../protocol/methods.ts";
import type { Implementation } from "../protocol/shapes.ts";
import { unknownMethod } from "../protocol/unknown.ts";
import { VERSIONS } from "../protocol/versions.ts";
import { Holds } from "./holds.ts";
import { hopsOf } from "./hops.ts";
import type { NamedUpstream } from "./link.ts";
import { type Lease, Leases } from "./lease.ts";
import { Links, type LinksHost } from "./links.ts";
import { CHANGED } from "./list_kinds.ts";
import { ListCache } from "./lists.ts";
import { type Asked, hideTool, type Method, METHODS } from "./methods.ts";
import { prefixed, split } from "./names.ts";
import type { GatewaySettings } from "./options.ts";
import { isSameOwner } from "./owner.ts";
import { ASKING, completed, isModern } from "./translate.ts";

/** What a view shows. */
export interface ViewInit {
  readonly settings: GatewaySettings;
  /** All upstreams of the gateway, as they are at any time. */
  readonly upstreams: ReadonlyMap<string, NamedUpstream>;
  /** The one that is shown alone, if it is one. */
  readonly only?: string;
}

/** What one endpoint serves. */
export class View implements Dispatcher, LinksHost {
  readonly pinned = true;
  readonly resourceUpdates = false;
  readonly listChanged: readonly string[] = [...CHANGED.keys()];
  readonly serverInfo: Implementation;
  readonly settings: GatewaySettings;
  readonly #upstreams: ReadonlyMap<string, NamedUpstream>;
  readonly #only: string | undefined;
  readonly #hosts = new Set<DispatcherHost>();
  readonly #sessions = new Map<string, Links>();
  readonly #leases: Leases;
  readonly #holds: Holds;
  readonly #endings = new Set<Promise<unknown>>();
  #closed = false;

  constructor({ settings, upstreams, only }: ViewInit) {
    this.settings = settings;
    this.serverInfo = settings.info;
    this.#upstreams = upstreams;
    this.#only = only;
    this.#leases = new Leases(this);
    this.#holds = new Holds(settings);
  }

  get upstreams(): ReadonlyMap<string, NamedUpstream> {
    if (this.#only === undefined) return this.#upstreams;
    const named = this.#upstreams.get(this.#only);
    return new Map(named === undefined ? [] : [[this.#only, named]]);
  }

  /** How many sessions with upstreams are open or begin. */
  get open(): number {
    return this.#links.reduce((sum, links) => sum + links.open, 0);
  }

  /** Whether an endpoint serves it. */
  get served(): boolean {
    return this.#hosts.size > 0;
  }

  /** How many calls are held. */
  get held(): number {
    return this.#holds.size;
  }

  dispatch(exchange: Exchange): Promise<JsonObject> {
    return this.#answer(exchange, this.#methodOf(exchange));
  }

  hide(exchange: Exchange): Promise<JsonObject> {
    if (exchange.method !== "tools/call") throw unknownMethod(exchange.method);
    return this.#answer(exchange, hideTool);
  }

  async notified({ method, session, protocolVersion }: NotificationExchange): Promise<void> {
    if (session === undefined) return;
    const links = this.#sessions.get(session.id);
    if (method === "notifications/initialized") links?.reached();
    if (method !== "notifications/roots/list_changed") return;
    if (links?.client.capabilities.roots?.listChanged !== true || isModern(protocolVersion)) return;
    const told = links.links.filter(({ facts }) => facts && !isModern(facts.protocolVersion));
    await Promise.all(told.map((link) => link.notify({ method })));
  }

  attach(host: DispatcherHost): () => void {
    this.#hosts.add(host);
    return () => {
      this.#hosts.delete(host);
      // Sessions that others share a store with aren't ended, but nobody comes here any more.
      if (this.#hosts.size === 0) void this.#awaited(this.#endAll("shutdown"));
    };
  }

  async sessionEnded(sessionId: string): Promise<void> {
    const links = this.#sessions.get(sessionId);
    this.#sessions.delete(sessionId);
    if (links !== undefined) await this.#awaited(links.close("ended"));
  }

  rename(upstream: string, name: string): string {
    return this.#only === undefined ? prefixed(upstream, this.settings.separator, name) : name;
  }

  tell(sessionId: string, notification: Notification): void {
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

  /**
   * Takes up that an upstream was added, replaced or taken out: ends what there is with the old one
   * and tells the clients.
   */
  async changed(name: string, reason: UpstreamCloseReason | undefined): Promise<void> {
    if (this.#only !== undefined && this.#only !== name) return;
    this.#leases.drop(name);
    const dropped = this.#links.map((links) => links.drop(name, reason ?? "changed"));
    for (const host of this.#hosts) {
      for (const method of this.listChanged) host.broadcast({ method });
    }
    await this.#awaited(Promise.all(dropped));
  }

  /** Ends everything, and takes nothing new. It waits for what was already ending. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#endAll("shutdown");
    await Promise.all(this.#endings);
  }

  /** Has `close` wait for an end, too. */
  async #awaited(ending: Promise<unknown>): Promise<void> {
    this.#endings.add(ending);
    await ending.finally(() => this.#endings.delete(ending));
  }

  get #links(): readonly Links[] {
    return [...this.#sessions.values(), ...this.#leases.links];
  }

  #methodOf({ method, protocolVersion }: Exchange): Method {
    const found = METHODS.get(method);
    const spoken = methodFacts(method)?.eras.includes(VERSIONS[protocolVersion].era);
    if (found === undefined || spoken !== true) throw unknownMethod(method);
    return found;
  }

  async #answer(exchange: Exchange, method: Method): Promise<JsonObject> {
    if (this.#closed) throw new McpError(ErrorCode.NotAvailable, "The gateway is shutting down");
    hopsOf(exchange.request.headers);
    const modern = isModern(exchange.protocolVersion);
    const retried = modern && ASKING.has(exchange.method) &&
      exchange.params.requestState !== undefined;
    const state = retried ? await exchange.openState() : undefined;
    const result = typeof state?.held === "string"
      ? await this.#holds.resume(exchange, state.held)
      : await this.#answerAnew(exchange, method, state);
    return modern ? completed(exchange.method, result, this.settings.info) : result;
  }

  async #answerAnew(
    exchange: Exchange,
    method: Method,
    state: JsonObject | undefined,
  ): Promise<JsonObject> {
    const { links, retain } = this.#leaseFor(exchange);
    const release = retain();
    try {
      const { settings } = this;
      const locate = (name: string) => this.#locate(name);
      const asked: Asked = {
        exchange,
        links,
        settings,
        holds: this.#holds,
        state,
        locate,
        retain,
      };
      return await method(asked);
    } finally {
      release();
    }
  }

  #leaseFor(exchange: Exchange): Lease {
    const { session, principal, client, protocolVersion: version } = exchange;
    if (session === undefined) return this.#leases.take(exchange);
    let links = this.#sessions.get(session.id);
    if (links === undefined) {
      const { clock, listCacheMs } = this.settings;
      const lists = new ListCache(clock, listCacheMs);
      links = new Links({ host: this, sessionId: session.id, principal, client, version, lists });
      links.logLevel = session.logLevel;
      this.#sessions.set(session.id, links);
    }
    // The endpoint has made sure of it; but what would be another's here is everything.
    if (!isSameOwner(links.principal, principal)) {
      throw new McpError(ErrorCode.NotAvailable, "Session not found", { retry: "re-initialize" });
    }
    links.reached();
    return { links, retain: () => () => {} };
  }

  #locate(name: string): ReturnType<Asked["locate"]> {
    if (this.#only !== undefined) return { upstream: this.#only, name };
    return split(name, this.settings.separator);
  }

  async #endAll(reason: UpstreamCloseReason): Promise<void> {
    this.#holds.close(new McpError(ErrorCode.NotAvailable, "The gateway is shutting down"));
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.all([
      ...sessions.map((links) => links.close(reason)),
      this.#leases.close(reason),
    ]);
  }
}
