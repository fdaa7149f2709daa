/**
 * Holds everything that one client has with its upstreams: a session with each, cached lists, and
 * subscriptions. It belongs to one session of the client, or to one request or principal of the 2026
 * era.
 *
 * @module
 */
import {
  type ClientFacts,
  ErrorCode,
  type JsonObject,
  type LogLevel,
  McpError,
  type McpEvent,
  type Notification,
  type Principal,
  type ProtocolVersion,
  type UpstreamCloseReason,
} from "../../../mod.ts";
import { methodFacts, ownerKey, shortHash } from "../../kit.ts";
import type { GatewaySettings } from "../options.ts";
import type { UpstreamRules } from "../policy/policies.ts";
import type { KnownItems } from "../shared/known_items.ts";
import { KnownAddresses } from "./known_addresses.ts";
import type { AloneInit, Caller, UpstreamFacts } from "../types.ts";
import { CHANGED_LISTS, LIST_KINDS, type ListKind, LISTS } from "../shared/list_kinds.ts";
import { type Capacity, type LimitedKind, shareOf } from "./capacity.ts";
import { NotificationCoalescer } from "./coalesce.ts";
import type { Crashes } from "./crashes.ts";
import type { DownstreamClient } from "./downstream.ts";
import type { ListCache } from "./list_cache.ts";
import { ManagedSession, type RegisteredUpstream } from "./managed_session.ts";
import type { RecentFailures } from "./recent_failures.ts";
import { upstreamCapabilities } from "./translate.ts";
import { UpstreamLists } from "./upstream_lists.ts";

/** Provides what upstream sessions need of the view that they are used by. */
export interface SessionsHost {
  readonly settings: GatewaySettings;
  /** Limits what is started, for all views of the gateway together. */
  readonly capacity: Capacity;
  /** Remembers which upstreams failed to tell something about themselves. */
  readonly failures: RecentFailures;
  /** Remembers which programs crash. */
  readonly crashes: Crashes;
  /** Remembers the names of what upstreams list, for events. */
  readonly known: KnownItems;
  /** The upstreams of the view, in their order. */
  readonly upstreams: ReadonlyMap<string, RegisteredUpstream>;
  readonly report: (event: McpEvent) => void;
  /** Tells whether an upstream is only started, and its tools only found, when it is asked for. */
  isLazy(upstream: string): boolean;
  /** Whether the view serves one upstream alone, as a server of its own. */
  readonly isAlone: boolean;
  /** Tells whether a principal sees it as itself: not where the policy has rules. */
  isAloneFor(principal: Principal): boolean;
  /** Closes the connection of the server-to-client stream of a client's session. */
  closeStream(sessionId: string): void;
  /** Returns the name that a tool or prompt of an upstream has in the view. */
  rename(upstream: string, name: string): string;
  /** Returns the definition of an upstream's tool with the addresses that it has in the view. */
  defined(upstream: string, tool: JsonObject): JsonObject;
  /** Sends a notification on the stream of a client's session. */
  notify(sessionId: string, notification: Notification): void;
  /** Sends a request on the stream of a client's session; `undefined` if it isn't served here. */
  ask(
    sessionId: string,
    method: string,
    params: JsonObject,
    signal: AbortSignal,
  ): Promise<JsonObject> | undefined;
  /** Calls a function when the client of a session opens its stream, until the returned one is called. */
  onListening(sessionId: string, listener: () => void): () => void;
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
  /** Tells requests without authentication apart that have no session, if anything does. */
  readonly stranger?: string;
}

/** A resource that a client is subscribed to. */
export interface UpstreamSubscription {
  readonly upstream: string;
  /** The address that the upstream knows. */
  readonly uri: string;
}

