/**
 * Serves the upstreams of a gateway to one endpoint: all of them under prefixes, or a single one.
 *
 * @module
 */
import {
  type Dispatcher,
  type DispatcherHost,
  ErrorCode,
  type Exchange,
  type Implementation,
  type JsonObject,
  type ListenExchange,
  type MaybePromise,
  McpError,
  type NotificationExchange,
  type Principal,
  type RequestMessage,
  type RequestTarget,
  type Route,
  type UpstreamCloseReason,
  type UpstreamControl,
} from "../../../mod.ts";
import {
  canonicalUri,
  isModern,
  isObject,
  itemOf,
  methodFacts,
  onAbort,
  ownerKey,
  quote,
  unknownMethod,
  VERSIONS,
  withoutNeedlessEscapes,
  withUri,
} from "../../kit.ts";
import type { GatewaySettings } from "../options.ts";
import type { Capacity } from "../session/capacity.ts";
import { ChangeListener } from "../session/change_listener.ts";
import { HeldCalls } from "../session/held_calls.ts";
import { ListCache } from "../session/list_cache.ts";
import { userKey } from "../session/sharing_key.ts";
import type { ManagedSession } from "../session/managed_session.ts";
import { type AcquiredSessions, StatelessClients } from "../session/stateless.ts";
import { ASKING_METHODS, modernResult } from "../session/translate.ts";
import { type RegisteredUpstream, ServedUpstreams } from "../session/served_upstreams.ts";
import { UpstreamSessions } from "../session/upstream_sessions.ts";
import { hopsOf } from "../shared/hops.ts";
import { CHANGED_LISTS, type ListKind } from "../shared/list_kinds.ts";
import type { Upstream, UpstreamFacts } from "../types.ts";
import { Addresses, isWebAddress } from "./addresses.ts";
import { findAppTool } from "./app_tools.ts";
import { listChangedOf, mergedCapabilities } from "./capabilities.ts";
import { findResource, shownAddress } from "./find_resource.ts";
import type { UriUse } from "./merged_lists.ts";
import {
  checkSubscribing,
  contextOf,
  METHODS,
  type Sent,
  throughUri,
  type ViewMethod,
  type ViewRequest,
} from "./methods.ts";
import { prefixed, split } from "./names.ts";
import { toolWithReferences } from "./references.ts";
import { ViewRoute, type ViewRouteInit } from "./route.ts";
import { callWithin, isSearchTool, type ToolSearch } from "./tool_search.ts";

/** The request about which `authorize` is asked in place of a tool that only shows others. */
const TOOL_LIST: RequestMessage = { method: "tools/list", params: {} };

/** What the requests for resources do with them. */
const URI_USES: Readonly<Record<string, UriUse>> = {
  "resources/subscribe": "subscribe",
  "completion/complete": "reference",
};

/** Options for {@linkcode GatewayView}. */
export interface ViewInit {
  readonly settings: GatewaySettings;
  /** All upstreams of the gateway, as they are at any time. */
  readonly upstreams: ReadonlyMap<string, RegisteredUpstream>;
  /** The name of the only upstream to serve; all of them by default. */
  readonly only?: string;
  /** Whether tools are found with one of the view's own in place of being listed. */
  readonly toolSearch?: boolean;
  /** Limits what is started, together with other views; a new one by default. */
  readonly capacity?: Capacity;
  /** Returns all views of the gateway; by default this is the only one. */
  readonly views?: () => readonly GatewayView[];
}

/** Serves the upstreams of a gateway to one endpoint. */
export class GatewayView implements Dispatcher {
  readonly pinned = true;
  readonly restores: boolean;
  readonly settings: GatewaySettings;
  /** The upstreams, and what the sessions of all clients have in common. */
  readonly served: ServedUpstreams;
  readonly #upstreams: ReadonlyMap<string, RegisteredUpstream>;
  readonly #only: string | undefined;
  /** Keeps the addresses of resources apart by upstream, if there may be several. */
  readonly #addresses: Addresses | undefined;
  readonly #isSearched: boolean;
  /** Maps the ids of clients' sessions to their upstream sessions. */
  readonly #sessions = new Map<string, UpstreamSessions>();
  readonly #stateless: StatelessClients;
  readonly #heldCalls: HeldCalls;
  /** The capabilities that each upstream was last seen with. */
  readonly #seen = new Map<string, JsonObject>();
  /** What `close` waits for. */
  readonly #pendingCloses = new Set<Promise<unknown>>();
  #isClosed = false;
  /** The number of endpoints that answer no call early. */
  #withoutLongCalls = 0;
  /** Maps upstreams to the functions that let them have times again, while there is such an endpoint. */
  readonly #allowed = new Map<string, () => void>();

