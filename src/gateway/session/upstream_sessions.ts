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
  type SessionState,
  type UpstreamCloseReason,
} from "../../../mod.ts";
import { isAnonymous, methodFacts, ownerKey, shortHash, VERSIONS } from "../../kit.ts";
import type { GatewaySettings } from "../options.ts";
import type { UpstreamRules } from "../policy/policies.ts";
import type { KnownItems } from "../shared/known_items.ts";
import { KnownAddresses } from "./known_addresses.ts";
import { abortable, deadline } from "../shared/deadline.ts";
import type { AloneInit, Caller, UpstreamCall, UpstreamFacts } from "../types.ts";
import { CHANGED_LISTS, LIST_KINDS, type ListKind, LISTS } from "../shared/list_kinds.ts";
import { type Capacity, type LimitedKind, shareOf } from "./capacity.ts";
import { NotificationCoalescer } from "./coalesce.ts";
import type { Crashes } from "./crashes.ts";
import type { ListCache } from "./list_cache.ts";
import { SignIns } from "./sign_ins.ts";
import { ManagedSession } from "./managed_session.ts";
import type { ServedUpstreams } from "./served_upstreams.ts";
import { ASKING_METHODS, questionFor, upstreamCapabilities, wantsLog } from "./translate.ts";
import { UpstreamLists } from "./upstream_lists.ts";

/** The most attempts to reach a client that can't be asked yet. */
const MAX_ATTEMPTS = 10;

/** Options for {@linkcode UpstreamSessions}. */
export interface UpstreamSessionsInit {
  readonly served: ServedUpstreams;
  /** Identifies the client's session, if it has one. */
  readonly sessionId: string | undefined;
  readonly principal: Principal;
  readonly client: ClientFacts;
  readonly version: ProtocolVersion;
  readonly lists: ListCache;
  /** Tells requests without authentication apart that have no session, if anything does. */
  readonly stranger?: string;
  /** Identifies the user of requests without authentication, if anything does. */
  readonly user?: string | undefined;
  /** The state of the client's session, if that can go on in a later process. */
  readonly state?: SessionState | undefined;
  /** Whether the client's session began in an earlier process. */
  readonly restored?: boolean;
}

/** The key of the state of a client's session under which its subscriptions are. */
const STATE_KEY = "mooring/subscriptions";

/** A resource that a client is subscribed to. */
export interface UpstreamSubscription {
  readonly upstream: string;
  /** The address that the upstream knows. */
  readonly uri: string;
}

/** Tells a client without a session what changes, as far as it asked for that and may know it. */
export interface ChangeReceiver {
  /** Takes a notification that says no more than that something changed. */
  notify(notification: Notification): void;
  /** Takes a change of lists of an upstream. */
  listsChanged(upstream: string, notification: Notification, kinds: readonly ListKind[]): void;
  /** Takes the update of a resource, which clients know by some addresses. */
  resourceUpdated(upstream: string, uri: string, addresses: readonly string[]): void;
  /** Tells whether the client is told of updates of an address. */
  has(address: string): boolean;
  /** Stops, and unsubscribes from the resources that nobody else wants. */
  stop(isWanted: (address: string) => boolean): Promise<void>;
  /** Ends the subscription: nothing changes for it any more. */
  end(): void;
}

