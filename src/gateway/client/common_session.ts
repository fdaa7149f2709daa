/**
 * Keeps what many sessions do in one session with an upstream apart. What can't be told apart goes to nobody.
 *
 * @module
 */
import {
  ErrorCode,
  type JsonObject,
  LOG_LEVELS,
  type LogLevel,
  McpError,
  type Notification,
  type Principal,
} from "../../../mod.ts";
import { copyPrincipal, isModern, isObject, MetaKey, onAbort } from "../../kit.ts";
import { abortable } from "../shared/deadline.ts";
import { UpstreamError } from "../shared/upstream_error.ts";
import type {
  Caller,
  Downstream,
  OpenInit,
  Upstream,
  UpstreamCall,
  UpstreamFacts,
  UpstreamSession,
} from "../types.ts";
import { type CallLane, FairCalls } from "./fair_calls.ts";
import { clientMeta } from "./handshake.ts";
import type { ShareSettings } from "./share_options.ts";

/** Options for {@linkcode CommonSession}. */
export interface CommonSessionOptions {
  readonly upstream: Upstream;
  readonly settings: ShareSettings;
  /** Called when no session uses it any more. */
  readonly onUnused: () => void;
  /** Called when it can't be used any more. */
  readonly onOver: () => void;
  /** Called with what resolves when it has ended. */
  readonly onEnding: (ending: Promise<void>) => void;
}

/** A resource that sessions are subscribed to. */
interface Subscription {
  readonly members: Set<CommonMember>;
  /** Serializes what is sent about it. */
  turn: Promise<unknown>;
  /** The number of those that wait for their turn or have it. */
  waiting: number;
}

/** The notifications about lists, which concern every session. */
const LIST_CHANGED: ReadonlySet<string> = new Set([
  "notifications/tools/list_changed",
  "notifications/prompts/list_changed",
  "notifications/resources/list_changed",
]);

/** The requests of a client during which an upstream may ask it. */
const ASKING: ReadonlySet<string> = new Set(["tools/call", "prompts/get", "resources/read"]);

/** One session with an upstream, and the sessions of the gateway that use it. */
export class CommonSession {
  /** The user whose it is; `undefined` if it is everybody's. */
  readonly user: Principal | undefined;
  readonly members = new Set<CommonMember>();
  readonly fair: FairCalls;
  readonly settings: ShareSettings;
  readonly name: string;
  readonly #options: CommonSessionOptions;
  readonly #clock: OpenInit["clock"];
  readonly #closing = new AbortController();
  readonly #subscriptions = new Map<string, Subscription>();
  /** The methods of questions that were refused, for events. */
  readonly #refused = new Set<string>();
  #opening: Promise<UpstreamSession> | undefined;
  #session: UpstreamSession | undefined;
  #joining = 0;
  #report: OpenInit["report"];
  #stopTimer: (() => void) | undefined;
  #over: { readonly error: unknown } | undefined;
  #level: LogLevel | undefined;

  /** Creates it; the first session that joins opens it. */
  constructor(options: CommonSessionOptions, { name, principal, clock, report }: OpenInit) {
    this.#options = options;
    this.settings = options.settings;
    this.name = name;
    this.#clock = clock;
    this.#report = report;
    const { share, limits } = options.settings;
    this.user = share === "user" ? principal : undefined;
    const { callsPerUser, ...rest } = limits;
    // Those of one user take turns among each other.
    const callsPerOwner = share === "user" ? limits.calls : callsPerUser;
    this.fair = new FairCalls({ ...rest, clock, callsPerOwner });
  }

  /** Whether no session uses it. */
  get isUnused(): boolean {
    return this.members.size === 0 && this.#joining === 0;
  }