/** One client's sessions with all upstreams of a view. */
export class UpstreamSessions implements DownstreamClient {
  readonly settings: GatewaySettings;
  /** Identifies the owner of the sessions. What a request may do depends on its own principal. */
  readonly owner: string;
  readonly capacity: Capacity;
  /** Remembers the names of what upstreams list, for events. */
  readonly known: KnownItems;
  readonly share: string | undefined;
  readonly crashes: Crashes;
  readonly crashOwner: string;
  /** What the client is told about its upstreams. */
  readonly lists: UpstreamLists;
  /** Remembers which upstreams the addresses belong to that the client knows. */
  readonly addresses: KnownAddresses;
  readonly facts: ClientFacts;
  readonly report: (event: McpEvent) => void;
  /** The version that the client speaks: another one once an upstream has negotiated it. */
  version: ProtocolVersion;
  logLevel: LogLevel | undefined;
  /** The `list_changed` notifications that were advertised; `undefined` if nothing was yet. */
  advertised: readonly string[] | undefined;
  /** The client's latest request, where there is a policy: it judges what belongs to none. */
  caller: Caller | undefined;
  readonly #host: SessionsHost;
  readonly #sessionId: string | undefined;
  readonly #principal: Principal;
  readonly #sessions = new Map<string, ManagedSession>();
  /** The resources that the client is subscribed to, by the addresses that it knows. */
  readonly #subscriptions = new Map<string, UpstreamSubscription>();
  readonly #waiters = new Set<() => void>();
  /** The changes that are being compared, and whether there were more meanwhile. */
  readonly #comparing = new Map<string, boolean>();
  readonly #coalescer: NotificationCoalescer;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(
    { host, sessionId, principal, client, version, lists, stranger }: UpstreamSessionsInit,
  ) {
    this.settings = host.settings;
    this.report = host.report;
    this.owner = ownerKey(principal);
    this.capacity = host.capacity;
    this.known = host.known;
    this.addresses = new KnownAddresses(host.settings.limits.listEntries);
    this.share = shareOf(principal);
    this.crashes = host.crashes;
    // Strangers share nothing but this: the crashes of one would delay the programs of all.
    this.crashOwner = this.share ?? sessionId ?? stranger ?? this.owner;
    this.version = version;
    this.#principal = principal;
    this.facts = {
      ...client.info && { info: client.info },
      capabilities: upstreamCapabilities(client, version, host.isAloneFor(principal)),
    };
    this.#host = host;
    this.#sessionId = sessionId;
    this.lists = new UpstreamLists({ host, sessions: this, cache: lists });
    const { clock } = host.settings;
    this.#coalescer = new NotificationCoalescer(
      clock,
      (notification) => this.#send(notification),
      ({ method }) => {
        const session = sessionId && shortHash(sessionId);
        this.report({ type: "message-dropped", session, method, reason: "too-many" });
      },
    );
  }

  /** Returns the names of the upstreams, in their order. */
  get names(): readonly string[] {
    return [...this.#host.upstreams.keys()];
  }

  /** Tells whether an upstream is only started, and its tools only found, when it is asked for. */
  isLazy(name: string): boolean {
    return this.#host.isLazy(name);
  }

  /** Tells whether an upstream waits to be asked for. */
  isDormant(name: string): boolean {
    return this.isLazy(name) && this.peek(name)?.facts === undefined;
  }

  /** Returns the names of the upstreams whose list the client sees: of a lazy one never the tools. */
  listed(kind: ListKind): readonly string[] {
    return this.names.filter((name) =>
      kind === "tools" ? !this.isLazy(name) : !this.isDormant(name)
    );
  }

  /** Notifies the client of what a lazy upstream has, now that it runs. */
  opened(upstream: string, { capabilities }: UpstreamFacts): void {
    if (!this.isLazy(upstream)) return;
    for (const [method, kinds] of CHANGED_LISTS) {
      const [kind] = kinds;
      if (kind === undefined || kind === "tools" || !this.maySee(upstream, kinds)) continue;
      if (capabilities[LISTS[kind].capability] !== undefined) this.notify({ method });
    }
  }

  /** Returns the names of the upstreams of which a principal may use anything, in their order. */
  namesFor(principal: Principal): readonly string[] {
    const { policies } = this.settings;
    if (!policies.isSet) return this.names;
    return this.names.filter((name) => policies.rulesOf(principal, name)?.isClosed !== true);
  }

  /** Whether the client has a session. Without one it can't be notified. */
  get isSession(): boolean {
    return this.#sessionId !== undefined;
  }

  get isAlone(): boolean {
    return this.isAloneFor(this.caller?.principal ?? this.#principal);
  }

  isAloneFor(principal: Principal): boolean {
    return this.#host.isAloneFor(principal);
  }

  get alone(): AloneInit | undefined {
    if (!this.isAlone) return undefined;
    const sessionId = this.#sessionId;
    return {
      version: this.version,
      sessionId,
      closeServerStream: () => {
        if (sessionId !== undefined && !this.isClosed) this.#host.closeStream(sessionId);
      },
    };
  }

  /** Aborts when `close` is called. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Whether `close` was called. */
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

  /** Returns the session with an upstream, if it was used so far. */
  peek(name: string): ManagedSession | undefined {
    return this.#sessions.get(name);
  }

  /** Returns the sessions that were used so far. */
  get used(): readonly ManagedSession[] {
    return [...this.#sessions.values()];
  }

  /** Tells whether something is open that takes a place of a kind. */
  holds(kind: LimitedKind): boolean {
    return this.used.some(({ facts, isProgram }) =>
      facts !== undefined && (kind === "upstreamSessions" || isProgram)
    );
  }

  /** Ends the session with an upstream that was removed or replaced. */
  async remove(name: string, reason: UpstreamCloseReason): Promise<void> {
    this.lists.remove(name);
    const session = this.#sessions.get(name);
    this.#sessions.delete(name);
    if (reason === "removed") this.#unsubscribeAll(name);
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

  /** Tells whether the client may get a notification: not of a list whose changes weren't advertised. */
  wantsChange(method: string): boolean {
    if (this.advertised === undefined || !CHANGED_LISTS.has(method)) return true;
    return this.advertised.includes(method);
  }

  notify(notification: Notification): void {
    if (this.#sessionId === undefined || !this.wantsChange(notification.method)) return;
    // A log message is sent each time, and so is what only the client can tell apart.
    if (isRepeatable(notification)) this.#coalescer.add(notification);
    else this.#send(notification);
  }

  ask(method: string, params: JsonObject, signal: AbortSignal): Promise<JsonObject> | undefined {
    if (this.#sessionId === undefined) return undefined;
    return this.#host.ask(this.#sessionId, method, params, signal);
  }

  whenReachable(signal: AbortSignal): Promise<void> | undefined {
    const id = this.#sessionId;
    if (id === undefined || this.isClosed) return undefined;
    return new Promise((resolve, reject) => {
      const settle = () => {
        stopListening();
        this.#waiters.delete(settle);
        signal.removeEventListener("abort", settle);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      const stopListening = this.#host.onListening(id, settle);
      this.#waiters.add(settle);
      if (signal.aborted) settle();
      else signal.addEventListener("abort", settle, { once: true });
    });
  }

  markReachable(): void {
    for (const settle of [...this.#waiters]) settle();
  }

  subscribedUris(upstream: string): ReadonlySet<string> {
    const own = [...this.#subscriptions.values()].filter((each) => each.upstream === upstream);
    return new Set(own.map(({ uri }) => uri).filter((uri) => this.#maySubscribe(upstream, uri)));
  }

  subscribedAddresses(upstream: string, uri: string): readonly string[] {
    if (!this.#maySubscribe(upstream, uri)) return [];
    return [...this.#subscriptions].flatMap(([address, each]) =>
      each.upstream === upstream && each.uri === uri ? [address] : []
    );
  }

  #maySubscribe(upstream: string, uri: string): boolean {
    return this.#rulesOf(upstream)?.resources.allows(uri) !== false;
  }

  /** Returns what the client is subscribed to by an address. */
  subscription(address: string): UpstreamSubscription | undefined {
    return this.#subscriptions.get(address);
  }

  /** Tells whether the client may know of a change of some lists of an upstream. */
  maySee(upstream: string, kinds: readonly ListKind[]): boolean {
    const rules = this.#rulesOf(upstream);
    return rules === undefined || kinds.some((kind) => !rules[kind].isClosed);
  }

  #rulesOf(upstream: string): UpstreamRules | undefined {
    return this.caller && this.settings.policies.rulesOf(this.caller.principal, upstream);
  }

  listsChanged(
    upstream: string,
    notification: Notification,
    kinds: readonly ListKind[],
  ): void {
    const { method } = notification;
    // It may have by now what a rule is about.
    this.settings.policies.release(upstream);
    const rules = this.#rulesOf(upstream);
    if (rules === undefined || !kinds.some((kind) => rules[kind].restricts)) {
      this.invalidateLists(upstream, kinds);
      return this.notify(this.isAlone ? notification : { method });
    }
    // Comparing runs once for each list at a time, and once more for all changes meanwhile.
    const key = `${method} ${upstream}`;
    if (this.#comparing.has(key)) return void this.#comparing.set(key, true);
    this.#comparing.set(key, false);
    void this.#compare(upstream, method, kinds).catch((error) => {
      this.report({ type: "error", during: method, error });
    }).finally(() => {
      const again = this.#comparing.get(key);
      this.#comparing.delete(key);
      if (again === true) this.listsChanged(upstream, notification, kinds);
    });
  }

  /** Notifies the client if the part of a changed list changed that it may know. */
  async #compare(upstream: string, method: string, kinds: readonly ListKind[]): Promise<void> {
    const before = kinds.map((kind) => this.lists.shownLast(upstream, kind));
    this.invalidateLists(upstream, kinds);
    if (this.caller === undefined || this.isClosed) return;
    const { principal, request } = this.caller;
    const context = { principal, request, signal: this.closing, retain: () => () => {} };
    for (const [index, kind] of kinds.entries()) {
      // What it has not listed it needs no news of.
      if (before[index] === undefined) continue;
      const isKept = await this.lists.get(upstream, kind, context).then(() => true, () => false);
      if (this.isClosed) return;
      if (isKept && this.lists.shownLast(upstream, kind) === before[index]) continue;
      return this.notify({ method });
    }
  }

  invalidateLists(upstream: string, kinds: readonly ListKind[] = LIST_KINDS): void {
    this.lists.invalidate(upstream, kinds);
  }

  /**
   * Checks that the client may subscribe to a resource, or has.
   *
   * @throws {McpError} If the client has `limits.subscriptions` subscriptions already
   */
  checkRoom(address: string): void {
    if (this.#subscriptions.has(address)) return;
    if (this.#subscriptions.size < this.settings.limits.subscriptions) return;
    throw new McpError(ErrorCode.InvalidParams, "Unsubscribe from another resource first");
  }

  /**
   * Records a subscription to a resource.
   *
   * @param address The address that the client knows
   * @throws {McpError} If the client has `limits.subscriptions` subscriptions already
   */
  subscribe(address: string, subscription: UpstreamSubscription): void {
    this.checkRoom(address);
    this.#subscriptions.set(address, subscription);
  }

  /** Removes a subscription, and returns it if there was one. */
  unsubscribe(address: string): UpstreamSubscription | undefined {
    const subscription = this.#subscriptions.get(address);
    this.#subscriptions.delete(address);
    return subscription;
  }

  #unsubscribeAll(upstream: string): void {
    for (const [address, each] of this.#subscriptions) {
      if (each.upstream === upstream) this.#subscriptions.delete(address);
    }
  }

  #send(notification: Notification): void {
    if (this.#sessionId === undefined || this.isClosed) return;
    this.#host.notify(this.#sessionId, notification);
  }
}

/**
 * Tells whether repetitions of a notification may become one: it says no more than that something changed.
 */
function isRepeatable({ method }: Notification): boolean {
  return method !== "notifications/message" && methodFacts(method) !== undefined;
}
