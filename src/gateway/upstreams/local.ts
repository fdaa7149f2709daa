/**
 * Uses a server of this package, in the same process, as an upstream.
 *
 * @module
 */
import {
  type Dispatcher,
  ErrorCode,
  type Exchange,
  type ExchangeSession,
  type ExchangeUser,
  type Implementation,
  type JsonObject,
  type LogLevel,
  McpError,
  McpServer,
  type Notification,
  type NotificationExchange,
  type ProtocolVersion,
  type SessionState,
} from "../../../mod.ts";
import {
  ANONYMOUS,
  dispatch,
  isModern,
  isObject,
  MetaKey,
  randomText,
  STATE_BYTES,
  StateValues,
} from "../../kit.ts";
import { abortable } from "../shared/deadline.ts";
import { SKILLS, TASKS } from "../shared/extensions.ts";
import { CHANGED_LISTS } from "../shared/list_kinds.ts";
import { withoutLogin } from "../shared/login.ts";
import { UpstreamError } from "../shared/upstream_error.ts";
import type {
  Caller,
  OpenInit,
  Upstream,
  UpstreamCall,
  UpstreamFacts,
  UpstreamSession,
} from "../types.ts";
import { GatewayView } from "../view/view.ts";

/** The version spoken within the process by default: in its era a server can ask during a call. */
const VERSION: ProtocolVersion = "2025-11-25";
/** The methods that a server has in the other era alone, and that version. */
const MODERN_METHODS: ReadonlySet<string> = new Set([
  "server/discover",
  "tasks/get",
  "tasks/update",
  "tasks/cancel",
  "skills/list",
  "skills/get",
  "resources/directory/read",
]);
const MODERN_VERSION: ProtocolVersion = "2026-07-28";
const PAGE_SIZE = 1000;
const MAX_SUBSCRIPTIONS = 1000;

/**
 * Creates an upstream from a server of this package, such as an `McpServer` or another gateway. The
 * gateway calls it within the process, as a client of 2025-11-25, and opens one session for every
 * session of its own clients. The server sees the requests of those clients without their login:
 * credentials, cookies and session ids.
 *
 * @param server Server to use. The gateway doesn't close it
 * @throws {TypeError} If `server` has no `route()`
 * @example
 * ```ts
 * import { McpServer } from "@mooring/mcp";
 * import { gateway, local } from "@mooring/mcp/gateway";
 *
 * const server = new McpServer({ name: "echo", version: "1.0.0" });
 * server.registerTool("hello", {}, () => "Hello");
 * const gw = gateway({ upstreams: { echo: local(server) } }); // offers the tool "echo__hello"
 * await gw.close();
 * ```
 */
export function local(server: Dispatcher): Upstream {
  if (typeof server?.route !== "function") {
    throw new TypeError(`Give a server with route(), such as an McpServer: ${typeof server}`);
  }
  const routeOf = (tool: string) =>
    server.route({ method: "tools/call", params: { name: tool } }, ANONYMOUS);
  return {
    kind: "local",
    identity: randomText(22),
    usersBy: "the principal of each call",
    open: (init) => LocalSession.open(server, init),
    toolScopes: (tool) => routeOf(tool).scopes,
    longCalls: (tool) => routeOf(tool).longCalls,
    refuseLongCalls: () => server.refuseLongCalls?.() ?? (() => {}),
    answerOnce: (tool) => routeOf(tool).answerOnce,
    refuseAnswersOnce: () => server.refuseAnswersOnce?.() ?? (() => {}),
  };
}

/** A session with a server in the process. */
class LocalSession implements UpstreamSession {
  readonly #server: Dispatcher;
  readonly #init: OpenInit;
  readonly #version: ProtocolVersion;
  /** Returns a client's request as the server may see it. */
  readonly #shown: (request: Request) => Request;
  readonly #session = new LocalSessionState();
  readonly #closing = new AbortController();
  readonly #detach: (() => void) | undefined;
  readonly #running = new Set<AbortController>();
  #facts: UpstreamFacts | undefined;
  #nextId = 1;
  #closed: Promise<void> | undefined;