  /**
   * Adds a session of the gateway.
   *
   * @throws {McpError} If as many sessions use it as may
   * @throws {UpstreamError} If the upstream can't be reached or rejects the session
   * @throws {AbortSignal["reason"]} If the signal aborts
   */
  async join(init: OpenInit): Promise<UpstreamSession> {
    if (this.members.size + this.#joining >= this.settings.limits.sessions) {
      const message = "Call again later: as many sessions use this upstream as may use it together";
      throw new McpError(ErrorCode.Refused, message, { reason: "busy" });
    }
    this.#stopTimer?.();
    this.#joining++;
    try {
      init.signal.throwIfAborted();
      this.#opening ??= this.#open(init);
      const session = await abortable(this.#opening, init.signal);
      if (this.#over !== undefined) throw this.#over.error;
      const member = new CommonMember(this, session, init);
      this.members.add(member);
      this.#report = init.report;
      return member;
    } finally {
      this.#joining--;
      this.#settle();
    }
  }

  /** Removes a session that ended. */
  leave(member: CommonMember): void {
    if (!this.members.delete(member)) return;
    const [other] = this.members;
    if (other !== undefined) this.#report = other.report;
    for (const [uri, { members }] of this.#subscriptions) {
      if (members.has(member)) void this.#unsubscribeQuietly(member, uri);
    }
    this.#settle();
  }

  /** Ends the session with the upstream, and with it those of all that use it. */
  end(error: unknown = new UpstreamError("closed")): void {
    if (this.#over !== undefined) return;
    this.#over = { error };
    this.#stopTimer?.();
    this.#options.onOver();
    this.#closing.abort(error);
    this.fair.refuse(new UpstreamError("closed", { unsent: true }));
    const members = [...this.members];
    this.members.clear();
    this.#subscriptions.clear();
    const ending = (async () => await (await this.#opening)?.close())().catch(() => {});
    this.#options.onEnding(ending);
    for (const member of members) member.ended(error);
  }

  /** Tells whether another session has a call in it. */
  isBusyWithout(member: CommonMember): boolean {
    return this.fair.running > member.lane.running;
  }

  /** Subscribes a session to a resource; only the first is sent to the upstream. */
  async subscribe(member: CommonMember, call: UpstreamCall): Promise<JsonObject> {
    return await this.#inTurn(String(call.params.uri), call.signal, async ({ members }) => {
      const result = members.size === 0 ? await member.send(call) : {};
      members.add(member);
      // It may have ended meanwhile.
      if (member.isClosed) void this.#unsubscribeQuietly(member, String(call.params.uri));
      return result;
    });
  }

  /** Unsubscribes a session; only the last is sent to the upstream. */
  async unsubscribe(member: CommonMember, call: UpstreamCall): Promise<JsonObject> {
    return await this.#inTurn(String(call.params.uri), call.signal, async ({ members }) => {
      if (!members.delete(member) || members.size > 0) return {};
      return await member.send(call);
    });
  }

  /** Sets the level of log messages that a session wants: the upstream gets the most verbose of all. */
  async setLevel(member: CommonMember, call: UpstreamCall): Promise<JsonObject> {
    const { level } = call.params;
    const rank = LOG_LEVELS.findIndex((known) => known === level);
    const wanted = LOG_LEVELS[rank];
    if (wanted === undefined) return await member.send(call);
    member.level = wanted;
    const levels = [...this.members].flatMap(({ level }) => level === undefined ? [] : [level]);
    const lowest = LOG_LEVELS.find((known) => levels.includes(known)) ?? wanted;
    if (lowest === this.#level) return {};
    this.#level = lowest;
    return await member.send({ ...call, ...methodsOf(call), params: { level: lowest } });
  }

  /**
   * Refuses a question: nobody knows which session it is for.
   *
   * @throws {McpError} Always
   */
  refuseQuestion(method: string): never {
    const isNew = !this.#refused.has(method) && this.#refused.size < 10;
    if (isNew) {
      this.#refused.add(method);
      const { name: upstream, members: { size: sessions } } = this;
      this.#report({ type: "upstream-question-refused", upstream, method, sessions });
    }
    const message = "Ask nothing: several sessions use this server, and a question names none";
    throw new McpError(ErrorCode.Refused, message);
  }

  async #open(init: OpenInit): Promise<UpstreamSession> {
    const { signal } = this.#closing;
    try {
      return this.#session = await this.#options.upstream.open({
        name: init.name,
        client: this.#client(init),
        principal: copyPrincipal(init.principal),
        request: init.request,
        downstream: this.#downstream(),
        signal,
        clock: init.clock,
        report: (event) => this.#report(event),
        takeProgram: () => init.takeProgram?.(signal) ?? (() => {}),
      });
    } catch (error) {
      this.end(error);
      throw error;
    }
  }

  /** Describes the client as it holds for all sessions. Questions about roots have many answers. */
  #client({ client: { capabilities } }: OpenInit): OpenInit["client"] {
    if (this.settings.share === "all") return { capabilities: {} };
    const { roots: _, ...rest } = capabilities;
    return { capabilities: rest };
  }

  /** Receives what belongs to no call. */
  #downstream(): Downstream {
    return {
      notified: (notification) => this.#notified(notification),
      ask: async (method, params, signal) => {
        const [only, ...others] = this.#asking();
        const isKnown = only !== undefined && others.length === 0 && method !== "roots/list";
        if (this.settings.share === "all" || !isKnown) return this.refuseQuestion(method);
        return await only.downstream.ask(method, params, signal);
      },
      ended: (error) => this.end(error),
    };
  }

  #notified(notification: Notification): void {
    const { method, params } = notification;
    if (LIST_CHANGED.has(method)) {
      for (const { downstream } of this.members) downstream.notified(notification);
      return;
    }
    if (method === "notifications/resources/updated") {
      const { uri } = params ?? {};
      const members = typeof uri === "string" ? this.#subscriptions.get(uri)?.members : undefined;
      for (const { downstream } of members ?? []) downstream.notified(notification);
      return;
    }
    // Anything else may say something about one session.
    if (this.settings.share === "all") return;
    const [only, ...others] = this.#asking();
    const concerned = only !== undefined && others.length === 0 ? [only] : this.members;
    for (const { downstream } of concerned) downstream.notified(notification);
  }

  /** Returns the sessions in whose calls the upstream may ask something. */
  #asking(): readonly CommonMember[] {
    return [...this.members].filter(({ isAsking }) => isAsking);
  }

  /** Ends it when nobody uses it: at once if it is still opening, otherwise after a while. */
  #settle(): void {
    if (!this.isUnused || this.#over !== undefined) return;
    if (this.#session === undefined) return this.end();
    this.#stopTimer?.();
    this.#stopTimer = this.#clock.timer(this.settings.limits.idleMs, () => {
      if (this.isUnused) this.end();
    });
    this.#options.onUnused();
  }

  async #inTurn(
    uri: string,
    signal: AbortSignal,
    act: (subscription: Subscription) => Promise<JsonObject>,
  ): Promise<JsonObject> {
    const subscription = this.#subscriptions.get(uri) ??
      { members: new Set<CommonMember>(), turn: Promise.resolve(), waiting: 0 };
    this.#subscriptions.set(uri, subscription);
    subscription.waiting++;
    const acted = subscription.turn.then(() => {
      signal.throwIfAborted();
      return act(subscription);
    }).finally(() => {
      const isOver = --subscription.waiting === 0 && subscription.members.size === 0;
      if (isOver && this.#subscriptions.get(uri) === subscription) this.#subscriptions.delete(uri);
    });
    subscription.turn = acted.catch(() => {});
    return await abortable(acted, signal);
  }

  /** Unsubscribes a session that ended. */
  async #unsubscribeQuietly(member: CommonMember, uri: string): Promise<void> {
    const { signal } = this.#closing;
    try {
      await this.#inTurn(uri, signal, async ({ members }) => {
        if (!members.delete(member) || members.size > 0 || this.#session === undefined) return {};
        return await this.#session.request({
          ...member.lastCaller,
          method: "resources/unsubscribe",
          params: { uri },
          signal,
          notify() {},
          ask: async (method) => await this.refuseQuestion(method),
        });
      });
    } catch {
      // Updates that still come go to nobody.
    }
  }
}