  readonly #views: () => readonly GatewayView[];

  constructor({ settings, upstreams, only, toolSearch = false, capacity, views }: ViewInit) {
    this.settings = settings;
    this.restores = settings.onRestart === "restore";
    this.#views = views ?? (() => [this]);
    this.#upstreams = upstreams;
    this.#only = only;
    this.#addresses = only === undefined ? new Addresses(settings.separator, upstreams) : undefined;
    this.#isSearched = toolSearch;
    this.served = new ServedUpstreams({
      settings,
      registry: upstreams,
      only,
      // Where its tools are found in place of being listed, an upstream isn't seen as itself.
      isAlone: only !== undefined && !toolSearch,
      capacity,
      rename: (upstream, name) => this.#rename(upstream, name),
      defined: (upstream, tool) => this.#defined(upstream, tool),
    });
    this.#stateless = new StatelessClients(this.served);
    this.#heldCalls = new HeldCalls(settings);
  }

  /** The description of the gateway. */
  get serverInfo(): Implementation | undefined {
    return this.settings.info;
  }

  /** The upstreams of the view, in their order. */
  get upstreams(): ReadonlyMap<string, RegisteredUpstream> {
    return this.served.upstreams;
  }

  /** What is advertised to a client that asks now. */
  get listChanged(): readonly string[] {
    const upstreams = [...this.upstreams.keys()].map((name) => {
      return { name, capabilities: this.#seen.get(name), instructions: undefined };
    });
    return listChangedOf(mergedCapabilities(upstreams));
  }

  /** Whether an upstream that may be there notifies of changed resources. */
  get resourceUpdates(): boolean {
    return [...this.upstreams.keys()].some((name) => {
      const seen = this.seen(name);
      return seen === undefined || (isObject(seen.resources) && seen.resources.subscribe === true);
    });
  }

  /** The capabilities that an upstream was last seen with. */
  protected seen(upstream: string): JsonObject | undefined {
    return this.#seen.get(upstream);
  }

  listChangedIn(sessionId: string): readonly string[] | undefined {
    return this.#sessions.get(sessionId)?.advertised;
  }

  /** The number of held calls. */
  get heldCalls(): number {
    return this.#heldCalls.size;
  }

  /** Whether an endpoint serves the view. */
  get isServed(): boolean {
    return this.served.hosts.size > 0;
  }

  /** What an operator sees of the upstreams, and may do to them in all views. */
  readonly upstreamControl: UpstreamControl = {
    list: () =>
      [...this.upstreams].map(([name, { upstream: { kind, programs } }]) => {
        const sessions = this.#views().flatMap((view) => view.#sessionsWith(name));
        const calls = sessions.reduce((sum, { running }) => sum + running, 0);
        const { length } = sessions;
        return { name, kind, sessions: length, programs: programs ?? length, calls };
      }),
    limits: () =>
      (["upstreamSessions", "programs"] as const).map((name) => {
        const { [name]: most } = this.settings.limits;
        return { name: `limits.${name}`, used: this.served.capacity.taken(name), most };
      }),
    nameOf: (item) => {
      const name = this.#locate(item)?.upstream;
      return name !== undefined && this.upstreams.has(name) ? name : undefined;
    },
    restart: async (name) => {
      if (!this.upstreams.has(name)) return undefined;
      const ended = await Promise.all(this.#views().map((view) => view.#restart(name)));
      return ended.reduce((sum, count) => sum + count, 0);
    },
  };

  #sessionsWith(name: string): readonly ManagedSession[] {
    return this.#allSessions.flatMap((sessions) => {
      const session = sessions.peek(name);
      return session?.isOpen === true ? [session] : [];
    });
  }

  async #restart(name: string): Promise<number> {
    const { length } = this.#sessionsWith(name);
    this.served.failures.removeAll(name);
    const closes = this.#allSessions.map((sessions) => sessions.remove(name, "restarted"));
    await this.#tracked(Promise.all(closes));
    const registered = this.upstreams.get(name);
    registered?.cache?.clear();
    await registered?.upstream.endUnused?.();
    return length;
  }

  route({ method, params: given }: RequestMessage, principal: Principal): Route {
    const search = method === "tools/call" ? this.#search : undefined;
    const params = search === undefined ? given : callWithin(given) ?? given;
    const message = { method, params };
    if (search !== undefined && isSearchTool(params.name)) {
      const target = { tool: String(params.name) };
      return this.#route(message, principal, { target: () => target, authorizedAs: TOOL_LIST });
    }
    if (!this.#isLate(message, principal)) return this.#route(message, principal);
    return this.#route(message, principal, {
      settle: (exchange, proceed) => this.#settle(exchange, message, proceed),
    });
  }

  /** @param sent The parameters that the client knows, where those of the message have other names */
  #route(
    message: RequestMessage,
    principal: Principal,
    own: Partial<ViewRouteInit> = {},
    sent: Sent = message,
  ): Route {
    const { method } = message;
    return new ViewRoute(message, {
      target: () => this.#target(message),
      scopes: this.#scopes(message),
      longCalls: this.#longCalls(message),
      answerOnce: this.#answerOnce(message),
      run: (exchange) => this.run(exchange, sent, principal),
      hide: (exchange, hidden) => {
        const hide = hidden === "item" ? METHODS.get(method)?.hide : undefined;
        if (hide === undefined) throw unknownMethod(method);
        return this.#answer(exchange, hide, sent, true);
      },
      ...own,
    });
  }

  /**
   * Tells whether only the lists of the client's session can tell what a request is about: a tool that an
   * app calls by its server's own name, or a resource, which may have two addresses.
   */
  #isLate({ method, params }: RequestMessage, principal: Principal): boolean {
    const item = itemOf(method, params);
    if (item === undefined || item.method === "prompts/get") return false;
    if (item.method === "resources/read") {
      const hasOne = this.#addresses === undefined || isWebAddress(item.key);
      return !hasOne || canonicalUri(item.key)?.uri !== item.key;
    }
    if (this.#addresses === undefined) return false;
    const upstream = this.#locate(item.key)?.upstream;
    if (upstream === undefined || !this.upstreams.has(upstream)) return true;
    return this.settings.policies.rulesOf(principal, upstream)?.isClosed === true;
  }

  /** Finds what a request is about in the lists of its session, and continues with that. */
  async #settle(
    exchange: Exchange,
    message: RequestMessage,
    proceed: (route: Route) => MaybePromise<JsonObject>,
  ): Promise<JsonObject> {
    this.#checkOpen();
    hopsOf(exchange.request.headers);
    const restoring = this.#restore(exchange);
    if (restoring !== undefined) await restoring;
    const { request, release } = this.#request(exchange, undefined);
    try {
      return await proceed(await this.#found(request, message));
    } finally {
      release();
    }
  }

  /** Returns the route of a request under the name by which the client's lists show what it is about. */
  async #found(request: ViewRequest, message: RequestMessage): Promise<Route> {
    const { principal, signal } = request.exchange;
    try {
      const found = message.method === "tools/call"
        ? await this.#foundTool(request, message)
        : await this.#foundResource(request, message);
      return found ?? this.#route(message, principal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof McpError)) throw error;
      // Whether the principal may know of the error is decided as for what there is.
      return this.#route(message, principal, { run: () => Promise.reject(error) });
    }
  }

  async #foundTool(
    request: ViewRequest,
    { method, params }: RequestMessage,
  ): Promise<Route | undefined> {
    const name = await findAppTool(request, contextOf(request), String(params.name));
    if (name === undefined) return undefined;
    const shown = { method, params: { ...params, name } };
    return this.#route(shown, request.exchange.principal, {}, { params });
  }

  async #foundResource(
    request: ViewRequest,
    { method, params }: RequestMessage,
  ): Promise<Route | undefined> {
    const item = itemOf(method, params);
    if (item === undefined) return undefined;
    if (method === "resources/subscribe") checkSubscribing(request, { params });
    const context = contextOf(request);
    const use = URI_USES[method] ?? "read";
    const { principal } = request.exchange;
    if (this.served.isAloneFor(principal)) {
      const { mayUse, chain } = request.exchange;
      if (mayUse === undefined && chain === undefined) return undefined;
      const uri = withoutNeedlessEscapes(item.key);
      return this.#route({ method, params: withUri(params, uri) }, principal);
    }
    const resource = await throughUri(
      request,
      item.key,
      (address) => findResource(request, context, address, use),
    );
    const uri = await shownAddress(request, context, resource);
    const target = () => this.served.known.resource(resource.uri, resource.session.name);
    const message = { method, params: withUri(params, uri) };
    return this.#route(message, principal, { target }, { params, resource });
  }

  /** Says which tools a principal finds in place of having them listed. */
  #searchFor(principal: Principal): ToolSearch | undefined {
    const search = this.#search;
    if (search === undefined || search.replacesAll) return search;
    const { policies } = this.settings;
    const isOffered = [...this.#upstreams.keys()].some((name) =>
      this.served.isLazy(name) && policies.rulesOf(principal, name)?.tools.isClosed !== true
    );
    return isOffered ? search : undefined;
  }

  /** Which tools are found in place of being listed. */
  get #search(): ToolSearch | undefined {
    const isOnly = this.#only !== undefined;
    if (this.#isSearched) return { replacesAll: true, isOnly };
    if (isOnly || ![...this.#upstreams.keys()].some((name) => this.served.isLazy(name))) {
      return undefined;
    }
    return { replacesAll: false, isOnly };
  }

  #scopes({ method, params: { name } }: RequestMessage): readonly string[] | undefined {
    if (method !== "tools/call" || typeof name !== "string") return undefined;
    const found = this.#locate(name);
    // Whose tools are withheld from some learn it from a refusal; the server itself checks scopes.
    if (found && this.settings.policies.mayWithhold(found.upstream)) return undefined;
    return found && this.#upstreams.get(found.upstream)?.upstream.toolScopes?.(found.name);
  }

  #longCalls({ method, params: { name } }: RequestMessage): Route["longCalls"] {
    if (method !== "tools/call" || typeof name !== "string") return undefined;
    const found = this.#locate(name);
    return found && this.#upstreams.get(found.upstream)?.upstream.longCalls?.(found.name);
  }

  #answerOnce({ method, params: { name } }: RequestMessage): Route["answerOnce"] {
    if (method !== "tools/call" || typeof name !== "string") return undefined;
    const found = this.#locate(name);
    const own = found && this.#upstreams.get(found.upstream)?.upstream.answerOnce?.(found.name);
    return own === undefined ? undefined : JSON.stringify([found?.upstream, own]);
  }

  #target({ method, params }: RequestMessage): RequestTarget | undefined {
    const item = itemOf(method, params);
    if (item === undefined) return undefined;
    if (item.method === "resources/read") {
      const { uri = item.key, upstream } = this.#addresses?.split(item.key) ?? {};
      return this.served.known.resource(uri, upstream);
    }
    const upstream = this.#locate(item.key)?.upstream;
    const isTool = item.method === "tools/call";
    if (upstream === undefined || !this.upstreams.has(upstream)) {
      return isTool ? this.#appTool(item.key) : undefined;
    }
    return this.served.known.named(upstream, isTool ? "tools" : "prompts", item.key);
  }

  /** Returns the tool that an app calls by its server's own name, if only one upstream has listed it. */
  #appTool(name: string): RequestTarget | undefined {
    if (this.#addresses === undefined) return undefined;
    const [found, ...others] = [...this.upstreams.keys()].flatMap((upstream) => {
      const target = this.served.known.named(upstream, "tools", this.#rename(upstream, name));
      return target.tool === undefined ? [] : [target];
    });
    return others.length === 0 ? found : undefined;
  }

  /** Tells a client what changes in its upstreams. Hosted servers are there as long as it listens. */
  listening(listen: ListenExchange): void {
    if (this.#isClosed) return;
    const { sessions, retain } = this.#stateless.listen(listen);
    const release = retain();
    const { principal, request, signal } = listen;
    if (this.settings.policies.isSet) sessions.caller = { principal, request };
    const listener = new ChangeListener(listen, sessions);
    const stop = sessions.addListener(listener);
    onAbort(signal, () => void stop().finally(release));
    void listener.begin();
    for (const name of sessions.namesFor(principal)) {
      const { kind, lists } = this.upstreams.get(name)?.upstream ?? {};
      if ((kind !== "sdk" && kind !== "local") || lists === "lazy") continue;
      const opened = async () =>
        await sessions.get(name)?.ensureOpen({ principal, request, signal });
      // What fails is reported, and tried again by the next request.
      opened().catch(() => {});
    }
    if (listen.uris.size === 0) return;
    const init = { exchange: listen, sessions, addresses: this.#addresses };
    const context = { principal, request, signal, retain };
    void listener.subscribe(async (address) => {
      const { session, uri } = await findResource(init, context, address, "subscribe");
      return { upstream: session.name, uri };
    });
  }

  async notified(exchange: NotificationExchange): Promise<void> {
    const { method, session, protocolVersion } = exchange;
    if (session === undefined) return;
    const sessions = this.#sessions.get(session.id);
    if (method === "notifications/initialized") sessions?.markReachable();
    if (method !== "notifications/roots/list_changed" || isModern(protocolVersion)) return;
    if (sessions?.facts.capabilities.roots?.listChanged !== true) return;
    const legacy = sessions.used.filter(({ facts }) => facts && !isModern(facts.protocolVersion));
    await Promise.all(legacy.map((each) => each.notify(method, exchange)));
  }

  /** Returns the upstream sessions of the sender of a notification, if it has any. */
  protected sessionsOf(exchange: NotificationExchange): UpstreamSessions | undefined {
    const { session, protocolVersion, principal } = exchange;
    const sessions = session !== undefined
      ? this.#sessions.get(session.id)
      : isModern(protocolVersion)
      ? this.#stateless.peek(exchange)
      : undefined;
    return sessions?.owner === ownerKey(principal) ? sessions : undefined;
  }

  /**
   * Refuses upstreams whose calls are to be answered after a time of their own, and such tools of servers in
   * the same process, until the returned function is called.
   *
   * @throws {TypeError} If there is such an upstream or tool
   */
  refuseLongCalls(): () => void {
    if (this.#withoutLongCalls++ === 0) {
      try {
        for (const name of this.upstreams.keys()) this.#refuseLongCallsOf(name);
      } catch (error) {
        this.#allowLongCalls();
        throw error;
      }
    }
    let refuses = true;
    return () => {
      if (refuses) this.#allowLongCalls();
      refuses = false;
    };
  }

  /**
   * Checks that calls of an upstream, which is about to be added, are answered early where it or one of its
   * tools says so.
   *
   * @throws {TypeError} If an endpoint answers no call early
   */
  checkLongCalls(name: string, upstream: Upstream): void {
    if (this.#only !== undefined && this.#only !== name) return;
    if (this.#withoutLongCalls > 0) refuseTimesOf(name, upstream)();
  }

  /** Refuses times of the upstream that has a name now, in place of those of the one that had it. */
  #refuseLongCallsOf(name: string): void {
    this.#allowed.get(name)?.();
    this.#allowed.delete(name);
    const upstream = this.upstreams.get(name)?.upstream;
    if (this.#withoutLongCalls === 0 || upstream === undefined) return;
    this.#allowed.set(name, refuseTimesOf(name, upstream));
  }

  #allowLongCalls(): void {
    if (--this.#withoutLongCalls > 0) return;
    for (const allow of this.#allowed.values()) allow();
    this.#allowed.clear();
  }

  attach(host: DispatcherHost): () => void {
    const allow = host.longCalls === false ? this.refuseLongCalls() : () => {};
    const detach = this.served.attach(host);
    return () => {
      detach();
      allow();
      // Sessions in a shared store outlive the endpoint, but none of their requests come here again.
      if (!this.isServed) void this.#tracked(this.#closeAll());
    };
  }

  async sessionEnded(sessionId: string): Promise<void> {
    const sessions = this.#sessions.get(sessionId);
    this.#sessions.delete(sessionId);
    if (sessions !== undefined) await this.#tracked(sessions.close("ended"));
  }

  #rename(upstream: string, name: string): string {
    return this.#only === undefined ? prefixed(upstream, this.settings.separator, name) : name;
  }

  #defined(upstream: string, tool: JsonObject): JsonObject {
    const addresses = this.#addresses;
    if (addresses === undefined) return tool;
    return toolWithReferences(tool, (uri) => addresses.qualified({ upstream, uri }) ?? uri);
  }

  /** Ends the sessions with an upstream that was replaced or removed, and notifies the clients. */
  async upstreamChanged(name: string, reason: UpstreamCloseReason): Promise<void> {
    if (this.#only !== undefined && this.#only !== name) return;
    this.#refuseLongCallsOf(name);
    this.#seen.delete(name);
    this.#stateless.removeLists(name);
    this.served.forget(name);
    const closes = this.#allSessions.map((sessions) => sessions.remove(name, reason));
    for (const host of this.served.hosts) {
      for (const [method, kinds] of CHANGED_LISTS) {
        host.broadcast({ method }, (id) => {
          const sessions = this.#sessions.get(id);
          return sessions?.wantsChange(method) === true && sessions.maySee(name, kinds);
        }, this.#knowing(name, kinds));
      }
    }
    await this.#tracked(Promise.all(closes));
  }

  /** Returns what tells whether a principal may know of changes of an upstream; `undefined` if all may. */
  #knowing(upstream: string, kinds: readonly ListKind[]) {
    const { policies } = this.settings;
    if (!policies.mayWithhold(upstream)) return undefined;
    return (principal: Principal) => {
      const rules = policies.rulesOf(principal, upstream);
      return rules === undefined || kinds.some((kind) => !rules[kind].isClosed);
    };
  }

  /** Forgets all lists after a change of the policy, and notifies the clients. */
  policyChanged(): void {
    for (const name of this.upstreams.keys()) {
      this.#stateless.removeLists(name);
      for (const sessions of this.#allSessions) sessions.invalidateLists(name);
    }
    for (const host of this.served.hosts) {
      for (const method of CHANGED_LISTS.keys()) {
        host.broadcast({ method }, (id) => this.#sessions.get(id)?.wantsChange(method) === true);
      }
    }
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

  /**
   * Answers a request in the way in which its principal sees the upstreams.
   *
   * @throws {McpError} If the method isn't served
   */
  protected run(exchange: Exchange, sent: Sent, _principal: Principal): MaybePromise<JsonObject> {
    return this.#answer(exchange, methodFor(exchange), sent);
  }

  async #answer(
    exchange: Exchange,
    method: ViewMethod,
    sent: Sent,
    isHidden = false,
  ): Promise<JsonObject> {
    this.#checkOpen();
    hopsOf(exchange.request.headers);
    const modern = isModern(exchange.protocolVersion);
    const state = isRetry(exchange) ? await exchange.openState() : undefined;
    // What is hidden by now isn't known to run either.
    const isUsable = !isHidden && !this.#isWithheld(exchange);
    const held = typeof state?.held === "string" && isUsable ? state.held : undefined;
    const result = held !== undefined && !this.#heldCalls.isWithheld(exchange, held)
      ? await this.#heldCalls.resume(exchange, held)
      : await this.#answerNew(exchange, method, sent, state);
    return modern ? modernResult(exchange.method, result, this.settings.info) : result;
  }

  /** Answers a request to an upstream that is served alone, with the state that a round has opened. */
  protected async answerWith(
    exchange: Exchange,
    method: ViewMethod,
    sent: Sent,
    openState: () => Promise<JsonObject | undefined>,
  ): Promise<JsonObject> {
    this.#checkOpen();
    hopsOf(exchange.request.headers);
    const state = await openState();
    if (typeof state?.held === "string") return await this.#heldCalls.resume(exchange, state.held);
    return await this.#answerNew(exchange, method, sent, state);
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new McpError(ErrorCode.NotAvailable, "The gateway is shutting down");
  }

  /** Tells whether the policy withholds what a request is about, by its name alone. */
  #isWithheld({ method, params, principal }: Exchange): boolean {
    const item = itemOf(method, params);
    if (!this.settings.policies.isSet || item === undefined) return false;
    if (item.method === "resources/read") return false;
    const found = this.#locate(item.key);
    const rules = found && this.settings.policies.rulesOf(principal, found.upstream);
    if (found === undefined || rules === undefined) return false;
    const entries = item.method === "tools/call" ? rules.tools : rules.prompts;
    const own = entries.ownName(found.name);
    return own === undefined || !entries.allows(own);
  }

  async #answerNew(
    exchange: Exchange,
    method: ViewMethod,
    sent: Sent,
    state: JsonObject | undefined,
  ): Promise<JsonObject> {
    const restoring = this.#restore(exchange);
    if (restoring !== undefined) await restoring;
    const { request, release } = this.#request(exchange, state);
    try {
      return await method(request, sent);
    } finally {
      release();
    }
  }

  /** Returns what answering a request needs. The upstream sessions stay open until it is released. */
  #request(exchange: Exchange, state: JsonObject | undefined): {
    readonly request: ViewRequest;
    readonly release: () => void;
  } {
    const { sessions, retain } = this.#sessionsFor(exchange);
    const release = retain();
    const request: ViewRequest = {
      exchange,
      settings: this.settings,
      heldCalls: this.#heldCalls,
      state,
      retain,
      sessions,
      locate: this.#locate,
      addresses: this.#addresses,
      toolScopes: (upstream, tool) => this.#upstreams.get(upstream)?.upstream.toolScopes?.(tool),
      described: this.#described,
      search: () => this.#searchFor(exchange.principal),
      opened: (facts) => this.opened(facts),
    };
    return { request, release };
  }

  /** Called with what an upstream has said that is served alone, each time it is used. */
  protected opened(_facts: UpstreamFacts): void {}

  /** Prepares a session that began in an earlier process, at its first request here. */
  #restore(exchange: Exchange): Promise<void> | undefined {
    const { session } = exchange;
    if (session?.restored !== true || this.#sessions.has(session.id)) return undefined;
    return this.#restoreOnce(exchange);
  }

  async #restoreOnce(exchange: Exchange): Promise<void> {
    const { sessions } = this.#sessionsFor(exchange);
    await sessions.restore();
    // Its upstreams notify of resources again from now on, whatever the request is about.
    for (const name of sessions.subscribedUpstreams) {
      const opened = async () => await sessions.get(name)?.ensureOpen(exchange);
      // What fails is reported, and tried again by the next request.
      opened().catch(() => {});
    }
  }

  #sessionsFor(exchange: Exchange): AcquiredSessions {
    const { session, principal, client, protocolVersion: version } = exchange;
    if (session === undefined) return this.#stateless.acquire(exchange);
    let sessions = this.#sessions.get(session.id);
    if (sessions === undefined) {
      const lists = new ListCache(this.settings.clock);
      const init = {
        served: this.served,
        sessionId: session.id,
        principal,
        client,
        version,
        lists,
        user: userKey(exchange),
        ...session.restorable === true && { state: session.state },
        ...session.restored === true && { restored: true },
      };
      sessions = new UpstreamSessions(init);
      sessions.logLevel = session.logLevel;
      this.#sessions.set(session.id, sessions);
    }
    // The endpoint has checked it, but a mistake there would give away everything here.
    if (sessions.owner !== ownerKey(principal)) {
      throw new McpError(ErrorCode.NotAvailable, "Session not found", { retry: "re-initialize" });
    }
    sessions.markReachable();
    if (this.settings.policies.isSet) sessions.caller = { principal, request: exchange.request };
    return { sessions, retain: () => () => {} };
  }

  readonly #described: ViewRequest["described"] = (sessions, upstreams, capabilities) => {
    for (const { name, capabilities } of upstreams) {
      if (capabilities === undefined) this.#seen.delete(name);
      else if (this.upstreams.has(name)) this.#seen.set(name, capabilities);
    }
    sessions.advertised = listChangedOf(capabilities);
  };

  readonly #locate: ViewRequest["locate"] = (name) => {
    if (this.#only !== undefined) return { upstream: this.#only, name };
    return split(name, this.settings.separator);
  };
}

/** Tells whether a client continues a request, with the state that it was given (2026-07-28). */
export function isRetry({ method, params, protocolVersion }: Exchange): boolean {
  return isModern(protocolVersion) && ASKING_METHODS.has(method) &&
    params.requestState !== undefined;
}

/**
 * Finds the function that answers a request.
 *
 * @throws {McpError} If the method isn't served
 */
function methodFor({ method, protocolVersion }: Exchange): ViewMethod {
  const found = METHODS.get(method)?.run;
  const isServed = methodFacts(method)?.eras.includes(VERSIONS[protocolVersion].era);
  if (found === undefined || isServed !== true) throw unknownMethod(method);
  return found;
}

/**
 * Refuses times of an upstream, and of its tools, after which calls are answered.
 *
 * @returns A function that allows them again
 * @throws {TypeError} If there is one
 */
function refuseTimesOf(name: string, upstream: Upstream | undefined): () => void {
  const own = upstream?.longCalls?.("");
  if (own !== undefined && own !== false) {
    throw new TypeError(
      'Give the handler the option "longCalls", or leave it out of the upstream ' +
        `${quote(name)}: its calls would not be answered early`,
    );
  }
  return upstream?.refuseLongCalls?.() ?? (() => {});
}