/** One client's sessions with all upstreams of a view. */
export class UpstreamSessions {
  readonly settings: GatewaySettings;
  /** Identifies the owner of the sessions. What a request may do depends on its own principal. */
  readonly owner: string;
  readonly capacity: Capacity;
  /** Remembers the names of what upstreams list, for events. */
  readonly known: KnownItems;
  /** The share that this takes from, as `shareOf` returns it. */
  readonly share: string | undefined;
  readonly crashes: Crashes;
  /** Identifies who crashes are counted for. */
  readonly crashOwner: string;
  /** Identifies the user, the same for all sessions; `undefined` if that isn't known. */
  readonly user: string | undefined;
  /** What the client is told about its upstreams. */
  readonly lists: UpstreamLists;
  /** Remembers which upstreams the addresses belong to that the client knows. */
  readonly addresses: KnownAddresses;
  /** The description of the client, as upstreams may know it. */
  readonly facts: ClientFacts;
  /** The questions to sign in at upstreams. */
  readonly signIns: SignIns;
  readonly report: (event: McpEvent) => void;
  /** The version that the client speaks: another one once an upstream has negotiated it. */
  version: ProtocolVersion;
  /** The least severe log level that the client wants. */
  logLevel: LogLevel | undefined;
  /** The `list_changed` notifications that were advertised; `undefined` if nothing was yet. */
  advertised: readonly string[] | undefined;
  /** The client's latest request, where there is a policy: it judges what belongs to none. */
  caller: Caller | undefined;
  readonly #served: ServedUpstreams;
  readonly #sessionId: string | undefined;
  readonly #principal: Principal;
  readonly #sessions = new Map<string, ManagedSession>();
  /** The resources that the client is subscribed to, by the addresses that it knows. */
  readonly #subscriptions = new Map<string, UpstreamSubscription>();
  readonly #state: SessionState | undefined;
  /** The upstreams that the client may have used in an earlier process, if its session began there. */
  readonly #restored: Set<string> | undefined;
  readonly #waiters = new Set<() => void>();
  /** The client's open subscriptions to changes, if it has no session. */
  readonly #listeners = new Set<ChangeReceiver>();
  /** The changes that are being compared, and whether there were more meanwhile. */
  readonly #comparing = new Map<string, boolean>();
  readonly #coalescer: NotificationCoalescer;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(init: UpstreamSessionsInit) {
    const { served, sessionId, principal, client, version, lists, stranger } = init;
    this.#state = init.state;
    this.#restored = init.restored === true ? new Set(served.upstreams.keys()) : undefined;
    this.settings = served.settings;
    this.report = served.report;
    this.owner = ownerKey(principal);
    this.capacity = served.capacity;
    this.known = served.known;
    this.addresses = new KnownAddresses(served.settings.limits.listEntries);
    this.share = shareOf(principal);
    this.crashes = served.crashes;
    // Strangers share nothing but this: the crashes of one would delay the programs of all.
    this.crashOwner = this.share ?? sessionId ?? stranger ?? this.owner;
    this.user = isAnonymous(principal) ? init.user : this.owner;
    this.version = version;
    this.#principal = principal;
    this.facts = {
      ...client.info && { info: client.info },
      capabilities: upstreamCapabilities(client, version, served.isAloneFor(principal)),
    };
    this.#served = served;
    this.#sessionId = sessionId;
    this.lists = new UpstreamLists({ served, sessions: this, cache: lists });
    this.signIns = new SignIns({
      closing: this.#closing.signal,
      isSession: sessionId !== undefined,
      notify: (notification) => this.notify(notification),
      onSignedIn: (upstream) => this.#signedIn(upstream),
    });
    const { clock } = served.settings;
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
    return [...this.#served.upstreams.keys()];
  }