/** One session of the gateway that uses a session with an upstream together with others. */
export class CommonMember implements UpstreamSession {
  readonly facts: UpstreamFacts;
  readonly lane: CallLane;
  readonly downstream: Downstream;
  readonly report: OpenInit["report"];
  /** The latest caller. */
  lastCaller: Caller;
  /** The level of log messages that it wants, if it said so. */
  level: LogLevel | undefined;
  readonly #common: CommonSession;
  readonly #session: UpstreamSession;
  /** What each request says about its client, for an upstream of the 2026 era. */
  readonly #meta: JsonObject | undefined;
  /** Functions that end the calls that run. */
  readonly #stops = new Set<AbortController>();
  #asking = 0;
  #closed = false;

  /** Creates it for a session that has joined. */
  constructor(common: CommonSession, session: UpstreamSession, init: OpenInit) {
    this.#common = common;
    this.#session = session;
    this.downstream = init.downstream;
    this.report = init.report;
    this.lastCaller = { principal: copyPrincipal(init.principal), request: init.request };
    this.lane = { owner: init.user, running: 0, waiting: new Set() };
    const { protocolVersion, capabilities } = session.facts;
    const { logging: _, ...others } = capabilities;
    // Nobody gets log messages that may be about somebody else.
    this.facts = common.settings.share === "all"
      ? { ...session.facts, capabilities: others }
      : session.facts;
    this.#meta = isModern(protocolVersion) ? clientMeta(init, protocolVersion) : undefined;
  }