  private constructor(server: Dispatcher, init: OpenInit) {
    this.#server = server;
    this.#init = init;
    const own = init.alone?.version;
    this.#version = own === undefined || isModern(own) ? VERSION : own;
    // Another gateway removes it itself: its own upstreams may be given what is mapped on purpose.
    this.#shown = server instanceof GatewayView ? (request) => request : withoutLogin;
    this.#detach = server.attach?.({
      clock: init.clock,
      report: init.report,
      broadcast: (notification, wants) => {
        if (wants?.(this.#session.id) !== false) this.#deliver(notification);
      },
      resourceUpdated: (uri) => {
        if (!this.#session.subscribed.has(uri)) return;
        this.#deliver({ method: "notifications/resources/updated", params: { uri } });
      },
      notify: (id, notification) => {
        if (id === this.#session.id) this.#deliver(notification);
      },
      ask: (id, method, params, signal) => {
        if (id !== this.#session.id || this.#closing.signal.aborted) return undefined;
        return init.downstream.ask(method, params, signal);
      },
    });
  }

  static async open(server: Dispatcher, init: OpenInit): Promise<LocalSession> {
    const session = new LocalSession(server, init);
    try {
      await session.#initialize();
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  get facts(): UpstreamFacts {
    if (this.#facts === undefined) throw new UpstreamError("protocol");
    return this.#facts;
  }

  async request(call: UpstreamCall): Promise<JsonObject> {
    call.signal.throwIfAborted();
    if (this.#closing.signal.aborted) throw this.#closing.signal.reason;
    // The end of the call stops the server's work, and so does the end of the session.
    const stop = new AbortController();
    const { signal } = stop;
    const follow = () => stop.abort(call.signal.reason);
    call.signal.addEventListener("abort", follow, { once: true });
    this.#running.add(stop);
    try {
      const exchange = this.#exchange(call, signal);
      return await abortable((async () => await dispatch(this.#server, exchange))(), signal);
    } catch (error) {
      if (signal.aborted || error instanceof McpError) throw error;
      this.#init.report({ type: "error", during: call.method, error });
      throw new McpError(ErrorCode.InternalError, "Internal error");
    } finally {
      this.#running.delete(stop);
      call.signal.removeEventListener("abort", follow);
    }
  }

  async notify(
    { method, params = {} }: Notification,
    { principal, request }: Caller = this.#init,
  ): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const { client, report } = this.#init;
    const exchange: NotificationExchange = {
      method,
      params,
      protocolVersion: this.#version,
      principal,
      request: this.#shown(request),
      session: this.#session,
      client,
      report,
    };
    await this.#server.notified?.(exchange);
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    const reason = new UpstreamError("closed");
    this.#closing.abort(reason);
    for (const stop of [...this.#running]) stop.abort(reason);
    this.#detach?.();
    await this.#server.sessionEnded?.(this.#session.id, "ended");
  }

  async #initialize(): Promise<void> {
    const { client, signal, principal, request } = this.#init;
    const { info: clientInfo = { name: "unknown", version: "0" }, capabilities } = client;
    const result = await this.request({
      method: "initialize",
      params: { protocolVersion: this.#version, capabilities, clientInfo },
      signal,
      principal,
      request,
      notify() {},
      ask: () => Promise.reject(new McpError(ErrorCode.Refused, "Ask after initialize")),
    });
    this.#facts = withExtensions(factsOf(result, this.#version), await this.#extensions());
    await this.notify({ method: "notifications/initialized" });
  }

  /**
   * Returns what the server offers of the Tasks and Skills extensions, whose methods are of the 2026 era. Only
   * servers of this package are asked: another gateway would open sessions for that.
   */
  async #extensions(): Promise<JsonObject> {
    const { signal, principal, request, alone } = this.#init;
    const own = alone?.version;
    const isAsked = this.#server instanceof McpServer && (own === undefined || isModern(own));
    if (!isAsked) return {};
    const ask = () => Promise.reject(new McpError(ErrorCode.Refused, "Ask during a call"));
    const call = { method: "server/discover", params: {}, signal, principal, request };
    const { capabilities } = await this.request({ ...call, notify() {}, ask });
    const all = isObject(capabilities) && isObject(capabilities.extensions)
      ? capabilities.extensions
      : {};
    // Served alone, it would be polled by ids of its own, which the gateway doesn't know
    const passed = alone === undefined ? [SKILLS, TASKS] : [SKILLS];
    return Object.fromEntries(
      passed.flatMap((id) => isObject(all[id]) ? [[id, all[id]] as const] : []),
    );
  }

  #deliver(notification: Notification): void {
    if (!this.#closing.signal.aborted) this.#init.downstream.notified(notification);
  }

  #exchange(call: UpstreamCall, signal: AbortSignal): Exchange {
    const { client, report, name } = this.#init;
    const { principal, request } = call;
    const shown = this.#shown;
    const isModernMethod = MODERN_METHODS.has(call.method);
    const { followsTasks, params } = taskCall(call);
    const session = this.#session;
    const version = isModernMethod ? MODERN_VERSION : this.#version;
    return {
      id: this.#nextId++,
      method: call.method,
      params,
      ...followsTasks && { followsTasks },
      protocolVersion: version,
      principal,
      get request() {
        return shown(request);
      },
      session: isModernMethod ? undefined : session,
      user: call.user && ownUser(call.user, name),
      client,
      get logLevel() {
        return session.logLevel;
      },
      supportedVersions: [version],
      signal,
      pageSize: PAGE_SIZE,
      notify: (notification) => {
        if (signal.aborted) return;
        if (CHANGED_LISTS.has(notification.method)) this.#deliver(notification);
        else call.notify(notification);
      },
      ask: (method, params) => abortable(call.ask(method, params), signal),
      openState: async () => undefined,
      sealState: () => Promise.reject(new TypeError("Ask during the call")),
      requireInput() {},
      closeStream: () => call.closeStream?.(),
      report,
    };
  }
}

/** Keeps the state of a session for the server, within bounds, until the session ends. */
class LocalSessionState implements ExchangeSession {
  readonly id: string = randomText(32);
  readonly subscribed = new Set<string>();
  logLevel: LogLevel | undefined;
  readonly #values = new StateValues();

  readonly state: SessionState = {
    get: async (key) => this.#values.get(key),
    set: async (key, value) => this.#values.set(key, value, STATE_BYTES),
    delete: async (key) => this.#values.delete(key),
  };

  setLogLevel(level: LogLevel): void {
    this.logLevel = level;
  }

  subscribe(uri: string): "subscribed" | "full" {
    if (this.subscribed.size >= MAX_SUBSCRIPTIONS && !this.subscribed.has(uri)) return "full";
    this.subscribed.add(uri);
    return "subscribed";
  }

  unsubscribe(uri: string): void {
    this.subscribed.delete(uri);
  }
}

/** Returns the user as one of several servers sees it: no server has another one's values. */
function ownUser({ state }: ExchangeUser, server: string): ExchangeUser {
  const own = (key: string) => `${server}\0${key}`;
  return {
    state: {
      get: (key) => state.get(own(key)),
      set: (key, value) => state.set(own(key), value),
      delete: (key) => state.delete(own(key)),
    },
  };
}

function factsOf(handshake: JsonObject, protocolVersion: ProtocolVersion): UpstreamFacts {
  const { serverInfo, capabilities, instructions } = handshake;
  if (!isObject(capabilities)) throw new UpstreamError("protocol");
  return {
    serverInfo: isImplementation(serverInfo) ? serverInfo : { name: "unknown", version: "0" },
    capabilities,
    protocolVersion,
    ...typeof instructions === "string" && { instructions },
    handshake,
  };
}

function withExtensions(facts: UpstreamFacts, extensions: JsonObject): UpstreamFacts {
  if (Object.keys(extensions).length === 0) return facts;
  const { capabilities } = facts;
  const all = { ...isObject(capabilities.extensions) && capabilities.extensions, ...extensions };
  return {
    ...facts,
    capabilities: { ...capabilities, extensions: all },
    ...extensions[TASKS] !== undefined && { answersWithTasks: true },
  };
}

/** Takes what a call says about its sender out of its parameters: only whether that follows tasks counts here. */
function taskCall({ method, params }: UpstreamCall): {
  readonly followsTasks: boolean;
  readonly params: JsonObject;
} {
  if (method.startsWith("tasks/")) return { followsTasks: true, params };
  const { [MetaKey.ClientCapabilities]: given, ...meta } = isObject(params._meta)
    ? params._meta
    : {};
  if (given === undefined) return { followsTasks: false, params };
  const extensions = isObject(given) ? given.extensions : undefined;
  return {
    followsTasks: isObject(extensions) && extensions[TASKS] !== undefined,
    params: { ...params, _meta: meta },
  };
}

function isImplementation(value: unknown): value is Implementation {
  return isObject(value) && typeof value.name === "string" && typeof value.version === "string";
}