  /** Tells whether an upstream is only started, and its tools only found, when it is asked for. */
  isLazy(name: string): boolean {
    return this.#served.isLazy(name);
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

  /** Returns the name that a tool of an upstream has in the view. */
  shownName(upstream: string, tool: string): string {
    return this.#served.rename(upstream, tool);
  }

  /** Reports that clients don't get an extension that an upstream offers. */
  extensionWithheld(upstream: string, extension: string, reason: "settings" | "missing"): void {
    this.#served.extensionWithheld(upstream, extension, reason);
  }

  /** Lets the client list what an upstream has, now that the user has signed in there. */
  #signedIn(upstream: string): void {
    this.#served.failures.removeAll(upstream);
    this.invalidateLists(upstream);
    for (const [method, kinds] of CHANGED_LISTS) {
      if (!this.maySee(upstream, kinds)) continue;
      if (this.isSession && this.wantsChange(method)) this.notify({ method });
      for (const host of this.#served.hosts) {
        host.broadcast({ method }, () => false, (principal) => ownerKey(principal) === this.owner);
      }
    }
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

  /**
   * Notifies the client of the lists of an upstream that stands in for one of an earlier process: nobody knows
   * how they have changed meanwhile.
   */
  reopened(upstream: string, { capabilities }: UpstreamFacts): void {
    for (const [method, kinds] of CHANGED_LISTS) {
      if (!this.maySee(upstream, kinds)) continue;
      const has = kinds.some((kind) => capabilities[LISTS[kind].capability] !== undefined);
      if (has) this.notify({ method });
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

  /** Whether the upstream is served alone: then everything that it sends is passed on. */
  get isAlone(): boolean {
    return this.isAloneFor(this.caller?.principal ?? this.#principal);
  }

  /** Tells it for the requests of a principal, whose rights may be others than those of the one before. */
  isAloneFor(principal: Principal): boolean {
    return this.#served.isAloneFor(principal);
  }

  /** The client's side to an upstream that is served alone. */
  get alone(): AloneInit | undefined {
    if (!this.isAlone) return undefined;
    return { version: this.version, sessionId: this.#sessionId };
  }

  /** Closes the connection of the client's server-to-client stream, not the stream. */
  closeServerStream(): void {
    if (this.#sessionId !== undefined && !this.isClosed) this.#served.closeStream(this.#sessionId);
  }

  /**
   * Tells whether the session that is opened with an upstream may stand in for one of an earlier process,
   * and forgets that.
   */
  takeRestored(upstream: string): boolean {
    return this.#restored?.delete(upstream) === true;
  }

  /** Reads what the client was subscribed to in an earlier process. */
  async restore(): Promise<void> {
    const stored: unknown = await this.#state?.get(STATE_KEY);
    if (!Array.isArray(stored)) return;
    for (const entry of stored.slice(0, this.settings.limits.subscriptions)) {
      const [address, upstream, uri]: unknown[] = Array.isArray(entry) ? entry : [];
      if (typeof address !== "string" || typeof uri !== "string") continue;
      if (typeof upstream !== "string" || !this.#served.upstreams.has(upstream)) continue;
      if (!this.#subscriptions.has(address)) this.#subscriptions.set(address, { upstream, uri });
    }
  }

  /** The upstreams that have something that the client is subscribed to. */
  get subscribedUpstreams(): ReadonlySet<string> {
    return new Set([...this.#subscriptions.values()].map(({ upstream }) => upstream));
  }

  /** Stores what the client is subscribed to, for a later process. */
  #storeSubscriptions(): void {
    const entries = [...this.#subscriptions].map(([address, { upstream, uri }]) => [
      address,
      upstream,
      uri,
    ]);
    this.#state?.set(STATE_KEY, entries).catch((error) => {
      this.report({ type: "error", during: "storing subscriptions", error });
    });
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
    const registered = this.#served.upstreams.get(name);
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
    // Nothing changes for it from now on: its client is to begin another one
    for (const listener of [...this.#listeners]) listener.end();
    this.markReachable();
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.all([this.signIns.close(), ...sessions.map((session) => session.close(reason))]);
  }

  /** Tells whether the client may get a notification: not of a list whose changes weren't advertised. */
  wantsChange(method: string): boolean {
    if (this.advertised === undefined || !CHANGED_LISTS.has(method)) return true;
    return this.advertised.includes(method);
  }

  /**
   * Tells a client without a session what changes, until the returned function is called.
   *
   * @returns Unsubscribes from the resources that no other listener wants
   */
  addListener(listener: ChangeReceiver): () => Promise<void> {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
      return listener.stop((address) => [...this.#listeners].some((each) => each.has(address)));
    };
  }

  /** Sends a notification that belongs to no call. */
  notify(notification: Notification): void {
    if (CHANGED_LISTS.has(notification.method)) {
      for (const listener of this.#listeners) listener.notify(notification);
    }
    if (this.#sessionId === undefined || !this.wantsChange(notification.method)) return;
    // A log message is sent each time, and so is what only the client can tell apart.
    if (isRepeatable(notification)) this.#coalescer.add(notification);
    else this.#send(notification);
  }

  /** Sends a request that belongs to no call; returns `undefined` if the client has no session. */
  ask(method: string, params: JsonObject, signal: AbortSignal): Promise<JsonObject> | undefined {
    if (this.#sessionId === undefined) return undefined;
    return this.#served.ask(this.#sessionId, method, params, signal);
  }

  /**
   * Waits until the client may have become reachable; returns `undefined` if it never will.
   *
   * @throws {AbortSignal["reason"]} If the signal aborts first
   */
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
      const stopListening = this.#served.onListening(id, settle);
      this.#waiters.add(settle);
      if (signal.aborted) settle();
      else signal.addEventListener("abort", settle, { once: true });
    });
  }

  /** Wakes what waits for the client to become reachable. */
  markReachable(): void {
    for (const settle of [...this.#waiters]) settle();
  }

  /** Returns the resources of an upstream that the client is subscribed to, as the upstream knows them. */
  subscribedUris(upstream: string): ReadonlySet<string> {
    const own = [...this.#subscriptions.values()].filter((each) => each.upstream === upstream);
    return new Set(own.map(({ uri }) => uri).filter((uri) => this.#maySubscribe(upstream, uri)));
  }

  /** Returns the addresses by which the client is subscribed to a resource of an upstream. */
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

  /** Invalidates cached lists of an upstream that changed, and notifies the client if it may know. */
  listsChanged(
    upstream: string,
    notification: Notification,
    kinds: readonly ListKind[],
  ): void {
    const { method } = notification;
    // It may have by now what a rule is about.
    this.settings.policies.release(upstream);
    if (this.#listeners.size > 0) {
      this.invalidateLists(upstream, kinds);
      for (const listener of this.#listeners) listener.listsChanged(upstream, notification, kinds);
      return;
    }
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

  /** Invalidates cached lists of an upstream; all of them by default. */
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
    this.#storeSubscriptions();
  }

  /** Removes a subscription, and returns it if there was one. */
  unsubscribe(address: string): UpstreamSubscription | undefined {
    const subscription = this.#subscriptions.get(address);
    if (this.#subscriptions.delete(address)) this.#storeSubscriptions();
    return subscription;
  }

  /**
   * Passes on a notification that belongs to no call. Drops what the client must not get.
   *
   * @param running Calls that run in the upstream session
   */
  forward(
    upstream: string,
    running: ReadonlySet<UpstreamCall>,
    notification: Notification,
  ): void {
    const { method, params } = notification;
    const changed = CHANGED_LISTS.get(method);
    if (changed !== undefined) return this.listsChanged(upstream, notification, changed);
    const isMessage = method === "notifications/message";
    if (isMessage || (this.isAlone && isUnknown(method))) {
      if (isMessage && !wantsLog(params, this.logLevel, this.version)) return;
      const [call, ...others] = clientCalls(running);
      if (call === undefined || others.length > 0) return this.notify(notification);
      return call.notify(notification);
    }
    if (method === "notifications/resources/updated") {
      if (this.isAlone && this.isSession) return this.notify(notification);
      const uri = params?.uri;
      if (typeof uri !== "string") return;
      const addresses = this.subscribedAddresses(upstream, uri);
      for (const listener of this.#listeners) listener.resourceUpdated(upstream, uri, addresses);
      if (!this.isSession) return;
      return addresses.forEach((uri) => this.notify({ method, params: { uri } }));
    }
    if (method !== "notifications/elicitation/complete") return;
    if (VERSIONS[this.version].elicitationModes) this.notify(notification);
  }

  /**
   * Asks the client a question that belongs to no call: within the latest call, which most likely needs
   * the answer, otherwise on the client's own stream. Servers ask for roots right after the handshake,
   * when the client has no stream yet: the question then waits for one.
   *
   * @param running Calls that run in the upstream session
   * @throws {McpError} If the client can't be asked, or answers with an error
   */
  async forwardQuestion(
    running: ReadonlySet<UpstreamCall>,
    method: string,
    params: JsonObject,
    signal: AbortSignal,
  ): Promise<JsonObject> {
    const shown = questionFor(method, params, this.facts.capabilities, this.isAlone);
    const { settings: { clock, askTimeoutMs } } = this;
    const limit = deadline(clock, askTimeoutMs, signal);
    try {
      for (let attempt = 1;; attempt++) {
        const call = clientCalls(running).at(-1);
        if (call !== undefined) return await abortable(call.ask(method, shown), signal);
        try {
          const answer = this.ask(method, shown, signal);
          if (answer !== undefined) return await answer;
        } catch (error) {
          // A client without a stream can't be asked yet.
          if (!(error instanceof McpError) || error.code !== ErrorCode.Refused) throw error;
        }
        const reachable = attempt < MAX_ATTEMPTS ? this.whenReachable(limit.signal) : undefined;
        if (reachable === undefined) break;
        await reachable;
      }
    } finally {
      limit.clear();
    }
    throw new McpError(ErrorCode.Refused, "Ask during a call");
  }

  #unsubscribeAll(upstream: string): void {
    const { size } = this.#subscriptions;
    for (const [address, each] of this.#subscriptions) {
      if (each.upstream === upstream) this.#subscriptions.delete(address);
    }
    if (this.#subscriptions.size < size) this.#storeSubscriptions();
  }

  #send(notification: Notification): void {
    if (this.#sessionId === undefined || this.isClosed) return;
    this.#served.notify(this.#sessionId, notification);
  }
}

/**
 * Tells whether repetitions of a notification may become one: it says no more than that something changed.
 */
function isRepeatable({ method }: Notification): boolean {
  return method !== "notifications/message" && methodFacts(method) !== undefined;
}

/** Tells whether the protocol doesn't know a notification, so that only its server and client do. */
function isUnknown(method: string): boolean {
  return methodFacts(method) === undefined;
}

/** Returns the calls that messages outside calls may belong to: not the gateway's own. */
function clientCalls(running: ReadonlySet<UpstreamCall>): readonly UpstreamCall[] {
  return [...running].filter(({ method, isClients }) => isClients ?? ASKING_METHODS.has(method));
}