  /** The number of sessions that use the upstream's session. */
  get sessions(): number {
    return this.#common.members.size;
  }

  /** Whether the session ended. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Whether a call runs in which the upstream may ask something. */
  get isAsking(): boolean {
    return this.#asking > 0;
  }

  request(call: UpstreamCall): Promise<JsonObject> {
    if (this.#closed) return Promise.reject(new UpstreamError("closed", { unsent: true }));
    const { principal, request } = call;
    this.lastCaller = { principal, request };
    switch (call.method) {
      case "ping":
        // A program that works for another session is not idle, and may be slow to answer.
        return this.#common.isBusyWithout(this) ? Promise.resolve({}) : this.send(call);
      case "resources/subscribe":
        return this.#common.subscribe(this, call);
      case "resources/unsubscribe":
        return this.#common.unsubscribe(this, call);
      case "logging/setLevel":
        return this.#common.setLevel(this, call);
      default:
        return this.send(call);
    }
  }

  /** Sends a request in its turn. */
  async send(call: UpstreamCall): Promise<JsonObject> {
    const stop = new AbortController();
    const { signal } = stop;
    const ignore = onAbort(call.signal, () => stop.abort(call.signal.reason));
    this.#stops.add(stop);
    try {
      const taken = this.#common.fair.take(this.lane, signal);
      const release = typeof taken === "function" ? taken : await taken;
      const asks = ASKING.has(call.method);
      if (asks) this.#asking++;
      try {
        signal.throwIfAborted();
        return await this.#session.request(this.#own(call, signal));
      } finally {
        if (asks) this.#asking--;
        release();
      }
    } finally {
      this.#stops.delete(stop);
      ignore();
    }
  }

  /** Sends nothing: what a client notifies of is about its own session, which the upstream doesn't know. */
  notify(): Promise<void> {
    return Promise.resolve();
  }

  /** Ends the session; the upstream's own goes on for the others. */
  close(): Promise<void> {
    this.#end(new UpstreamError("closed"));
    this.#common.leave(this);
    return Promise.resolve();
  }

  /** Takes it that the upstream doesn't answer. */
  lost(): void {
    if (this.#common.isBusyWithout(this)) return;
    const error = new UpstreamError("timeout");
    this.#end(error);
    this.#common.end(error);
  }

  /** Takes the error that ended the upstream's session. */
  ended(error: unknown): void {
    if (this.#closed) return;
    this.#end(error);
    this.downstream.ended(error);
  }

  #end(error: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const stop of [...this.#stops]) stop.abort(error);
  }

  /** Returns a call as the upstream gets it. */
  #own(call: UpstreamCall, signal: AbortSignal): UpstreamCall {
    const { method, principal, request, user } = call;
    const { share } = this.#common.settings;
    return {
      method,
      params: this.#described(call.params),
      signal,
      principal,
      request,
      user,
      ...call.isClients !== undefined && { isClients: call.isClients },
      notify: (notification) => {
        if (this.#closed) return;
        // Over one stream only progress names its call.
        if (share === "all" && notification.method !== "notifications/progress") return;
        call.notify(notification);
      },
      ask: async (method, params) => {
        if (share === "all" || method === "roots/list") return this.#common.refuseQuestion(method);
        return await call.ask(method, params);
      },
    };
  }

  /** Says which client a request is of, where requests say so. */
  #described(params: JsonObject): JsonObject {
    if (this.#meta === undefined) return params;
    const own: JsonObject = isObject(params._meta) ? params._meta : {};
    const { [MetaKey.LogLevel]: _, ...quiet } = own;
    const kept = this.#common.settings.share === "all" ? quiet : own;
    return { ...params, _meta: { ...this.#meta, ...kept } };
  }
}

/** Returns the methods of a call, which a spread of a class's object would lose. */
function methodsOf(call: UpstreamCall): Pick<UpstreamCall, "notify" | "ask"> {
  return {
    notify: (notification) => call.notify(notification),
    ask: (method, params) => call.ask(method, params),
  };
}
